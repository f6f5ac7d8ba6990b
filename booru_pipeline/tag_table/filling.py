"""One of the two tables of a tag table while rows come in, and the account of what becomes of them."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from booru_pipeline import sql
from booru_pipeline.tag_table.accounting import Accounting
from booru_pipeline.tag_table.raw_rows import RawRows
from booru_pipeline.tag_table.reader import Inserted, Lines, TextChunk, columns_to_read
from booru_pipeline.tag_table.spelling import Spelling

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SQL: Final = "tag_table"
_NAMES: Final = ("booru", "tag")
_UNUSABLE: Final = ["line", "fields", "raw", "reason"]
_REPEATS: Final = pa.schema([("row", pa.int64()), ("number", pa.int64()), ("outcome", pa.string())])
_HASHES: Final = 1 << 23  # in memory at once: 32 MiB, and as much to sort them
_OTHERS_BYTES: Final = 1 << 25  # of the rows of a text that are looked at one by one


class Filling:
    """Inserts rows, says of the others why not, and finds the repeats when all are in.

    Lines of text go in as DuckDB's reader has them, and those that are no good so are taken out again. Of other rows
    the good ones with plain names go in first, in one pass; they are nearly all. What is missing then is looked at:
    names are made canonical, what is good goes in, and the rest is rejected.

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
        self._height = 0  # of the table, with rows that were taken out
        self._texts: list[Inserted] = []
        self._lines = Lines.on(connection)
        self._run("number")

    def insert(self, chunk: pa.Table | TextChunk) -> None:
        """Take the rows that come next."""
        start = self._read
        if isinstance(chunk, TextChunk):
            self._read += chunk.lines + (self._rows.headers if start == 0 else 0)
            for rows in chunk.others(self._insert_text(chunk), _OTHERS_BYTES):
                self._insert_rows(rows, rows["line"].to_numpy() - 1)
        else:
            self._read += len(chunk)
            headers = max(self._rows.headers - start, 0)
            self._insert_rows(chunk.slice(headers), np.arange(start + headers, self._read))

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

    def _insert_text(self, chunk: TextChunk) -> "NDArray[np.int64]":
        """Insert lines as the reader cuts them, and give the places of those among them that have to be looked at."""
        if not chunk.clean_lines:
            return np.array([], dtype=np.int64)
        start = self._height
        self._lines.hold(chunk.clean)
        inserted = self._insert("insert_text", columns=columns_to_read(self._source, self._rows.columns))
        refused = self._table("refused_lines", f"{_SQL}/reader")["place"].to_numpy()
        self._run("forget_refused", f"{_SQL}/reader")
        if inserted + len(refused) == chunk.clean_lines:
            odd = self._table("odd", start=start)["row"].to_numpy()
            text = Inserted(start, inserted, refused, chunk.places)
            self._texts.append(text)
            others = np.sort(np.concatenate([refused, text.places_of(odd)]))
        else:  # the reader passes over blank lines, and does not say so
            odd = np.arange(start, self._height)
            others = np.arange(chunk.clean_lines)
        if len(odd):
            self._give("odd", pa.table({"row": odd}))
            self._run("remove_odd")
        return others

    def _insert_rows(self, rows: pa.Table, numbers: "NDArray[np.int64]") -> None:
        """Insert rows that are good, and reject the others."""
        unknown = pa.nulls(len(rows), pa.string())
        columns = [numbers, unknown, unknown, np.zeros(len(rows), dtype=bool)]
        for name, column in zip(["number", "booru_name", "tag_name", "is_spelled"], columns, strict=True):
            rows = rows.append_column(name, pa.array(column))
        missing = self._try(rows)
        if not len(missing):
            return
        missing = self._try(self._spelled(missing))
        if self._source == "tags":
            self._run("insert_raw")
        if len(missing):
            self._give("lines", missing)
            verdicts = self._table("judge")
            self._reject(missing.append_column("reason", verdicts["reason"]))

    def _insert(self, statement: str, **variables: object) -> int:
        """Insert rows, and give how many."""
        [(inserted,)] = sql.run(self._connection, self._folder, statement, **self._variables, **variables).fetchall()
        self._height += inserted
        return int(inserted)

    def _try(self, rows: pa.Table) -> pa.Table:
        """Insert those rows that are good, and give the others."""
        if not len(rows):
            return rows
        self._give("lines", rows)
        self._run("parse")
        self._insert("insert")
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
        """Rows that repeat another's key: row, number, and outcome."""
        yield _REPEATS.empty_table()
        parts = max(-(-self._read // _HASHES), 1)
        for part in range(parts):
            hashes = np.sort(self._table("hashes", parts=parts, part=part)["key_hash"].to_numpy())
            repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
            if len(repeated):
                self._give("alike", pa.table({"key_hash": repeated}))
                suspects = self._table("suspects")
                self._give("suspects", suspects.set_column(1, "number", pa.array(self._numbers(suspects))))
                yield self._table("repeats")

    def _numbers(self, suspects: pa.Table) -> "NDArray[np.int64]":
        """Numbers of rows by where they stand."""
        rows = suspects["row"].to_numpy()
        numbers = pc.fill_null(suspects["number"], -1).to_numpy().copy()
        for text in self._texts:
            here = (rows >= text.start) & (rows < text.start + text.count)
            numbers[here] = text.places.numbers(text.places_of(rows[here]))
        return numbers

    def _reject(self, rows: pa.Table) -> None:
        self._outcomes.update(rows["reason"].to_pylist())
        rows = rows.filter(pc.not_equal(rows["reason"], "blank"))
        if len(rows):
            self._give("unusable", rows.select(_UNUSABLE))
            self._run("insert_rejects", _SQL)

    def _reject_again(self, numbers: "NDArray[np.int64]") -> None:
        """Reject rows that are in conflict with others, as they are written: they are read again."""
        start = 0
        for length, take in self._again() if len(numbers) else ():
            here = numbers[(numbers >= start) & (numbers < start + length)] - start
            if len(here):
                rows = pa.table(take(here))
                self._reject(rows.append_column("reason", pa.repeat("conflicting_duplicate", len(rows))))
            start += length
        if len(numbers):
            self._run("sort_rejects", _SQL)

    def _again(self) -> Iterator[tuple[int, "Callable[[NDArray[np.int64]], pa.RecordBatch]"]]:
        """The rows from the beginning, some at a time: how many, and what takes some of them."""
        if self._rows.blocks is not None:
            yield from ((block.lines, block.some_rows) for block in self._rows.blocks())
        else:
            yield from (
                (len(batch), lambda here, batch=batch: batch.take(pa.array(here))) for batch in self._rows.batches()
            )

    def _give(self, name: str, rows: pa.Table) -> None:
        self._connection.register(name, rows)

    def _run(self, statement: str, folder: str | None = None, **variables: object) -> None:
        sql.run(self._connection, folder or self._folder, statement, **self._variables, **variables)

    def _table(self, statement: str, folder: str | None = None, **variables: object) -> pa.Table:
        return sql.table(self._connection, folder or self._folder, statement, **self._variables, **variables)
