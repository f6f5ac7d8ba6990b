"""What became of the rows of a release, and what else there is to say of a tag table."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from booru_pipeline import sql


@dataclass(frozen=True)
class Accounting:
    """Counts of one file's lines by what became of them; `lines_read` is the sum of the others."""

    source: str
    lines_read: int
    header: int
    kept: int
    duplicates: int
    merged: int
    rejected: int
    blank: int

    @property
    def reject_share(self) -> float:
        """The share of its rows that could not be used."""
        return self.rejected / max(self.kept + self.rejected, 1)

    @property
    def holds(self) -> bool:
        """Whether every line read is accounted for."""
        accounted = self.header + self.kept + self.duplicates + self.merged + self.rejected + self.blank
        return self.lines_read == accounted


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
        spellings: What each rule for names changed: file, kind of name, rule, names, and rows.
        passed_over: Statements of a hand-tagged release that put nothing into the tables, each with its line.
        sample: A few rows of `tags`, as (column names, rows).
    """

    accounting: list[Accounting]
    rejects: dict[tuple[str, str], int]
    spellings: list[tuple[str, str, str, int, int]]
    passed_over: list[tuple[int, str]]
    sample: tuple[list[str], list[tuple[object, ...]]]


def summarise(tag_table: Path) -> TagTableSummary:
    """Read a tag table's figures."""
    with duckdb.connect(str(tag_table), read_only=True) as connection:
        rejects = sql.run(connection, "tag_table", "reject_counts").fetchall()
        accounting = read_accounting(connection)
        sample = sql.run(connection, "tag_table", "sample_rows")
        return TagTableSummary(
            accounting=accounting,
            rejects={(source, reason): lines for source, reason, lines in rejects},
            spellings=sql.run(connection, "tag_table", "rules_applied").fetchall(),
            passed_over=sql.run(connection, "tag_table", "passed_over").fetchall(),
            sample=([column[0] for column in sample.description], sample.fetchall()),
        )


def key_violations(tag_table: Path) -> dict[str, int]:
    """Repeated keys and tags without a file, by kind; all 0 in a good table. Sorts on disk what 2 GB do not hold."""
    with duckdb.connect(str(tag_table), read_only=True, config={"memory_limit": "2GB"}) as connection:
        violations: dict[str, int]
        [violations] = sql.table(connection, "tag_table", "key_violations").to_pylist()
    return violations
