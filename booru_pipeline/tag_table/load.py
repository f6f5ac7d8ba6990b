"""Loading one raw release into its tag table."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from booru_pipeline import sql
from booru_pipeline.errors import DISK_ERRORS, BooruError
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record
from booru_pipeline.release.find import Release
from booru_pipeline.release.header import read_header
from booru_pipeline.tag_table.lines import read_lines
from booru_pipeline.tag_table.options import TagTableOptions

FILES_COLUMNS: Final = [
    *["booru", "fid", "file_name", "torr_md5", "orig_ext", "orig_md5", "file_size", "img_size_torr", "jq", "torr_path"],
    *["tags_copyr", "tags_char", "tags_artist"],
]
TAGS_COLUMNS: Final = ["booru", "fid", "tag", "tag_id", "tag_cat", "danb_fr"]

_DISK_PROBLEMS: Final = [os.strerror(number) for number in DISK_ERRORS]


# Statements that parse a file, judge its lines, find repeats among them, and insert the rest.
_FILES: Final = ("parse_files", "judge_files", "repeats_files", "load_files")
_TAGS: Final = ("parse_tags", "judge_tags", "repeats_tags", "load_tags")


@dataclass(frozen=True)
class Accounting:
    """Counts of one file's lines by what became of them; `lines_read` is the sum of the others."""

    source: str
    lines_read: int
    header: int
    kept: int
    duplicates: int
    rejected: int
    blank: int

    @property
    def reject_share(self) -> float:
        """The share of its rows that could not be used."""
        return self.rejected / max(self.kept + self.rejected, 1)

    @property
    def holds(self) -> bool:
        """Whether every line read is accounted for."""
        return self.lines_read == self.header + self.kept + self.duplicates + self.rejected + self.blank


def load_release(release: Release, final: Path, staging: Staging, options: TagTableOptions, record: Record) -> None:
    """Load both TSV files of a release into one DuckDB file, replacing a former one in one step.

    The tables are `files` and `tags` with the origin's columns, `rejects` (every unusable line, its number, bytes and
    reason), `accounting` (what became of the lines, see `Accounting`) and `record`.

    Args:
        release: A complete release.
        final: The DuckDB file to publish.
        staging: Where it is written first.
        options: Limits.
        record: What the table is made from, kept in it.

    Raises:
        BooruError: A file is empty or broken, lacks a column, or has too many unusable lines; the former table stays.
    """
    files_header = read_header(release.files, FILES_COLUMNS)
    tags_header = read_header(release.tags, TAGS_COLUMNS)
    with new_tag_table(release, final, staging, options, record) as connection:
        sql.run(connection, "tag_table", "macros")
        with ThreadPoolExecutor(1) as reader:  # the tags are read while the files are loaded
            tags_lines = reader.submit(read_lines, release.tags)
            _load(connection, _FILES, read_lines(release.files), header=files_header, shard=release.shard)
            _load(connection, _TAGS, tags_lines.result(), header=tags_header)


