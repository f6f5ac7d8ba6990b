"""Shared by all tests: a small sample world, and the folder of larger real-format data where there is one."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported, so before everything else
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores: threads of one would wait for those of the other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage

from booru_pipeline.sample import generate
from booru_pipeline_tests.cli.command import booru
from booru_pipeline_tests.shared_folder import made_once

hypothesis.settings.register_profile("no_clock", deadline=None)  # the machine is shared: no test depends on time
hypothesis.settings.load_profile("no_clock")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCREENSHOTS = os.environ.get("BOORU_SCREENSHOTS")  # read here, since tests do not see BOORU_ settings
SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sample releases of 400 posts. Do not write to it."""
    folder = tmp_path_factory.mktemp("raw")
    generate(folder, releases=["2021a", "2021b"], posts=400, seed=1)
    return folder


def make_workplace(folder: Path) -> None:
    generate(folder / "booru_raw", releases=["2021a"], posts=500)
    result = booru(folder, "run")
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sample and everything made of its one release."""
    return made_once(tmp_path_factory, "workplace", make_workplace)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of releases in the real format, and of T5's SentencePiece model."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the data folder {SHARED.name}/ beside the checkout: releases and T5's SentencePiece model")
    return SHARED


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Headless Chromium. One a module: as long as it is open, an event loop runs."""
    pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("needs Debian's package chromium: it is not on the PATH")
    from booru_pipeline_tests.browser import chromium

    with chromium(executable) as opened:
        yield opened


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that tests in a browser leave their pictures in: BOORU_SCREENSHOTS, or one of pytest's."""
    folder = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    """Tests do not see the caller's settings: nor do fixtures of a module, which would write into the caller's home."""
    for name in list(os.environ):
        if name.startswith(("BOORU_", "DAGSTER_", "WANDB_")):
            del os.environ[name]


@pytest.fixture(autouse=True)
def _no_settings_from_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as DAGSTER_HOME, which opening an instance sets."""
    for name in list(os.environ):
        if name.startswith(("BOORU_", "DAGSTER_", "WANDB_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="module")
def _no_instance_of_other_modules() -> "Iterator[None]":
    """Dagster keeps the storage of the instance opened last, and instances that fixtures close in another order than
    they opened them leave that of a closed one."""
    with set_defs_state_storage(None):
        yield


# Files that take longest begin first, in this order, so that no worker is left alone with one of them at the end.
_LONGEST = [
    "cli/test_run.py",
    "booru_pipeline_tests/test_browser.py",
    "defs/test_graph.py",
    "training/test_cancel.py",
    "server/test_dev.py",
    "training/test_payload.py",
    "deploy/test_postgresql.py",
    "lake/test_store_commands.py",
    "cli/test_suggest.py",
    "server/test_page.py",
    "server/test_api.py",
    "booru_pipeline_tests/test_webserver.py",
    "booru_pipeline_tests/test_ui_agrees.py",
    "training/test_recipes.py",
    "evaluation/test_evaluate.py",
    "training/test_processes.py",
    "hydration/test_experiment.py",
    "vocabulary/test_tokenizer.py",
    "vocabulary/test_faults.py",
    "tag_table/test_reliability.py",
]


def _place(path: Path) -> int:
    name = path.as_posix()
    return next((place for place, longest in enumerate(_LONGEST) if name.endswith(longest)), len(_LONGEST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {path: _place(path) for path in {item.path for item in items}}
    items.sort(key=lambda item: places[item.path])  # stable: files stay together


_STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End without the interpreter's shutdown, at which DuckDB 2.0's binding prints pages; see `cli.main`."""
    sys.stdout.flush()
    sys.stderr.flush()
    if _STATUS in config.stash:
        os._exit(config.stash[_STATUS])
