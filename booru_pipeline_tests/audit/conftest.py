from pathlib import Path

import pytest

from booru_pipeline_tests.cli.conftest import make_workplace
from booru_pipeline_tests.evaluation.evaluated import World, make_world
from booru_pipeline_tests.shared_folder import made_once


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sample and everything made of its one release; the same that the command's tests have."""
    return made_once(tmp_path_factory, "workplace", make_workplace)
