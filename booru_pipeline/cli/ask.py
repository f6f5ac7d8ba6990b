"""Commands that answer from artifacts: inspect, report, sql, export."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import (
    Home,
    Overrides,
    Raw,
    RelationsFolder,
    Release,
    app,
    err,
    export_app,
    out,
    read_settings,
    say,
)
from booru_pipeline.errors import BooruError

if TYPE_CHECKING:
    import duckdb


@app.command()
def inspect(
    post: Annotated[
        list[str] | None,
        typer.Argument(help="Id of the post, with its booru before it if several boorus have that id. [at random]"),
    ] = None,
    release: Release = None,
    seed: Annotated[int, typer.Option(help="Of what is hidden, and of the post that is taken if none is named.")] = 0,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Show what became of a post: its tags, the caption, what was dropped and why, and how the model sees it.

    Examples: `booru inspect`, `booru inspect 4263151`, `booru inspect danbooru.donmai.us 4263151 --seed 7`
    """
    settings = read_settings(raw=raw, home=home, relations=relations)
    lake = settings.lake
    key = lake.newest(lake.tokenized_dataset, release)
    from booru_pipeline.dataset.inspection import KEPT, Inspector
    from booru_pipeline.dataset.options import MaskingOptions
    from booru_pipeline.dataset.sides import Sides
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    dataset = lake.bring(lake.tokenized_dataset(key))
    keys = list(Sides.read(dataset).shards)
    inspector = Inspector(
        dataset=dataset,
        vocabulary=Vocabulary.load(lake.bring(lake.vocabulary(key))),
        shards={name: lake.bring(lake.training_shards(name)) for name in keys},
        tag_tables={name: lake.bring(lake.tag_table(name)) for name in keys},
        relations=settings.tag_relations,
        thresholds=settings.vocabulary,
        masking=MaskingOptions(**{name: getattr(settings.checkpoint, name) for name in MaskingOptions.model_fields}),
    )
    found = inspector.inspect(*(inspector.find(post) if post else inspector.sample(1, seed)[0]), seed)
    side = f"left out: {found.left_out}" if found.left_out else f"in the {found.split} split"
    table = Table("tag", "category", "", title=f"{escape(found.booru)} {found.fid} ({found.release}), {escape(side)}")
    for item in found.tags:
        table.add_row(escape(item.tag), item.category, "" if item.fate == KEPT else f"[dim]{escape(item.fate)}[/]")
    out.print(table)
    if found.implied:
        say(f"Implied by its tags, and missing: {escape(', '.join(found.implied))}")
    for example in found.examples:
        say(f"[bold]{example.kind}[/]\n  input   {escape(example.source)}\n  target  {escape(example.target)}")


@app.command()
def report(
    release: Release = None,
    summary: Annotated[bool, typer.Option("--summary", help="Say what it found, before where it is.")] = False,
    home: Home = None,
) -> None:
    """Print where the evaluation report is, for a browser to open: `open $(booru report)`.

    With `--summary` it says how the answer and T5 alone stand, what T5 adds to counting, and which checkpoint is asked.
    """
    lake = read_settings(home=home).lake
    key = lake.newest(lake.evaluation_report, release)
    folder = lake.bring(lake.evaluation_report(key))
    if not summary:
        print(folder / "report.html")
        return
    from booru_pipeline.cli.summary import say_summary

    say_summary(lake, key, folder)