@contextmanager
def new_tag_table(
    release: Release, final: Path, staging: Staging, options: TagTableOptions, record: Record
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an empty tag table to fill; when the block ends, check its accounting, and publish it with its record.

    Takes what `load_release` takes.

    Raises:
        BooruError: It has no rows or too many unusable ones, or the disk is full, over quota or read-only.
    """
    try:
        with staged(final, staging) as draft, duckdb.connect(str(draft)) as connection:
            sql.run(connection, "tag_table", "schema")
            yield connection
            for accounting in read_accounting(connection):
                _check(connection, accounting, release, options)
            record.write_table(connection)
            connection.execute("CHECKPOINT")  # closing does it too, and keeps quiet when it fails
    except duckdb.Error as error:  # of several classes: a commit that finds the disk full is a TransactionException
        problem = next((text for text in _DISK_PROBLEMS if text in str(error)), None)
        if problem is None:
            raise
        raise BooruError(
            f"cannot write {final}: {problem}. Free some space or choose another home with --home; "
            "the former table, if there was one, is untouched."
        ) from error


def _load(
    connection: duckdb.DuckDBPyConnection, statements: tuple[str, str, str, str], lines: pa.Table, **variables: object
) -> None:
    """Load one file: find the lines that are not to be kept, then insert the others.

    The lines stay in memory as they are in the file and are parsed twice, to be judged and to be inserted. That is
    faster than keeping them parsed.
    """
    parse, judge, find_repeats, insert = statements
    wanted = np.ones(len(lines), dtype=bool)
    wanted[0] = False  # the header
    connection.register("lines", lines.append_column("wanted", pa.array(wanted)))
    sql.run(connection, "tag_table", parse, **variables)
    verdicts = sql.table(connection, "tag_table", judge)
    unusable = verdicts.filter(pc.is_valid(verdicts["reason"])).select(["line", "reason"])

    suspects = lines.filter(_among(lines, _suspects(verdicts)))
    connection.register("lines", suspects.append_column("wanted", pa.repeat(True, len(suspects))))
    repeats = sql.table(connection, "tag_table", find_repeats)

    bad = pa.concat_tables([unusable, repeats]).sort_by("line")
    is_bad = _among(lines, bad["line"])
    connection.register("set_aside", lines.filter(is_bad).append_column("reason", bad["reason"]))
    connection.register("lines", lines.append_column("wanted", pc.and_not(pa.array(wanted), is_bad)))
    sql.run(connection, "tag_table", insert)
    connection.unregister("set_aside")
    connection.unregister("lines")


def _suspects(verdicts: pa.Table) -> pa.ChunkedArray:
    """The usable lines whose key's hash occurs again. They are few, so that their keys can be compared in full.

    Sorting the hashes takes a fifth of the time that grouping by the keys does.
    """
    hashes = np.sort(verdicts["key_hash"].to_numpy())
    repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    suspects = verdicts.filter(pc.is_in(verdicts["key_hash"], pa.array(repeated)))
    return suspects.filter(pc.is_null(suspects["reason"]))["line"]


def _among(lines: pa.Table, numbers: pa.ChunkedArray) -> pa.BooleanArray:
    """For each line, whether it is among the numbered ones. Filtering by it copies no other line; `take` would."""
    among = np.zeros(len(lines), dtype=bool)
    among[numbers.to_numpy() - 1] = True
    return pa.array(among)


def _check(
    connection: duckdb.DuckDBPyConnection, accounting: Accounting, release: Release, options: TagTableOptions
) -> None:
    path, source = release.files if accounting.source == "files" else release.tags, accounting.source
    if not accounting.holds:
        raise AssertionError(f"{path}: lines are not accounted for: {accounting}")
    if accounting.kept + accounting.rejected == 0:
        if release.hand_tagged:
            raise BooruError(f"{path} puts no row into {source}. A hand-tagged release needs rows of both tables.")
        raise BooruError(f"{path} has a header and no rows. Download it again.")
    share = accounting.reject_share
    if share > options.max_reject_share:
        lines, remedy = (
            (f"rows of {source}", "Correct the rows") if release.hand_tagged else ("lines", "Download the file again")
        )
        rows = sql.run(connection, "tag_table", "first_rejects", source=source).fetchall()
        first = "; ".join(f"line {line}: {reason}" for line, reason in rows)
        raise BooruError(
            f"{path}: {accounting.rejected:,} of {accounting.lines_read:,} {lines} ({share:.1%}) cannot be used, "
            f"more than max_reject_share = {options.max_reject_share:.1%} ({first}). "
            f"{remedy}, or raise that limit; the former table, if there was one, is untouched."
        )


def read_accounting(connection: duckdb.DuckDBPyConnection) -> list[Accounting]:
    """The accounting of a tag table: for `files`, then for `tags`."""
    rows = sql.run(connection, "tag_table", "accounting").fetchall()
    return [Accounting(*row) for row in rows]


def reject_share(tag_table: Path) -> float:
    """The larger share of unusable rows of the two files of a tag table."""
    with duckdb.connect(str(tag_table), read_only=True) as connection:
        return max(accounting.reject_share for accounting in read_accounting(connection))


@dataclass(frozen=True)
class TagTableSummary:
    """Figures of a tag table, for a person.

    Attributes:
        accounting: For `files` and `tags`.
        rejects: Lines that could not be used, by (file, reason).
        key_violations: Repeated keys and tags without a file, by kind; all 0 in a good table.
        sample: A few rows of `tags`, as (column names, rows).
    """

    accounting: list[Accounting]
    rejects: dict[tuple[str, str], int]
    key_violations: dict[str, int]
    sample: tuple[list[str], list[tuple[object, ...]]]


def summarise(tag_table: Path) -> TagTableSummary:
    """Read a tag table's figures."""
    with duckdb.connect(str(tag_table), read_only=True) as connection:
        rejects = sql.run(connection, "tag_table", "reject_counts").fetchall()
        accounting = read_accounting(connection)
        [violations] = sql.table(connection, "tag_table", "key_violations").to_pylist()
        sample = sql.run(connection, "tag_table", "sample_rows")
        return TagTableSummary(
            accounting=accounting,
            rejects={(source, reason): lines for source, reason, lines in rejects},
            key_violations=violations,
            sample=([column[0] for column in sample.description], sample.fetchall()),
        )
