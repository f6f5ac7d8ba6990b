"""The command that queries: sql. What it prints on a terminal is cut to be read; what goes on to a file is whole."""

import contextlib
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Raw, app, err, out, read_settings
from booru_pipeline.cli.tables import show
from booru_pipeline.errors import BooruError, printable, printable_lines

if TYPE_CHECKING:
    import duckdb

    from booru_pipeline.tag_table.queries import Query

_SHOWN: Final = 200  # rows on a terminal
_AT_ONCE: Final = 8192  # rows in memory
# What terminals obey, beyond the control characters of ASCII, which JSON escapes by itself.
_OBEYED: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Form(StrEnum):
    """How rows are written where they are not shown as a table."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"


@app.command("sql")
def sql_command(
    query: Annotated[
        str | None, typer.Argument(help="A DuckDB query; read from the terminal or a pipe if none is given.")
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="Run the query in this file, or the one of this name in the library.")
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--set", help="A variable of the query as name=value; may be repeated.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write all rows as CSV, the names first.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write all rows as a JSON array, an object a line, as `duckdb -json` does.")
    ] = False,
    show_library: Annotated[bool, typer.Option("--list", help="Show the library of queries.")] = False,
    raw: Raw = None,
    home: Home = None,
) -> None:
    """Query the tag tables of all releases, attached read-only.

    `files` and `tags` have a row a listing and say in `release` which release it is of; `files_latest` and
    `tags_latest` have each post as it was listed last. `rejects` and `accounting` are there too, and each release by
    itself, as `"2021a".files`.

    On a terminal it shows the first rows and how many more there are. In a file or a pipe it writes all, a line a row
    with tabs between the columns; `--csv` and `--json` are for programs. Examples:

    `booru sql "select tag, count(*) from tags_latest group by tag order by 2 desc limit 10"`

    `booru sql --file general_labels --set min_posts=100 --csv > labels.csv`
    """
    import duckdb as engine

    from booru_pipeline.release.names import canonical_booru, canonical_tag
    from booru_pipeline.tag_table.attach import attach_all
    from booru_pipeline.tag_table.queries import check_variables, parse_variables, set_variables

    if show_library:
        _show_library()
        return
    if as_csv and as_json:
        raise BooruError("there are --csv and --json. Give one of the two.")
    form = Form.CSV if as_csv else Form.JSON if as_json else None
    values = parse_variables(variables or [])
    asked = _query(query, file)
    if asked is not None:
        check_variables(asked, values)
    lake = read_settings(raw=raw, home=home).lake
    with engine.connect() as connection:
        keys = attach_all(connection, lake)
        for name, function in (("tag_name", canonical_tag), ("booru_name", canonical_booru)):
            connection.create_function(name, function, ["VARCHAR"], "VARCHAR")
        set_variables(connection, values)
        if asked is not None:
            _execute(connection, asked.text, form)
            return
        out.print(f"files and tags of {', '.join(keys)}. End a query with ; and leave with Ctrl-D.")
        _prompt(lambda text: _execute(connection, text, form))


def _show_library() -> None:
    from booru_pipeline.tag_table.queries import library

    table = Table("query", "variables", "what it shows")
    for item in library():
        table.add_row(item.name, ", ".join(item.variables), escape(item.summary))
    show(table)


def _query(text: str | None, file: str | None) -> "Query | None":
    """The query that is asked for; None if it is to be typed."""
    from booru_pipeline.tag_table.queries import Query, find_query

    if text is not None and file is not None:
        raise BooruError("there is a query and a --file. Give one of the two.")
    if file is not None:
        return find_query(file)
    if text is not None:
        return Query("the query", text)
    if sys.stdin is not None and sys.stdin.isatty():
        return None
    try:
        return Query("the query", "" if sys.stdin is None else sys.stdin.buffer.read().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BooruError("standard input is not UTF-8 text. Give a query, or name its file with --file.") from None


def _execute(connection: "duckdb.DuckDBPyConnection", query: str, form: Form | None) -> None:
    import duckdb

    if not query.strip():
        raise BooruError('there is no query. Write one: booru sql "select count(*) from tags_latest"')
    try:
        relation = connection.sql(query)
        if relation is None:
            return
        if form is None and out.is_terminal:
            _show(relation)
        else:
            _write(relation, form or Form.TEXT)
    except duckdb.Error as error:
        first, *more = [line for line in str(error).splitlines() if line.strip()]
        where = next((line for line in more if line.startswith("LINE ")), *more[:1] or [""])
        remedy = '. Correct it; `booru sql "show tables"` names what there is to query.'
        raise BooruError(f"the query failed: {first.rstrip('.')}{remedy}\n{where}".rstrip()) from error


def _show(relation: "duckdb.DuckDBPyRelation") -> None:
    """DuckDB's own table of the first and last rows, and how many more there are."""
    with contextlib.redirect_stdout(io.StringIO()) as box:
        relation.show(max_rows=_SHOWN, max_width=out.width)
    text = printable_lines(box.getvalue().rstrip("\n"))
    print(text)
    if text.count("\n") >= _SHOWN:
        [(rows,)] = relation.aggregate("count(*)").fetchall()
        if rows > _SHOWN:
            err.print(f"{rows - _SHOWN:,} rows are not shown: `> rows.txt`, or --csv or --json, writes all {rows:,}")


def _write(relation: "duckdb.DuckDBPyRelation", form: Form) -> None:
    """Write all rows to standard output, some thousands in memory at a time."""
    cells = "to_json(COLUMNS(*))" if form is Form.JSON else "COLUMNS(*)::VARCHAR"
    texts = relation.project(cells)
    rows = (
        row
        for batch in texts.to_arrow_reader(_AT_ONCE)
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    if form is Form.JSON:
        _write_json(texts.columns, rows)
    elif form is Form.CSV:
        clean = printable if out.is_terminal else str
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(map(clean, relation.columns))
        writer.writerows([cell if cell is None else clean(cell) for cell in row] for row in rows)
    else:
        print("\t".join(map(printable, relation.columns)))
        for row in rows:
            print("\t".join("NULL" if cell is None else printable(cell) for cell in row))


def _write_json(names: list[str], rows: Iterator[tuple[str | None, ...]]) -> None:
    keys = [json.dumps(name) for name in names]
    before = "["
    for row in rows:
        cells = ", ".join(f"{key}: {_json_cell(cell)}" for key, cell in zip(keys, row, strict=True))
        sys.stdout.write(f"{before}{{{cells}}}")
        before = ",\n "
    print("[]" if before == "[" else "]")


def _json_cell(cell: str | None) -> str:
    """A value as DuckDB writes it, but null for what JSON has no number for, and nothing in it that terminals obey."""
    if cell is None:
        return "null"
    if "NaN" in cell or "Infinity" in cell:
        cell = json.dumps(json.loads(cell, parse_constant=lambda _: None), ensure_ascii=False)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", cell)


def _prompt(execute: Callable[[str], None]) -> None:
    import readline  # noqa: F401  (line editing and history for input)

    while True:
        try:
            text = input("booru> ")
            while ";" not in text:
                text += "\n" + input("  ...> ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
        try:
            execute(text)
        except BooruError as error:
            err.print(escape(printable_lines(str(error))), soft_wrap=True)
