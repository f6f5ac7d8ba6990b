"""The command that queries: sql. What it prints on a terminal is cut to be read; what goes on to a file is whole."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, err, out, read_settings
from booru_pipeline.cli.rows import Form, show_first, write
from booru_pipeline.cli.tables import show
from booru_pipeline.errors import BooruError, printable_lines

if TYPE_CHECKING:
    from booru_pipeline.pipeline.artifact_views import ArtifactViews
    from booru_pipeline.tag_table.queries import Query


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
    relations: RelationsFolder = None,
) -> None:
    """Query the tag tables of all releases, and what was made of them, read-only.

    `files` and `tags` have a row a listing and say in `release` which release it is of; `files_latest` and
    `tags_latest` have each post as it was listed last. `rejects` and `accounting` are there too, and each release by
    itself, as `"2021a".files`.

    `audit` has the tags that posts lack or have wrongly, a row a finding; `proposed_implications`, `proposed_aliases`,
    `not_kept_implications`, `exclusions` and `core_tags` what was found of tags. `labels` has the vocabularies,
    `predictions` the evaluations' guesses, `aliases` and `implications` the lists that are in force. `post_page(booru,
    fid)` is the address of a post.

    On a terminal it shows the first rows and how many more there are. In a file or a pipe it writes all, a line a row
    with tabs between the columns; `--csv` and `--json` are for programs. Examples:

    `booru sql "select tag, count(*) from tags_latest group by tag order by 2 desc limit 10"`

    `booru sql --file general_labels --set min_posts=100 --csv > labels.csv`
    """
    import duckdb as engine

    from booru_pipeline.pipeline.artifact_views import ArtifactViews
    from booru_pipeline.tag_table.attach import add_functions, attach_all
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
    settings = read_settings(raw=raw, home=home, relations=relations)
    with engine.connect() as connection:
        keys = attach_all(connection, settings.lake)
        views = ArtifactViews(connection, settings.lake, lambda: settings.tag_relations)
        add_functions(connection)
        set_variables(connection, values)
        if asked is not None:
            _execute(views, asked.text, form)
            return
        out.print(f"files and tags of {', '.join(keys)}. End a query with ; and leave with Ctrl-D.")
        _prompt(lambda text: _execute(views, text, form))


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


def _execute(views: "ArtifactViews", query: str, form: Form | None) -> None:
    import duckdb

    if not query.strip():
        raise BooruError('there is no query. Write one: booru sql "select count(*) from tags_latest"')
    views.fill(query)
    try:
        relation = views.connection.sql(query)
        if relation is None:
            return
        if form is None and out.is_terminal:
            show_first(relation)
        else:
            write(relation, form or Form.TEXT)
    except duckdb.Error as error:
        if problem := views.problem_of(error):
            raise BooruError(problem) from error
        first, *more = [line for line in str(error).splitlines() if line.strip()]
        where = next((line for line in more if line.startswith("LINE ")), *more[:1] or [""])
        remedy = '. Correct it; `booru sql "show tables"` names what there is to query.'
        raise BooruError(f"the query failed: {first.rstrip('.')}{remedy}\n{where}".rstrip()) from error


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
