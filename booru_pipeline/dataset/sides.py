"""Sides of the split, decided release by release: a group of posts is on one side, and none ever changes it.

Posts of one picture, near-duplicates (`dataset.duplicates`) and listings of one post belong together, directly or
through others. A group takes the side of the picture that names it, as the shards have it, and keeps it: each release
is decided after the earlier ones, and only what it lists is placed. A new post that belongs to groups on different
sides joins neither: it is left out, and so is who is later like it. A settled post that is listed again with another
picture or other tags, and now is like a group on another side, is left out too: it keeps its side, and is used no more.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from booru_pipeline import sql
from booru_pipeline.dataset.ledger import Ledger
from booru_pipeline.dataset.options import SplitOptions
from booru_pipeline.dataset.settling import SIDES, recall, settle
from booru_pipeline.errors import BooruError
from booru_pipeline.ragged import IntArray
from booru_pipeline.training_shards.shards import ShardManifest, shard_files

__all__ = ["SIDES", "Sides", "decide_sides"]

_SQL: Final = "dataset/sides"
_EXAMPLES: Final = 10


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

    @classmethod
    def read(cls, folder: Path) -> "Sides":
        """Read the sides of a dataset's folder.

        Raises:
            BooruError: They are not there, or not as they were written.
        """
        ledger = Ledger.read(folder)
        ledger.check()
        return cls(ledger.table(), ledger.shards, ledger.options)

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
    options = split_options(options)
    contents = contents_of(shards)
    if earlier is not None and not earlier.is_start_of(contents, options):
        earlier = None
    if earlier is not None and len(earlier.shards) == len(shards):
        return earlier
    ledger = Ledger.empty(options)
    for release, folder in shards.items():
        if earlier is not None and release in earlier.shards:
            ledger = recall(ledger, release, folder, contents[release], earlier.table)
        else:
            ledger = settle(ledger, release, folder, contents[release])
    return Sides(ledger.table(), contents, options)


def split_options(options: SplitOptions) -> SplitOptions:
    """Those of the split alone, of options that have more."""
    return SplitOptions(**{name: getattr(options, name) for name in SplitOptions.model_fields})


def contents_of(shards: Mapping[str, Path]) -> dict[str, str]:
    """The `content_sha256` of each release's manifest.

    Raises:
        BooruError: There are no shards in a folder.
    """
    return {release: ShardManifest.read(folder).content_sha256 for release, folder in shards.items()}


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
        sql.run(connection, _SQL, "used", shards=shard_files(*shards.values()), sides=list(SIDES))
        held, found = _across(connection, sides.options, largest_block)
    used = sides.table["left_out"].null_count
    if held != used:
        raise BooruError(
            f"the sides have {used:,} posts in use, and the shards hold {held:,} of them as they were listed last. "
            "Make the dataset again with `booru run --to tokenized_dataset`."
        )
    return found


def _across(connection: duckdb.DuckDBPyConnection, options: SplitOptions, largest_block: int) -> tuple[int, Across]:
    """How many posts are in the table `posts`, and what of them is across."""
    pairs = sql.table(
        connection,
        _SQL,
        "across",
        jaccard=options.near_duplicate_jaccard,
        min_tags=options.near_duplicate_min_tags,
        largest_block=largest_block,
    )
    [(held, blocks, posts)] = sql.run(connection, _SQL, "gone_through").fetchall()
    examples = [f"{pair['one']} and {pair['other']}" for pair in pairs.slice(0, _EXAMPLES).to_pylist()]
    return held, Across(len(pairs), blocks, posts, examples)


@dataclass(frozen=True)
class Audit:
    """What is wrong with the sides of a dataset.

    Attributes:
        straddling: What is on two sides.
        across: Near-duplicates on two sides.
        moved: What is on another side than in the earlier dataset, or left out no more; None without one.
        compared_with: The earlier dataset's release.
    """

    straddling: Misplaced
    across: Across
    moved: Misplaced | None
    compared_with: str | None


def audit_sides(dataset: Path, shards: Mapping[str, Path], earlier: Path | None, largest_block: int = 100_000) -> Audit:
    """Look for leaks between the sides of a dataset, and for what changed since an earlier one.

    In a dataset that goes on from the earlier one, whose own audit went through its posts, those are looked at that the
    releases since concern, among each other and with all that share a picture, a group or a block. Any other one is
    gone through in full, against the shards.

    Args:
        dataset: Its folder.
        shards: The folders of training shards that it was made from.
        earlier: The folder of an earlier release's dataset, if there is one of this version.
        largest_block: Blocks of more posts are skipped.

    Raises:
        BooruError: There are no sides, or they are not as they were written.
    """
    ledger = Ledger.read(dataset)
    before = None
    with suppress(BooruError):  # of an older version
        before = Ledger.read(earlier) if earlier is not None else None
    known = before.checksums if before is not None else []
    first = len(known) if ledger.checksums[: len(known)] == known and ledger.options == _options(before) else 0
    ledger.check(first)
    rows = ledger.concerned(first)
    sides = Sides(ledger.sides(rows), ledger.shards, ledger.options)
    moved = None
    if before is not None:
        names = ("key", "picture_token")
        same = before.where(**{name: ledger.numbers(name, rows) for name in names})
        moved = count_moved(Sides(before.sides(before.last_of(same)), before.shards, before.options), sides)
    across = Across(0, 0, 0, [])
    if not first:
        across = count_near_duplicates_across(shards, sides, largest_block)
    elif ledger.options.near_duplicate_jaccard:
        with duckdb.connect() as connection:
            connection.register("posts", _posts_of(ledger, rows))
            _, across = _across(connection, ledger.options, largest_block)
    return Audit(count_straddling(sides), across, moved, list(before.shards)[-1] if before is not None else None)


def _options(ledger: Ledger | None) -> SplitOptions | None:
    return ledger.options if ledger is not None else None


def _posts_of(ledger: Ledger, rows: IntArray) -> pa.Table:
    """Rows of a ledger that are in use, as what `across` reads."""
    table = ledger.take(rows, ["booru", "fid", "split", "left_out", "block", "tokens"])
    table = table.append_column("post", pa.array(rows)).filter(pc.is_null(table["left_out"]))
    side = pc.add(pc.index_in(table["split"].cast(pa.string()), value_set=pa.array(SIDES)), 1)
    names = {name: table[name] for name in ("post", "fid", "block", "tokens")}
    return pa.table({**names, "booru": table["booru"].cast(pa.string()), "side": side})
