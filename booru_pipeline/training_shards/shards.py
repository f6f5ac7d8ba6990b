"""A tag table as training shards: Parquet files of posts, with a manifest."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from pydantic import Field

from booru_pipeline import sql
from booru_pipeline.errors import BooruError
from booru_pipeline.hashing import sha256_of
from booru_pipeline.lake.document import Document
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record
from booru_pipeline.release.key import release_order
from booru_pipeline.training_shards.options import ShardOptions

_POSTS: Final = "posts.parquet"


class ShardManifest(Document):
    """Figures of a folder of shards.

    Attributes:
        release: The release's key.
        posts: Rows.
        tags: Tags over all rows.
        splits: By split: posts, pictures and tags.
        files: Rows are in these, in reading order.
        content_sha256: Of the files' SHA-256s in that order.
        aliased: Rows of the tag table whose tag was an alias.
        merged: Those of them that fell together with another row of their post.
        left_out_posts, left_out_tags: Posts that ratings and min_score leave out, and their tags.
        without_picture: Posts whose md5 is none of a picture: each counts as a picture of its own.
        frequent_aliases: The ten that most rows had, each with its `alias`, its `tag` and the `rows`.
    """

    FILE = "manifest.json"
    REMEDY = "Make the training shards with `booru run --to training_shards`."

    release: str
    posts: int
    tags: int
    splits: dict[str, dict[str, int]]
    files: list[str]
    content_sha256: str
    aliased: int = 0
    merged: int = 0
    left_out_posts: int = 0
    left_out_tags: int = 0
    without_picture: int = 0
    frequent_aliases: list[dict[str, Any]] = Field(default_factory=list)


def build_shards(
    tag_table: Path,
    final: Path,
    staging: Staging,
    options: ShardOptions,
    record: Record,
    aliases: Mapping[str, str] | None = None,
) -> ShardManifest:
    """Write a tag table's posts as Parquet, each with its canonical tags.

    Columns: booru, fid, release, split (train, validation, test), group_md5 (of the picture), tags (list of string,
    alphabetical), categories (list of int8, parallel to tags; -1 is uncatalogued), rating and score (null where the
    dump has none). A tag that takes an alias's place
    has the category that it has most often in the tag table, or the alias's, if it is nowhere in it.

    Args:
        tag_table: A release's DuckDB file.
        final: The folder to publish.
        staging: Where it is written first.
        options: Shares of the split.
        record: What the shards are made from; its release is written into the rows.
        aliases: Canonical tag by alias; no canonical tag is an alias.

    Raises:
        BooruError: There is no tag table, or the options leave out all its posts.
    """
    names = aliases or {}
    with staged(final, staging) as draft, duckdb.connect() as connection:
        attach(connection, tag_table)
        columns = [pa.array(names.keys(), pa.string()), pa.array(names.values(), pa.string())]
        connection.register("aliases", pa.table(columns, ["alias", "tag"]))
        sql.run(connection, "training_shards", "take", ratings=options.ratings, min_score=options.min_score)
        sql.run(connection, "training_shards", "apply_aliases")
        [(aliased, merged)] = sql.run(connection, "training_shards", "aliases_applied").fetchall()
        sql.run(connection, "training_shards", "posts", release=record.release, **options.model_dump())
        [(left_out, left_out_tags, without_picture)] = sql.run(connection, "training_shards", "left_out").fetchall()
        rows = sql.run(connection, "training_shards", "splits").fetchall()
        if not rows and left_out:
            raise BooruError(
                f"ratings and min_score leave out all {left_out:,} posts of {record.release}. Take more ratings: "
                "`unrated` is for posts of dumps that have none."
            )
        splits = {split: {"posts": posts, "pictures": pictures, "tags": tags} for split, posts, pictures, tags in rows}
        draft.mkdir()
        files = [draft / _POSTS]
        sql.run(connection, "training_shards", "write", file=str(files[0])).fetchall()
        manifest = ShardManifest(
            release=record.release,
            posts=sum(split["posts"] for split in splits.values()),
            tags=sum(split["tags"] for split in splits.values()),
            splits=splits,
            files=[file.name for file in files],
            content_sha256=hashlib.sha256(bytes.fromhex("".join(map(sha256_of, files)))).hexdigest(),
            aliased=aliased,
            merged=merged,
            left_out_posts=left_out,
            left_out_tags=left_out_tags,
            without_picture=without_picture,
            frequent_aliases=sql.table(connection, "training_shards", "frequent_aliases").to_pylist(),
        )
        manifest.write(draft)
        record.write(draft)
    return manifest


def shard_files(*shards: Path) -> list[str]:
    """Paths of the Parquet files of several folders of shards, in reading order."""
    return [str(folder / name) for folder in shards for name in ShardManifest.read(folder).files]


def attach(connection: duckdb.DuckDBPyConnection, tag_table: Path) -> None:
    """Attach a tag table read-only, as `source`.

    Raises:
        BooruError: There is none.
    """
    if not tag_table.is_file():
        raise BooruError(f"there is no tag table at {tag_table}. Make it with `booru run --to tag_table`.")
    path = str(tag_table).replace("'", "''")  # ATTACH takes no parameter
    connection.execute(f"ATTACH '{path}' AS source (READ_ONLY)")


def count_lost(shards: Path, tag_table: Path) -> dict[str, int]:
    """Posts and tags of the tag table that are not in the shards, merged tags aside; both are 0 in good shards."""
    manifest = ShardManifest.read(shards)
    with duckdb.connect() as connection:
        attach(connection, tag_table)
        known = manifest.model_dump(include={"merged", "left_out_posts", "left_out_tags"})
        counted = sql.run(connection, "training_shards", "lost_posts", shards=shard_files(shards), **known)
        [(posts, tags)] = counted.fetchall()
    return {"posts": posts, "tags": tags}


def count_straddling(*shards: Path) -> int:
    """Pictures on more than one side of the split, over several releases' shards; 0 unless the options changed."""
    with duckdb.connect() as connection:
        [(pictures,)] = sql.run(connection, "training_shards", "straddling", shards=shard_files(*shards)).fetchall()
    return int(pictures)


def earlier_releases(release: str, known: Iterable[str], with_shards: Collection[str]) -> list[str]:
    """Releases before this one, in release order.

    Args:
        release: The release's key.
        known: Keys of the raw releases that are there, whole or not.
        with_shards: Keys of the releases whose training shards are there; the raw files may be gone.

    Raises:
        BooruError: An earlier release is known and has no shards: what is cumulative would silently lack it.
    """
    order = release_order(release)
    earlier = sorted({key for key in {*known, *with_shards} if release_order(key) < order}, key=release_order)
    for key in earlier:
        if key not in with_shards:
            raise BooruError(
                f"release {release} builds on {key}, which comes earlier and has no training shards yet. "
                f"Run `booru run --release {key} --to training_shards` first, or move {key} out of the raw folder."
            )
    return earlier
