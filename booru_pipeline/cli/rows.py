"""Rows as people and programs want them: what goes to a terminal is cut to be read, what goes on to a file is whole."""

import contextlib
import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from booru_pipeline.cli.app import err, out
from booru_pipeline.errors import BooruError, printable, printable_lines

if TYPE_CHECKING:
    import duckdb

_SHOWN: Final = 200  # rows on a terminal
_AT_ONCE: Final = 8192  # rows in memory
# What terminals obey, beyond the control characters of ASCII, which JSON escapes by itself.
_OBEYED: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Form(StrEnum):
    """How rows are written where they are not shown as a table."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    JSON_LINES = "json lines"


Csv = Annotated[bool, typer.Option("--csv", help="Write all rows as CSV, the names first.")]
Lines = Annotated[bool, typer.Option("--json", "--jsonl", help="Write all rows as JSON lines, an object a row.")]


def form_of(as_csv: bool, as_json: bool) -> Form | None:
    """The form of rows by two flags; None for a table on a terminal.

    Raises:
        BooruError: Both are given.
    """
    if as_csv and as_json:
        raise BooruError("there are --csv and --json. Give one of the two.")
    return Form.CSV if as_csv else Form.JSON_LINES if as_json else None if out.is_terminal else Form.TEXT


def show_first(relation: "duckdb.DuckDBPyRelation") -> None:
    """DuckDB's own table of the first and last rows, and how many more there are."""
    with contextlib.redirect_stdout(io.StringIO()) as box:
        relation.show(max_rows=_SHOWN, max_width=out.width)
    text = printable_lines(box.getvalue().rstrip("\n"))
    print(text)
    if text.count("\n") >= _SHOWN:
        [(rows,)] = relation.aggregate("count(*)").fetchall()
        if rows > _SHOWN:
            err.print(f"{rows - _SHOWN:,} rows are not shown: `> rows.txt`, or --csv or --json, writes all {rows:,}")


def write(relation: "duckdb.DuckDBPyRelation", form: Form, file: TextIO | None = None) -> None:
    """Write all rows to a file, or to standard output, some thousands in memory at a time."""
    to = file or sys.stdout
    in_json = form in (Form.JSON, Form.JSON_LINES)
    cells = "to_json(COLUMNS(*))" if in_json else "COLUMNS(*)::VARCHAR"
    texts = relation.project(cells)
    rows = (
        row
        for batch in texts.to_arrow_reader(_AT_ONCE)
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    if in_json:
        _write_json(texts.columns, rows, to, lines=form is Form.JSON_LINES)
    elif form is Form.CSV:
        clean = printable if file is None and out.is_terminal else str
        writer = csv.writer(to, lineterminator="\n")
        writer.writerow(map(clean, relation.columns))
        writer.writerows([cell if cell is None else clean(cell) for cell in row] for row in rows)
    else:
        print("\t".join(map(printable, relation.columns)), file=to)
        for row in rows:
            print("\t".join("NULL" if cell is None else printable(cell) for cell in row), file=to)


def _write_json(names: list[str], rows: Iterator[tuple[str | None, ...]], to: TextIO, *, lines: bool) -> None:
    """Write an array with an object a line, or just the objects."""
    keys = [json.dumps(name) for name in names]
    before, between, end = ("", "\n", "\n") if lines else ("[", ",\n ", "]\n")
    nothing = "" if lines else "[]\n"
    for row in rows:
        cells = ", ".join(f"{key}: {_json_cell(cell)}" for key, cell in zip(keys, row, strict=True))
        to.write(f"{before}{{{cells}}}")
        before, nothing = between, end
    to.write(nothing)


def _json_cell(cell: str | None) -> str:
    """A value as DuckDB writes it, but null for what JSON has no number for, and nothing in it that terminals obey."""
    if cell is None:
        return "null"
    if "NaN" in cell or "Infinity" in cell:
        cell = json.dumps(json.loads(cell, parse_constant=lambda _: None), ensure_ascii=False)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", cell)
