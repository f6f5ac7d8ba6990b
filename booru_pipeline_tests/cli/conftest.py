import shutil

import pytest

from booru_pipeline.sample import generate
from booru_pipeline_tests.cli.command import booru
from booru_pipeline_tests.shared_folder import made_once


def make_workplace(folder):
    generate(folder / "booru_raw", releases=["2021a"], posts=500)
    result = booru(folder, "run")
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    """A folder with a sample and everything made of its one release."""
    return made_once(tmp_path_factory, "workplace", make_workplace)


@pytest.fixture
def copy(workplace, tmp_path):
    """A copy of the raw folder only, to break."""
    shutil.copytree(workplace / "booru_raw", tmp_path / "booru_raw")
    return tmp_path
