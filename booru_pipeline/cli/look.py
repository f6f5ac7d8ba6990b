"""Commands that show what is there: inspect, report, settings, and the tag tables as SQLite."""

import json
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Overrides, Raw, RelationsFolder, Release, app, export_app, read_settings, say
from booru_pipeline.cli.tables import show
from booru_pipeline.errors import BooruError, printable

if TYPE_CHECKING:
    from booru_pipeline.cli.options import Option


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
    from booru_pipeline.dataset.inspection import KEPT
    from booru_pipeline.pipeline.opening import open_inspector

    inspector = open_inspector(settings, key)
    found = inspector.inspect(*(inspector.find(post) if post else inspector.sample(1, seed)[0]), seed)
    side = f"left out: {found.left_out}" if found.left_out else f"in the {found.split} split"
    title = escape(printable(f"{found.booru} {found.fid} ({found.release}), {side}"))
    table = Table("tag", "category", "", title=title)
    for item in found.tags:
        notes = [*([] if item.fate == KEPT else [item.fate]), *(["deprecated on Danbooru"] if item.deprecated else [])]
        table.add_row(escape(printable(item.tag)), item.category, f"[dim]{escape('; '.join(notes))}[/]")
    for column in table.columns[:2]:
        column.overflow = "fold"
    show(table)
    if found.implied:
        say(f"Implied by its tags, and missing: {escape(printable(', '.join(found.implied)))}")
    for example in found.examples:
        source, target = (escape(printable(text)) for text in (example.source, example.target))
        say(f"[bold]{example.kind}[/]\n  input   {source}\n  target  {target}")


@app.command()
def report(
    release: Release = None,
    summary: Annotated[bool, typer.Option("--summary", help="Say what it found, before where it is.")] = False,
    opened: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    home: Home = None,
) -> None:
    """Print where the evaluation report is, or open it in a browser with `--open`.

    With `--summary` it says how the answer and T5 alone stand, what T5 adds to counting, and which checkpoint is asked.
    """
    from booru_pipeline.pipeline.checkpoints import find_named

    lake = read_settings(home=home).lake
    key = find_named(lake, lake.evaluation_report, release) if release else lake.newest(lake.evaluation_report)
    folder = lake.bring(lake.evaluation_report(key))
    if opened:
        _open(folder / "report.html")
    elif not summary:
        print(folder / "report.html")
    if not summary:
        return
    from booru_pipeline.cli.summary import say_summary

    say_summary(lake, key, folder)


def _open(page: Path) -> None:
    if not page.is_file():
        raise BooruError(f"{page} is not there. Make it again with `booru run`.")
    if not webbrowser.open(page.absolute().as_uri()):
        raise BooruError(f"no browser is found here. Open the report in one yourself: {page.absolute()}")
    say(f"opened {escape(str(page))}")


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
    from booru_pipeline.cli.options import all_options, to_markdown, value_of
    from booru_pipeline.pipeline.option_words import written

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
        show(_settings_table(shown, sources=True), _settings_table(shown, sources=False))
        say("In full, with types and meanings: booru settings SECTION")
    else:
        for item, value, source in shown:
            say(f"[bold]{item.name}[/] = {escape(written(value))}  [dim]({escape(source)})[/]")
            say(f"    {escape(item.in_full)}")
            about = f"{item.kind}; default {item.default}" + (f"; {item.variable}" if item.variable else "")
            say(f"    [dim]{escape(about)}[/]")


def _settings_table(shown: "Sequence[tuple[Option, Any, str]]", *, sources: bool) -> Table:
    """A line an option, with what set it where there is room."""
    from booru_pipeline.cli.options import MAIN
    from booru_pipeline.pipeline.option_words import written

    table = Table("option", "value", *(["from"] if sources else []), box=None, header_style="bold", pad_edge=False)
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    for item, value, source in shown:
        name = item.name if item.section == MAIN else f"{item.section}.{item.name}"
        cell = escape(written(value))
        table.add_row(name, *([cell, f"[dim]{escape(source)}[/]"] if sources else [cell]))
    return table