@app.command("sql")
def sql_command(
    query: Annotated[
        str | None, typer.Argument(help="A DuckDB query; read from the terminal if none is given.")
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="Run the query in this file, or the one of this name in the library.")
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--set", help="A variable of the query as name=value; may be repeated.")
    ] = None,
    show_library: Annotated[bool, typer.Option("--list", help="Show the library of queries.")] = False,
    raw: Raw = None,
    home: Home = None,
) -> None:
    """Query the tag tables of all releases, attached read-only.

    `files` and `tags` have a row a listing and say in `release` which release it is of; `files_latest` and
    `tags_latest` have each post as it was listed last. `rejects` and `accounting` are there too, and each release by
    itself, as `"2021a".files`. Examples:

    `booru sql "select tag, count(*) from tags_latest group by tag order by 2 desc limit 10"`

    `booru sql --file general_labels --set min_posts=100`
    """
    import duckdb as engine

    from booru_pipeline.tag_table.attach import attach_all
    from booru_pipeline.tag_table.queries import (
        Query,
        check_variables,
        find_query,
        library,
        parse_variables,
        set_variables,
    )

    if show_library:
        table = Table("query", "what it shows", "variables")
        for item in library():
            table.add_row(item.name, escape(item.summary), ", ".join(item.variables))
        out.print(table)
        return
    if query is not None and file is not None:
        raise BooruError("there is a query and a --file. Give one of the two.")
    values = parse_variables(variables or [])
    asked = find_query(file) if file is not None else None
    if asked is None and (query is not None or not sys.stdin.isatty()):
        asked = Query("the query", query if query is not None else sys.stdin.read())
    if asked is not None:
        check_variables(asked, values)
    lake = read_settings(raw=raw, home=home).lake
    with engine.connect() as connection:
        keys = attach_all(connection, lake)
        set_variables(connection, values)
        if asked is not None:
            _execute(connection, asked.text)
            return
        out.print(f"files and tags of {', '.join(keys)}. End a query with ; and leave with Ctrl-D.")
        _prompt(lambda text: _execute(connection, text))


@export_app.command("sqlite")
def export_sqlite_command(
    path: Annotated[Path, typer.Argument(help="The file to write, such as booru-chars.db.")],
    release: Annotated[
        list[str] | None, typer.Option(help="Release to export; may be repeated. All by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    home: Home = None,
) -> None:
    """Write the tag tables as one SQLite file, with the tables, keys and indexes of the origin's booru-chars.db.

    A post that is listed in several of the releases is there as the latest has it.

    Example: `booru export sqlite booru-chars.db --release 2021a --release 2021b`
    """
    from booru_pipeline.tag_table.export import export_sqlite

    rows = export_sqlite(read_settings(home=home).lake, path, release or [], force=force)
    say(f"{path}: {rows['files']:,} posts, {rows['tags']:,} tag rows")


@app.command("settings")
def settings_command(
    section: Annotated[
        str | None, typer.Argument(help="Show this section's options in full, such as checkpoint; all in brief.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Show what another base model would bring.")] = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print all of them as docs/options.md has them.")
    ] = False,
) -> None:
    """Show every option: the value in force, where it comes from, its type, default and meaning.

    Examples: `booru settings`, `booru settings checkpoint`, `booru settings checkpoint --preset t5-small`
    """
    from booru_pipeline.cli.options import MAIN, all_options, to_markdown, value_of
    from booru_pipeline.errors import written

    options = all_options()
    names = list(dict.fromkeys(option.section for option in options))
    if section is not None and section not in names:
        raise BooruError(f"there is no section {section!r}. Choose one of {', '.join(names)}.")
    if markdown:
        if section is not None or as_json:
            raise BooruError("--markdown prints all sections: give neither a section nor --json.")
        print(to_markdown(options), end="")
        return
    settings = read_settings(overrides, preset=preset)
    shown = [(item, *value_of(item, settings)) for item in options if section in (None, item.section)]
    if as_json:
        found = [{**vars(item), "value": value, "source": source} for item, value, source in shown]
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif section is None:
        table = Table("option", "value", "from", box=None, header_style="bold", pad_edge=False)
        for item, value, source in shown:
            name = item.name if item.section == MAIN else f"{item.section}.{item.name}"
            table.add_row(name, escape(written(value)), f"[dim]{escape(source)}[/]")
        out.print(table)
        say("In full, with types and meanings: booru settings SECTION")
    else:
        for item, value, source in shown:
            say(f"[bold]{item.name}[/] = {escape(written(value))}  [dim]({escape(source)})[/]")
            say(f"    {escape(item.in_full)}")
            about = f"{item.kind}; default {item.default}" + (f"; {item.variable}" if item.variable else "")
            say(f"    [dim]{escape(about)}[/]")


def _execute(connection: "duckdb.DuckDBPyConnection", query: str) -> None:
    import duckdb

    try:
        relation = connection.sql(query)
        if relation is not None:
            relation.show(max_rows=200, max_width=max(out.width, 80))
    except duckdb.Error as error:
        first, *more = [line for line in str(error).splitlines() if line.strip()]
        where = next((line for line in more if line.startswith("LINE ")), *more[:1] or [""])
        raise BooruError(f"the query failed: {first}\n{where}".rstrip()) from error


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
            err.print(escape(str(error)), soft_wrap=True)
