"""The site is built without a warning, its links lead somewhere, and its examples run."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbclient
import nbformat
import pytest

from booru_pipeline_tests.cli.command import environment

DOCS = Path(__file__).parents[1] / "docs"


class Links(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, page):
        super().__init__()
        self.to, self.anchors = set(), set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        self.to |= {found[name] for name in ("href", "src") if found.get(name)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "site"  # myst-nb puts a folder beside it
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", str(DOCS), str(folder)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-3000:]
    return folder


def test_every_link_leads_somewhere(site):
    pages = {page: Links(page) for page in site.glob("*.html")}
    assert {"index.html", "api.html", "design.html", "from_home_to_plot.html"} <= {page.name for page in pages}
    dead = []
    for page, links in pages.items():
        for link in links.to:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.exists() or (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors
            ):
                dead.append((page.name, link))
    assert not dead


def test_the_public_names_are_explained(site):
    import booru_pipeline

    explained = (site / "api.html").read_text(encoding="utf-8")
    assert [name for name in booru_pipeline.__all__ if f'id="booru_pipeline.{name}"' not in explained] == ["Settings"]


def run_in(folder, code):
    """A Python program on the home in a folder, as its reader would run it there."""
    env = {**environment(), "HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("page", ["api.md", "../README.md"])
def test_the_examples_run_one_after_another(workplace, page):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    told = run_in(workplace, "\n".join(blocks))
    assert told.returncode == 0, told.stderr[-2000:]
    assert told.stdout


def test_the_notebook_runs(workplace, monkeypatch):
    notebook = nbformat.read(DOCS / "from_home_to_plot.ipynb", 4)
    kept = [len(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(os, "environ", environment())
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    plots = [output for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(plots) == 2
    assert sum(kept) >= 4, "the notebook is kept with what it shows"
