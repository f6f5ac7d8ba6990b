import pytest

from booru_pipeline.dataset.sides import count_near_duplicates_across, count_straddling, decide_sides
from booru_pipeline_tests.dataset.listed_posts import OPTIONS, write
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


@pytest.fixture
def lake(tmp_path):
    def make(*releases, name="lake"):
        return {f"r{number}": write(tmp_path / name / f"r{number}", posts) for number, posts in enumerate(releases)}

    return make


@pytest.fixture
def decide(lake):
    def run(*releases, options=OPTIONS):
        shards = lake(*releases)
        sides = decide_sides(shards, options)
        assert count_straddling(sides).examples == []
        assert count_near_duplicates_across(shards, sides).pairs == 0
        return sides

    return run
