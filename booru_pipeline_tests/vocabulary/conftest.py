import pytest

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
