from pathlib import Path

import pytest

from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline_tests.evaluation.evaluated import World, make_world
from booru_pipeline_tests.training import themed_dataset


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a vocabulary with a tokenizer of its own, and of a dataset."""
    return themed_dataset.build(tmp_path_factory.mktemp("themes"), BaseModel("tiny", None))
