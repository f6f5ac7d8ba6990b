"""Sides of the split, decided release by release: a group of posts is on one side, and none ever changes it.

Posts of one picture, near-duplicates (`dataset.duplicates`) and listings of one post belong together, directly or
through others. A group takes the side of the picture that names it, as the shards have it, and keeps it: each release
is decided after the earlier ones, and only what it lists is placed. A new post that belongs to groups on different
sides joins neither: it is left out, and so is who is later like it. A settled post that is listed again with another
picture or other tags, and now is like a group on another side, is left out too: it keeps its side, and is used no more.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline import sql
from booru_pipeline.dataset.duplicates import TagSets, components, near_duplicates
from booru_pipeline.dataset.options import SplitOptions
from booru_pipeline.errors import BooruError
from booru_pipeline.ragged import IntArray, offsets_of
from booru_pipeline.training_shards.shards import ShardManifest, shard_files

_SQL: Final = "dataset/sides"

SIDES: Final = ("train", "validation", "test")  # from the mildest to the strictest
SIDES_FILE: Final = "sides.parquet"

_EXAMPLES: Final = 10
_BATCH: Final = 65_536  # posts whose tags are gone through at a time

_RULES: Final = 1  # raise it when other rules give other sides: what was decided by the former ones is no start
_METADATA: Final = b"decided_from"
_SCHEMA: Final = pa.schema(
    [
        ("booru", pa.string()),
        ("fid", pa.int64()),
        ("release", pa.string()),
        ("picture", pa.string()),
        ("group_md5", pa.string()),
        ("split", pa.string()),
        ("left_out", pa.string()),
    ]
)


@dataclass(frozen=True)
class Sides:
    """Which side each post is on.

    Attributes:
        table: One row a post, by booru and fid. Columns: booru, fid, release (the latest that lists it), picture (its
            md5 there), group_md5 (the md5 of the picture that names its group), split (the side), left_out (null, or
            why the post is not used).
        shards: The releases that it was decided from, in order, with the `content_sha256` of their manifests.
        options: What it was decided with.
    """

    table: pa.Table
    shards: dict[str, str]
    options: SplitOptions

    def write(self, folder: Path) -> None:
        """Write `sides.parquet` into a folder."""
        decided_from = {"rules": _RULES, "shards": self.shards, "options": self.options.model_dump()}
        table = self.table.replace_schema_metadata({_METADATA: json.dumps(decided_from)})
        pq.write_table(table, folder / SIDES_FILE, compression="zstd", write_page_checksum=True)

    @classmethod
    def read(cls, folder: Path) -> "Sides":
        """Read `sides.parquet` of a folder.

        Raises:
            BooruError: It is not there, or is not what `write` writes.
        """
        path = folder / SIDES_FILE
        remedy = "Make it again with `booru run --to tokenized_dataset`."
        if not path.is_file():
            raise BooruError(f"there are no sides at {path}. {remedy}")
        try:
            table = pq.read_table(path, page_checksum_verification=True)
            decided_from = json.loads((table.schema.metadata or {})[_METADATA])
            if decided_from["rules"] != _RULES or not table.schema.equals(_SCHEMA):
                raise BooruError(f"{path} was written by another version. {remedy}")
            options = SplitOptions(**decided_from["options"])
            return cls(table.replace_schema_metadata(), dict(decided_from["shards"]), options)
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise BooruError(f"{path} cannot be read ({type(error).__name__}). {remedy}") from error

    def is_start_of(self, shards: Mapping[str, str], options: SplitOptions) -> bool:
        """Whether these sides are what the first of these releases give with these options."""
        return self.options == options and list(self.shards.items()) == list(shards.items())[: len(self.shards)]


def decide_sides(shards: dict[str, Path], options: SplitOptions, earlier: Sides | None = None) -> Sides:
    """Decide the side of every post. What a release gets does not depend on the ones after it.

    Args:
        shards: Folders of training shards by release, in release order.
        options: Which posts are too alike to be on two sides.
        earlier: Sides of the first of these releases, which spare deciding them again. The result is the same
            without; sides of other shards or options are not used.

    Raises:
        BooruError: There are no shards in a folder.
    """
    options = SplitOptions(**{name: getattr(options, name) for name in SplitOptions.model_fields})
    contents = {release: ShardManifest.read(folder).content_sha256 for release, folder in shards.items()}
    if earlier is None or not earlier.is_start_of(contents, options):
        earlier = Sides(_SCHEMA.empty_table(), {}, options)
    if len(earlier.shards) == len(shards):
        return earlier
    seen: list[TagSets] = []
    with duckdb.connect() as connection:
        sql.run(connection, _SQL, "schema", sides=list(SIDES))
        connection.register("earlier", earlier.table)
        sql.run(connection, _SQL, "recall_groups")
        for release, folder in shards.items():
            seen.append(_list_release(connection, folder, sum(map(len, seen))))
            if release in earlier.shards:
                sql.run(connection, _SQL, "recall")
            else:
                _settle(connection, seen, options)
            sql.run(connection, _SQL, "remember", release=release)
        table = sql.table(connection, _SQL, "result")
    return Sides(table.cast(_SCHEMA).combine_chunks(), contents, options)


@dataclass(frozen=True)
class Misplaced:
    """Groups, pictures and posts that are where they must not be; all 0 in sound sides.

    Attributes:
        groups: Groups with posts in use on several sides.
        pictures: Pictures on several sides, as their posts were listed last; or that are shown on another than before.
        posts: Posts (booru, fid) on several sides; or on another side than before.
        returned: Posts that were left out before and are in use.
        examples: The first ten, as `group ...`, `picture ...`, `post ...` or `returned ...`.
    """

    groups: int
    pictures: int
    posts: int
    returned: int
    examples: list[str]


@dataclass(frozen=True)
class Across:
    """Near-duplicates on two sides.

    Attributes:
        pairs: Pairs of posts in use; 0 in sound sides.
        skipped_blocks: Blocks (posts of the same artists and characters) that were too large to be gone through.
        skipped_posts: Posts in them.
        examples: The first ten pairs.
    """

    pairs: int
    skipped_blocks: int
    skipped_posts: int
    examples: list[str]


def count_straddling(sides: Sides) -> Misplaced:
    """Count groups, pictures and posts that have posts in use on two sides."""
    return _misplaced("straddling", sides=sides.table)


def count_moved(before: Sides, after: Sides) -> Misplaced:
    """Count what changed side between the sides of a release and those of a later one."""
    return _misplaced("moved", former=before.table, sides=after.table)


def _misplaced(query: str, **tables: pa.Table) -> Misplaced:
    """Count the rows of `kind` and `name` that a query gives of some tables."""
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        found = sql.table(connection, _SQL, query).to_pylist()
    kinds = Counter(row["kind"] for row in found)
    examples = [f"{row['kind']} {row['name']}" for row in found[:_EXAMPLES]]
    return Misplaced(kinds["group"], kinds["picture"], kinds["post"], kinds["returned"], examples)


def count_near_duplicates_across(shards: Mapping[str, Path], sides: Sides, largest_block: int = 100_000) -> Across:
    """Count near-duplicates on two sides, found by an exact join over all posts and not by `near_duplicates`.

    Args:
        shards: The folders of training shards that the sides were decided from.
        sides: The sides; their options say what a near-duplicate is.
        largest_block: Blocks of more posts are skipped.

    Raises:
        BooruError: The shards are not those that the sides were decided from.
    """
    if not sides.options.near_duplicate_jaccard:
        return Across(0, 0, 0, [])
    with duckdb.connect() as connection:
        connection.register("sides", sides.table)
        pairs = sql.table(
            connection,
            _SQL,
            "across",
            shards=shard_files(*shards.values()),
            sides=list(SIDES),
            jaccard=sides.options.near_duplicate_jaccard,
            min_tags=sides.options.near_duplicate_min_tags,
            largest_block=largest_block,
        )
        [(held, blocks, posts)] = sql.run(connection, _SQL, "gone_through").fetchall()
    used = sides.table["left_out"].null_count
    if held != used:
        raise BooruError(
            f"the sides have {used:,} posts in use, and the shards hold {held:,} of them as they were listed last. "
            "Make the dataset again with `booru run --to tokenized_dataset`."
        )
    examples = [f"{pair['one']} and {pair['other']}" for pair in pairs.slice(0, _EXAMPLES).to_pylist()]
    return Across(len(pairs), blocks, posts, examples)


def _list_release(connection: duckdb.DuckDBPyConnection, folder: Path, first: int) -> TagSets:
    """Read a release into the table `listing`, its rows numbered from `first`, and give what its posts are told by."""
    rows = sql.table(connection, _SQL, "rows", shards=shard_files(folder))
    batches = (rows.slice(start, _BATCH) for start in range(0, max(len(rows), 1), _BATCH))
    columns = ("tokens", "categories", "picture_token")
    sets = TagSets.concatenate([TagSets.of(*(batch[name].combine_chunks() for name in columns)) for batch in batches])
    rows = rows.select(["booru", "fid", "picture", "side"])
    rows = rows.append_column("row", pa.array(np.arange(first, first + len(sets), dtype=np.int32)))
    rows = rows.append_column("block", pa.array(sets.blocks)).append_column("signature", pa.array(sets.signatures))
    connection.register("rows", rows)
    sql.run(connection, _SQL, "listing")
    connection.unregister("rows")
    return sets


def _settle(connection: duckdb.DuckDBPyConnection, seen: list[TagSets], options: SplitOptions) -> None:
    """Decide the release in hand, the last of those seen."""
    alike = _alike(connection, seen, options)
    connection.register("alike", pa.table({"a": alike[:, 0], "b": alike[:, 1]}))
    edges = sql.table(connection, _SQL, "links")
    ends = np.column_stack([edges["a"].to_numpy(), edges["b"].to_numpy()])
    nodes, links = np.unique(ends, return_inverse=True)
    component = components(links.reshape(-1, 2), len(nodes))
    connection.register("components", pa.table({"row": nodes[nodes >= 0], "component": component[nodes >= 0]}))
    sql.run(connection, _SQL, "decide")


def _alike(connection: duckdb.DuckDBPyConnection, seen: list[TagSets], options: SplitOptions) -> IntArray:
    """Near-duplicates of the release in hand, among each other and with the latest listings of others, as rows."""
    if not options.near_duplicate_jaccard:
        return np.empty((0, 2), np.int64)
    *former, listed = seen
    starts = offsets_of([len(sets) for sets in former])
    others = sql.table(connection, _SQL, "same_blocks")["row"].to_numpy()
    parts, rows = [listed], [starts[-1] + np.arange(len(listed))]
    for sets, start in zip(former, starts, strict=False):
        of_release = others[(others >= start) & (others < start + len(sets))]
        parts.append(sets.take(of_release - start))
        rows.append(of_release)
    row = np.concatenate(rows)
    links = near_duplicates(
        TagSets.concatenate(parts), row >= starts[-1], options.near_duplicate_jaccard, options.near_duplicate_min_tags
    )
    return row[links]
