import pytest

from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.release.find import find_releases
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline.training_shards.options import ShardOptions
from booru_pipeline.training_shards.shards import build_shards
from booru_pipeline_tests.vocabulary.labels import make_vocabulary


def record(stage, release):
    return Record(stage, release, "key", {}, {})


@pytest.fixture(scope="session")
def shards(raw, tmp_path_factory):
    """Folders of training shards of the sample world, by release."""
    folder = tmp_path_factory.mktemp("shards")
    paths = {}
    for release in find_releases(raw).releases:
        key, table = release.key, folder / f"{release.key}.duckdb"
        load_release(release, table, Staging(folder / ".staging"), TagTableOptions(), record("tag_table", key))
        build_shards(table, folder / key, Staging(folder / ".staging"), ShardOptions(), record("training_shards", key))
        paths[key] = folder / key
    return paths


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory):
    """A vocabulary of a few labels, kaomoji and qualified names among them."""
    return make_vocabulary(tmp_path_factory.mktemp("vocabulary"))
