"""Placing the posts of one more release beside those that are settled."""

from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from booru_pipeline import sql
from booru_pipeline.dataset.chance import post_keys
from booru_pipeline.dataset.duplicates import TagSets, components, near_duplicates
from booru_pipeline.dataset.ledger import Ledger, ledger_part
from booru_pipeline.ragged import IntArray
from booru_pipeline.training_shards.shards import shard_files

SIDES: Final = ("train", "validation", "test")  # from the mildest to the strictest

_SQL: Final = "dataset/sides"
_BATCH: Final = 65_536  # posts whose tags are gone through at a time


def settle(ledger: Ledger, release: str, folder: Path, content_sha256: str) -> Ledger:
    """Decide the sides of a release's posts.

    Of the posts before it only those are looked at that it may concern: what it lists again, what ever showed one of
    its pictures, and what has the artists and characters of one of its posts.

    Args:
        ledger: The releases before.
        release: Its key.
        folder: Its training shards.
        content_sha256: Of their manifest.
    """
    with duckdb.connect() as connection:
        rows, sets, keys = _read(connection, folder)
        wanted = {"key": keys, "picture_token": sets.pictures}
        if ledger.options.near_duplicate_jaccard:
            wanted["block"] = sets.blocks[sets.sizes >= ledger.options.near_duplicate_min_tags]
        concerned = ledger.where(**wanted)
        former = ledger.where(key=ledger.numbers("key", concerned))
        names = ["booru", "fid", "release", "picture", "group_md5", "split", "left_out", "block", "signature"]
        table = ledger.take(former, names).append_column("row", pa.array(former))
        connection.register("former", table)
        sql.run(connection, _SQL, "recall", sides=list(SIDES))
        first = len(ledger)
        numbered = rows.append_column("row", pa.array(np.arange(first, first + len(rows), dtype=np.int32)))
        numbered = numbered.append_column("block", pa.array(sets.blocks))
        connection.register("rows", numbered.append_column("signature", pa.array(sets.signatures)))
        sql.run(connection, _SQL, "listing")
        alike = _alike(connection, ledger, sets)
        connection.register("alike", pa.table({"a": alike[:, 0], "b": alike[:, 1]}))
        edges = sql.table(connection, _SQL, "links")
        ends = np.column_stack([edges["a"].to_numpy(), edges["b"].to_numpy()])
        nodes, links = np.unique(ends, return_inverse=True)
        component = components(links.reshape(-1, 2), len(nodes))
        connection.register("components", pa.table({"row": nodes[nodes >= 0], "component": component[nodes >= 0]}))
        sql.run(connection, _SQL, "decide")
        placed, merged = sql.table(connection, _SQL, "placed"), sql.table(connection, _SQL, "merged")
    part = ledger_part(release, rows, sets, placed, keys)
    return ledger.with_part(release, content_sha256, pa.concat_tables([part, _renamed(ledger, merged, keys)]))


def recall(ledger: Ledger, release: str, folder: Path, content_sha256: str, earlier: pa.Table) -> Ledger:
    """Add a release whose posts have the sides that an earlier table of `Sides` says. Arguments as in `settle`."""
    with duckdb.connect() as connection:
        rows, sets, keys = _read(connection, folder)
        connection.register("rows", rows.append_column("row", pa.array(np.arange(len(rows)))))
        connection.register("earlier", earlier)
        placed = sql.table(connection, _SQL, "given")
    return ledger.with_part(release, content_sha256, ledger_part(release, rows, sets, placed, keys))


def _read(connection: duckdb.DuckDBPyConnection, folder: Path) -> tuple[pa.Table, TagSets, IntArray]:
    """A release's posts (booru, fid, picture, side, categories), what near-duplicates are told by, and their keys."""
    rows = sql.table(connection, _SQL, "rows", shards=shard_files(folder), sides=list(SIDES))
    batches = (rows.slice(start, _BATCH) for start in range(0, max(len(rows), 1), _BATCH))
    columns = ("tokens", "categories", "picture_token")
    sets = TagSets.concatenate([TagSets.of(*(batch[name].combine_chunks() for name in columns)) for batch in batches])
    keys = post_keys(rows["booru"].to_numpy(), rows["fid"].to_numpy())
    return rows.select(["booru", "fid", "picture", "side", "categories"]), sets, keys


def _alike(connection: duckdb.DuckDBPyConnection, ledger: Ledger, sets: TagSets) -> IntArray:
    """Near-duplicates of the release in hand, among each other and with the latest listings of others, as rows."""
    options = ledger.options
    if not options.near_duplicate_jaccard:
        return np.empty((0, 2), np.int64)
    others = sql.table(connection, _SQL, "same_blocks")["row"].to_numpy().astype(np.int64)
    row = np.concatenate([others, len(ledger) + np.arange(len(sets))])
    both = TagSets.concatenate([ledger.sets(others), sets])
    links = near_duplicates(both, row >= len(ledger), options.near_duplicate_jaccard, options.near_duplicate_min_tags)
    return row[links]


def _renamed(ledger: Ledger, merged: pa.Table, listed: IntArray) -> pa.Table:
    """Posts of earlier releases whose group has another name now, but those that are listed again."""
    members = ledger.where(group_token=merged["former_token"].to_numpy())
    rows = ledger.last(ledger.numbers("key", members))
    rows = rows[np.isin(rows, members) & ~np.isin(ledger.numbers("key", rows), listed)]
    posts = ledger.take(rows)
    place = pc.index_in(posts["group_md5"], value_set=merged["former"].combine_chunks())
    posts = posts.filter(pc.is_valid(place))
    place = place.drop_null()
    for name in ("group_md5", "group_token"):
        posts = posts.set_column(posts.column_names.index(name), posts.schema.field(name), merged[name].take(place))
    return posts
