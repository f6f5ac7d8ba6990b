"""One of the two tables of a tag table while rows come in, and the account of what becomes of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from booru_pipeline import sql
from booru_pipeline.tag_table.accounting import Accounting
from booru_pipeline.tag_table.raw_rows import RawRows
from booru_pipeline.tag_table.spelling import Spelling

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SQL: Final = "tag_table"
_NAMES: Final = ("booru", "tag")
_UNUSABLE: Final = ["line", "fields", "raw", "reason"]
_HASHES: Final = 1 << 23  # in memory at once: 64 MiB, their numbers as much, and as much to sort them


class Filling:
    """Inserts rows, says of the others why not, and finds the repeats when all are in.

    A chunk's good rows with plain names go in first, in one pass; they are nearly all. What is missing then is looked
    at: names are made canonical, what is good goes in, and the rest is rejected.

    Args:
        connection: To an empty tag table; tags are filled in after files.
        source: files or tags.
        rows: What is about to come.
        spelling: Names.
        shard: The release's name.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, source: str, rows: RawRows, spelling: Spelling, shard: str
    ) -> None:
        self._connection = connection
        self._source = source
        self._folder = f"{_SQL}/{source}"
        self._rows = rows
        self._spelling = spelling
        self._variables = {"header": rows.columns, "shard": shard, "source": source}
        self._outcomes: Counter[str] = Counter()
        self._read = 0
        self._run("number")

    def insert(self, chunk: pa.Table) -> None:
        """Take the rows that come next."""
        start = self._read
        self._read += len(chunk)
        unknown = pa.nulls(len(chunk), pa.string())
        columns = [np.arange(start, self._read), unknown, unknown, np.zeros(len(chunk), dtype=bool)]
        for name, column in zip(["number", "booru_name", "tag_name", "is_spelled"], columns, strict=True):
            chunk = chunk.append_column(name, pa.array(column))
        missing = self._try(chunk.slice(max(self._rows.headers - start, 0)))
        if not len(missing):
            return
        missing = self._try(self._spelled(missing))
        if self._source == "tags":
            self._run("insert_raw")
        if len(missing):
            self._give("lines", missing)
            verdicts = self._table("judge")
            self._reject(missing.append_column("reason", verdicts["reason"]))

    def finish(self) -> None:
        """Take the repeats out, and write the account."""
        repeats = pa.concat_tables(self._repeats())
        if len(repeats):
            self._give("repeats", repeats)
            self._run("remove")
            if self._source == "tags":
                self._run("unique_raw")
            conflicts = pc.equal(repeats["outcome"], "conflicting_duplicate")
            self._outcomes.update(repeats.filter(pc.invert(conflicts))["outcome"].to_pylist())
            self._reject_again(np.sort(repeats.filter(conflicts)["number"].to_numpy()))
        self._run("unnumber")
        [(kept,)] = self._connection.execute(sql.statement(self._folder, "count")).fetchall()
        headers = min(self._rows.headers, self._read)
        blank, duplicates, merged = (self._outcomes.pop(name, 0) for name in ("blank", "duplicate", "merged"))
        rejected = self._outcomes.total()
        accounting = Accounting(self._source, self._read, headers, kept, duplicates, merged, rejected, blank)
        self._connection.execute(sql.statement(_SQL, "insert_accounting"), astuple(accounting))

    def _try(self, rows: pa.Table) -> pa.Table:
        """Insert those rows that are good, and give the others."""
        if not len(rows):
            return rows
        self._give("lines", rows)
        self._run("parse")
        self._run("insert")
        numbers = rows["number"].to_numpy()
        inserted = self._table("numbers", start=int(numbers[0]))["number"].to_numpy()
        missing = np.isin(numbers, inserted, invert=True)
        return rows.filter(pa.array(missing))

    def _spelled(self, rows: pa.Table) -> pa.Table:
        """Rows with the canonical names of what is written otherwise, as columns."""
        self._give("lines", rows)
        columns = {"is_spelled": pa.repeat(True, len(rows))}
        for kind in _NAMES:
            self._give("names", self._spelling.look_at(self._source, kind, self._table("names", _SQL, kind=kind)))
            columns[f"{kind}_name"] = self._table("respelled", _SQL, kind=kind)["name"]
        for name, column in columns.items():
            rows = rows.set_column(rows.column_names.index(name), name, column)
        return rows

    def _repeats(self) -> Iterator[pa.Table]:
        """Rows that repeat another's key: number, and outcome."""
        yield pa.table({"number": pa.array([], pa.int64()), "outcome": pa.array([], pa.string())})
        parts = max(-(-self._read // _HASHES), 1)
        for part in range(parts):
            found = self._table("hashes", parts=parts, part=part)
            hashes = np.sort(found["key_hash"].to_numpy())
            repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
            if len(repeated):
                self._give("suspects", found.filter(pc.is_in(found["key_hash"], pa.array(repeated))))
                yield self._table("repeats")

    def _reject(self, rows: pa.Table) -> None:
        self._outcomes.update(rows["reason"].to_pylist())
        rows = rows.filter(pc.not_equal(rows["reason"], "blank"))
        if len(rows):
            self._give("unusable", rows.select(_UNUSABLE))
            self._run("insert_rejects", _SQL)

    def _reject_again(self, numbers: "NDArray[np.int64]") -> None:
        """Reject rows that are in conflict with others, as they are written: they are read again."""
        start = 0
        for batch in self._rows.batches() if len(numbers) else ():
            here = numbers[(numbers >= start) & (numbers < start + len(batch))] - start
            if len(here):
                rows = pa.table(batch.take(pa.array(here)))
                self._reject(rows.append_column("reason", pa.repeat("conflicting_duplicate", len(rows))))
            start += len(batch)
        if len(numbers):
            self._run("sort_rejects", _SQL)

    def _give(self, name: str, rows: pa.Table) -> None:
        self._connection.register(name, rows)

    def _run(self, statement: str, folder: str | None = None, **variables: object) -> None:
        sql.run(self._connection, folder or self._folder, statement, **self._variables, **variables)

    def _table(self, statement: str, folder: str | None = None, **variables: object) -> pa.Table:
        return sql.table(self._connection, folder or self._folder, statement, **self._variables, **variables)
