"""Loading one raw release into its tag table."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import duckdb
import pyarrow as pa

from booru_pipeline import sql
from booru_pipeline.errors import DISK_ERRORS, BooruError
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record
from booru_pipeline.progress import step
from booru_pipeline.release.content import compression_of
from booru_pipeline.release.find import Release
from booru_pipeline.release.layout import Layout
from booru_pipeline.tag_table.accounting import Accounting, read_accounting
from booru_pipeline.tag_table.filling import Filling
from booru_pipeline.tag_table.layouts.read import read_release
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline.tag_table.raw_rows import RAW_ROWS, RawRows
from booru_pipeline.tag_table.reader import TextChunk
from booru_pipeline.tag_table.spelling import Spelling

_DISK_PROBLEMS: Final = [os.strerror(number) for number in DISK_ERRORS]
_SQL: Final = "tag_table"
Item = TypeVar("Item")
_MIB: Final = 1 << 20
# Of the memory that may be taken: DuckDB's share, and that of a chunk of rows. Two chunks are there at once, one that
# is loaded and one that is read ahead.
_DUCKDB_SHARE: Final = 1 / 2
_CHUNK_SHARE: Final = 1 / 4


def load_release(release: Release, final: Path, staging: Staging, options: TagTableOptions, record: Record) -> None:
    """Load a raw release into one DuckDB file, replacing a former one in one step.

    The tables are `files` and `tags` with the origin's columns, `rejects` (every unusable line, its number, bytes and
    reason), `raw_tags` and `spellings` (what is written otherwise in the dump), `accounting` (what became of the lines,
    see `Accounting`) and `record`. Rows are read, judged and inserted a chunk at a time: memory does not grow with the
    files.

    Args:
        release: A complete release, of any layout.
        final: The DuckDB file to publish.
        staging: Where it is written first.
        options: Limits, and rules for names.
        record: What the table is made from, kept in it.

    Raises:
        BooruError: A file is empty or broken, lacks a column, has no rows, or has too many unusable ones; or the disk
            is full, over quota or read-only. The former table stays.
    """
    content = read_release(release)
    spelling = Spelling(options.skip_name_rules)
    size = int(options.memory_mib * _MIB * _CHUNK_SHARE)
    with _new_table(final, staging, options) as connection, ThreadPoolExecutor(1) as reader:
        tables = {"files": content.files, "tags": content.tags}
        chunks = ((source, chunk) for source, rows in tables.items() for chunk in _chunks(source, rows, size))
        ahead = reader.submit(next, chunks, None)  # the next chunk is read while one is loaded
        for source, rows in tables.items():
            filling = Filling(connection, source, rows, spelling, release.shard)
            with step(f"loading {source}", total=_bytes_of(release.path_of(source), rows)) as loading:
                while (found := ahead.result()) is not None and found[0] == source:
                    ahead = reader.submit(next, chunks, None)
                    filling.insert(found[1])
                    loading.advance(found[1].bytes if isinstance(found[1], TextChunk) else 0)
                filling.finish()
        connection.register("changed", spelling.changed())
        sql.run(connection, _SQL, "insert_spellings")
        sql.run(connection, _SQL, "insert_categories")
        if content.passed_over:
            connection.executemany(sql.statement(_SQL, "insert_passed_over"), content.passed_over)
        for accounting in read_accounting(connection):
            _check(connection, accounting, release, options)
        record.write_table(connection)
        connection.execute("CHECKPOINT")  # closing does it too, and keeps quiet when it fails


@contextmanager
def _new_table(final: Path, staging: Staging, options: TagTableOptions) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an empty tag table to fill, and publish it when the block ends."""
    limit = f"{int(options.memory_mib * _DUCKDB_SHARE)}MiB"
    try:
        with (
            staged(final, staging) as draft,
            duckdb.connect(str(draft), config={"memory_limit": limit}) as connection,
        ):
            sql.run(connection, _SQL, "settings")
            sql.run(connection, _SQL, "schema")
            sql.run(connection, _SQL, "macros")
            yield connection
    except duckdb.OutOfMemoryException as error:
        raise BooruError(
            f"to load {final.stem} takes more memory than memory_mib = {options.memory_mib:,} under [tag_table]: raise "
            "that; the former table, if there was one, is untouched."
        ) from error
    except duckdb.Error as error:  # of several classes: a commit that finds the disk full is a TransactionException
        problem = next((text for text in _DISK_PROBLEMS if text in str(error)), None)
        if problem is None:
            raise
        raise BooruError(
            f"cannot write {final}: {problem}. Free some space or choose another home with --home; "
            "the former table, if there was one, is untouched."
        ) from error


def _chunks(source: str, rows: RawRows, size: int) -> Iterator[pa.Table | TextChunk]:
    """Rows some at a time, of about so many bytes; lines of text are given without the header."""
    if rows.blocks is not None:
        for blocks in _gathered(rows.blocks(), size, lambda block: len(block.data)):
            if blocks[0].first_line == 1:
                blocks[0] = blocks[0].without_first()
            yield TextChunk(blocks, source, rows.columns)
    else:
        for batches in _gathered(rows.batches(), size, lambda batch: batch.nbytes):
            yield pa.Table.from_batches(batches, RAW_ROWS)


def _bytes_of(path: Path, rows: RawRows) -> int | None:
    """How many bytes of text there are to load, if that can be known: a compressed file does not say."""
    return path.stat().st_size if rows.blocks is not None and compression_of(path) is None else None


def _gathered(items: Iterator[Item], size: int, size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Items in lists of about so many bytes."""
    gathered: list[Item] = []
    taken = 0
    for item in items:
        gathered.append(item)
        taken += size_of(item)
        if taken >= size:
            yield gathered
            gathered, taken = [], 0
    if gathered:
        yield gathered


def _check(
    connection: duckdb.DuckDBPyConnection, accounting: Accounting, release: Release, options: TagTableOptions
) -> None:
    path = release.path_of(accounting.source)
    source = accounting.source
    if not accounting.holds:
        raise AssertionError(f"{path}: lines are not accounted for: {accounting}")
    if accounting.kept + accounting.rejected == 0:
        if release.layout is Layout.SCRIPT:
            raise BooruError(f"{path} puts no row into {source}. A hand-tagged release needs rows of both tables.")
        raise BooruError(f"{path} has a header and no rows. Download it again.")
    share = accounting.reject_share
    if share > options.max_reject_share:
        lines, remedy = (
            (f"rows of {source}", "Correct the rows")
            if release.layout is Layout.SCRIPT
            else ("lines", "Download the file again")
        )
        rows = sql.run(connection, "tag_table", "first_rejects", source=source).fetchall()
        first = "; ".join(f"line {line}: {reason}" for line, reason in rows)
        raise BooruError(
            f"{path}: {accounting.rejected:,} of {accounting.lines_read:,} {lines} ({share:.1%}) cannot be used, "
            f"more than max_reject_share = {options.max_reject_share:.1%} ({first}). "
            f"{remedy}, or raise that limit; the former table, if there was one, is untouched."
        )
