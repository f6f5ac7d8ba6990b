"""Loading one raw release into its tag table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from booru_pipeline import sql
from booru_pipeline.artifact import Record, staged
from booru_pipeline.errors import BooruError
from booru_pipeline.release.find import Release
from booru_pipeline.release.header import read_header
from booru_pipeline.tag_table.lines import read_lines
from booru_pipeline.tag_table.options import TagTableOptions

FILES_COLUMNS: Final = [
    *["booru", "fid", "file_name", "torr_md5", "orig_ext", "orig_md5", "file_size", "img_size_torr", "jq", "torr_path"],
    *["tags_copyr", "tags_char", "tags_artist"],
]
TAGS_COLUMNS: Final = ["booru", "fid", "tag", "tag_id", "tag_cat", "danb_fr"]


@dataclass(frozen=True)
class Accounting:
    """What became of one file's lines; `lines_read` is the sum of the others."""

    source: str
    lines_read: int
    header: int
    kept: int
    duplicates: int
    rejected: int
    blank: int

    @property
    def holds(self) -> bool:
        """Whether every line read is accounted for."""
        return self.lines_read == self.header + self.kept + self.duplicates + self.rejected + self.blank


def load_release(release: Release, final: Path, staging: Path, options: TagTableOptions, record: Record) -> None:
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
    with staged(final, staging) as draft, duckdb.connect(str(draft)) as connection:
        sql.run(connection, "tag_table", "schema")
        _parse(connection, "parse_files", release.files, header=files_header, shard=release.shard)
        sql.run(connection, "tag_table", "load_files")
        _parse(connection, "parse_tags", release.tags, header=tags_header)
        sql.run(connection, "tag_table", "load_tags")
        for accounting in read_accounting(connection):
            path = release.files if accounting.source == "files" else release.tags
            _check(connection, accounting, path, options)
        record.write_table(connection)


def _parse(connection: duckdb.DuckDBPyConnection, name: str, path: Path, **variables: object) -> None:
    connection.register("lines", read_lines(path))
    sql.run(connection, "tag_table", name, **variables)
    connection.unregister("lines")


def _check(connection: duckdb.DuckDBPyConnection, accounting: Accounting, path: Path, options: TagTableOptions) -> None:
    if not accounting.holds:
        raise AssertionError(f"{path}: lines are not accounted for: {accounting}")
    if accounting.kept + accounting.rejected == 0:
        raise BooruError(f"{path} has a header and no rows. Download it again.")
    share = accounting.rejected / (accounting.kept + accounting.rejected)
    if share > options.max_reject_share:
        rows = sql.run(connection, "tag_table", "first_rejects", source=accounting.source).fetchall()
        first = "; ".join(f"line {line}: {reason}" for line, reason in rows)
        raise BooruError(
            f"{path}: {accounting.rejected:,} of {accounting.lines_read:,} lines ({share:.1%}) cannot be used, "
            f"more than max_reject_share = {options.max_reject_share:.1%} ({first}). "
            "Download the file again, or raise that limit; the former table, if there was one, is untouched."
        )


def read_accounting(connection: duckdb.DuckDBPyConnection) -> list[Accounting]:
    """The accounting of a tag table: for `files`, then for `tags`."""
    rows = sql.run(connection, "tag_table", "accounting").fetchall()
    return [Accounting(*row) for row in rows]


@dataclass(frozen=True)
class TagTableSummary:
    """What a tag table holds, for a person.

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
        names, [violations] = _rows(connection, "key_violations")
        return TagTableSummary(
            accounting=accounting,
            rejects={(source, reason): lines for source, reason, lines in rejects},
            key_violations={name: int(str(count)) for name, count in zip(names, violations, strict=True)},
            sample=_rows(connection, "sample_rows"),
        )


def _rows(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[list[str], list[tuple[object, ...]]]:
    result = sql.run(connection, "tag_table", name)
    return [column[0] for column in result.description], result.fetchall()
