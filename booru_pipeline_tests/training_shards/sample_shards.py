"""Training shards of the sample world."""

from pathlib import Path

from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.release.find import find_releases
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline.training_shards.options import ShardOptions
from booru_pipeline.training_shards.shards import build_shards


def make_shards(raw: Path, folder: Path) -> dict[str, Path]:
    """Folders of training shards, by release."""
    staging, paths = Staging(folder / ".staging"), {}
    for release in find_releases(raw).releases:
        key, table = release.key, folder / f"{release.key}.duckdb"
        load_release(release, table, staging, TagTableOptions(), Record(stage="tag_table", release=key, key="key"))
        build_shards(
            table, folder / key, staging, ShardOptions(), Record(stage="training_shards", release=key, key="key")
        )
        paths[key] = folder / key
    return paths
