import pytest

from booru_pipeline_tests.cli.conftest import make_workplace
from booru_pipeline_tests.shared_folder import made_once
from booru_pipeline_tests.training_shards.sample_shards import make_shards
from booru_pipeline_tests.vocabulary.labels import make_vocabulary


@pytest.fixture(scope="session")
def shards(raw, tmp_path_factory):
    """Folders of training shards of the sample world, by release."""
    return make_shards(raw, tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory):
    """A vocabulary of a few labels, kaomoji and qualified names among them."""
    return make_vocabulary(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    """A folder with a sample and everything made of its one release; the same that the command's tests have."""
    return made_once(tmp_path_factory, "workplace", make_workplace)
