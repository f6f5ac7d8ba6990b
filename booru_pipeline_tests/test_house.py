"""The floor plan holds: the README's tree is the tree, no file or folder grows beyond what one can read."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "booru_pipeline"
PARTS = [PACKAGE, ROOT / "booru_pipeline_tests", ROOT / "benchmarks", ROOT / "sql"]
MOST_LINES = 400
MOST_FILES = 18


def code_files(folder):
    return [path for path in folder.rglob("*") if path.suffix in (".py", ".sql", ".j2", ".js", ".css")]


def test_the_readme_names_every_room():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = readme.partition("booru_pipeline/\n")[2].partition("```")[0]
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert rooms == {line.split("/")[0].strip() for line in tree.splitlines() if re.match(r"  \w+/ ", line)}
    assert [name for name in sorted(modules) if name not in tree] == []
    assert len(modules) <= 9


def test_tests_stand_where_the_code_does():
    folders = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if (path / "__init__.py").is_file()}
    tests = PACKAGE.with_name("booru_pipeline_tests")
    mirrored = {path.relative_to(tests) for path in tests.rglob("*") if (path / "__init__.py").is_file()}
    assert sorted(str(path) for path in mirrored - folders) == ["deploy"]  # of files outside the package


@pytest.mark.parametrize("part", PARTS, ids=lambda path: path.name)
def test_files_and_folders_stay_readable(part):
    files = code_files(part)
    long = [str(path) for path in files if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES]
    assert long == []
    full = [str(folder) for folder in {path.parent for path in files} if len(code_files_in(folder)) > MOST_FILES]
    assert full == []


def code_files_in(folder):
    return [path for path in code_files(folder) if path.parent == folder]


def test_dagster_is_imported_by_defs_and_the_entry_points_alone():
    importers = subprocess.run(
        ["grep", "-rlE", r"^\s*(import|from) dagster\b", "--include=*.py", "booru_pipeline"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    outside = [path for path in importers if not path.startswith("booru_pipeline/defs/")]
    assert sorted(outside) == ["booru_pipeline/cluster.py"]
