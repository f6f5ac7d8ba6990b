"""The command that asks a checkpoint: suggest."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, err, out, read_settings
from booru_pipeline.cli.dashes import TagCommand
from booru_pipeline.cli.tables import width_of
from booru_pipeline.errors import BooruError, printable

if TYPE_CHECKING:
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.model.suggest.answer import Answer, Completion
    from booru_pipeline.model.suggest.asking import Asker, Request
    from booru_pipeline.pipeline.settings import Settings


Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--release", help="Ask the checkpoint of this release or trial; the promoted one by default, or the newest."
    ),
]

_FOLDED: Final = 20  # letters of a tag on a line, at least, where it has to be folded


@app.command(cls=TagCommand)
def suggest(
    tags: Annotated[
        list[str] | None,
        typer.Argument(help="Tags that a picture has, or a prompt; from standard input if none is given, or -."),
    ] = None,
    top: Annotated[int, typer.Option(help="How many suggestions.")] = 10,
    category: Annotated[
        list[str] | None,
        typer.Option(help="Only this category: general, artist, copyright, character or meta; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out tags of this pattern, such as '*_eyes'; may be repeated.")
    ] = None,
    hide_implied: Annotated[
        bool, typer.Option("--hide-implied", help="Leave out what Danbooru adds by itself.")
    ] = False,
    min_support: Annotated[
        int, typer.Option(help="Leave out tags that fewer posts have together with the given ones.")
    ] = 0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what T5 and counting say, and which tag speaks for it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; of a file, JSON lines.")] = False,
    file: Annotated[
        Path | None, typer.Option(help="Ask for each line of this file, or of standard input: -. See below.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Write the answers for a file here: .parquet, .csv, or JSON lines.")
    ] = None,
    release: Checkpoint = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Say what these tags imply, with probability and how often they stand together.

    Tags are understood as prompts have them: between commas with spaces, with weights and brackets, or word by word. An
    alias stands for its tag. What is no label is named and left out.

    "observed" counts the posts that have all the given tags, or, where none has, the largest part of them that was ever
    seen together, which is then named.

    JSON is a list with an object a suggestion: `tag`, `probability`, `category`, `together` of `given` posts with all
    the given tags and their `share`, `implied`; `observed` with the `tags` whose `posts` were counted, `together` and
    `share` (null if no post); `excludes`, the suggestions that it excludes; `explanation` with `t5`, `strongest`,
    `without` and `probability_without`, null without `--explain`. What is to be said of the given tags goes to standard
    error.

    With `--file` each line is a post, its tags as a prompt has them. The rows are `line`, `tag`, `probability`,
    `category`, `implied`: tab-separated, JSON lines with `--json`, or as the name says that `--to` gives. Nothing is
    counted for each.

    Examples: `booru suggest usada_pekora`, `booru suggest "1girl, (rabbit ears:1.2)" --explain`,
    `booru suggest 1girl hat --category character --exclude '*_(fate)' --min-support 5 --json`
    """
    settings = read_settings(raw=raw, home=home, relations=relations)
    names = names_of(category)
    if file is not None or to is not None:
        from booru_pipeline.cli.tags.suggest_file import suggest_file
        from booru_pipeline.model.suggest.filters import Filters

        if tags or explain or min_support or file is None:
            raise BooruError("--file and --to go with neither tags, --explain nor --min-support: each line is a post.")
        filters = Filters(names, tuple(exclude or []), hide_implied)
        suggest_file(settings, whom_to_ask(settings, release), file, to, top, filters, as_json)
        return
    typed = read_typed(tags or [])
    key = whom_to_ask(settings, release)
    question = {"tags": typed, "top": top, "exclude": exclude or [], "hide_implied": hide_implied}
    question |= {"categories": names, "min_support": min_support, "explain": explain, "checkpoint": key}
    from booru_pipeline.server.client import ask_server

    answer = ask_server(settings, question)
    if answer is None:
        from booru_pipeline.model.suggest.asking import Request
        from booru_pipeline.model.suggest.filters import Filters

        filters = Filters(names, tuple(exclude or []), hide_implied, min_support)
        answer = _ask(settings, key, Request(tuple(typed), top, filters, explain))
    about_the_question(answer, typed, settings)
    if as_json:
        _print_answer(answer)
    else:
        _show(answer, f"{printable(', '.join(answer.given))} ({key})")


def whom_to_ask(settings: "Settings", release: str | None) -> str:
    """The key of the checkpoint that is named, or of the one in use."""
    from booru_pipeline.pipeline.checkpoints import find_named

    lake = settings.lake
    return find_named(lake, lake.checkpoint, release) if release is not None else _checkpoint_in_use(lake)


def names_of(category: list[str] | None) -> tuple[str, ...]:
    """The values of `--category`, each of which may be several with commas between."""
    return tuple(name for listed in category or [] for name in listed.split(","))


def read_typed(tags: list[str]) -> list[str]:
    """The arguments, with standard input in the place of a dash, or alone if there is none."""
    if sys.stdin is None or (not tags and sys.stdin.isatty()):
        return tags
    return [_read_input() if tag == "-" else tag for tag in tags or ["-"]]


def _read_input() -> str:
    return sys.stdin.buffer.read().decode("utf-8-sig", "surrogateescape")  # as Python reads arguments


def _ask(settings: "Settings", key: str, request: "Request") -> "Answer":
    with opened(settings, key) as asker:
        [answer] = asker.ask([request])
    if isinstance(answer, BooruError):
        raise answer
    return answer


@contextmanager
def opened(settings: "Settings", key: str) -> "Iterator[Asker]":
    """What answers a question or two, counting in the shards."""
    import duckdb

    from booru_pipeline.model.suggest.counting import PostCounter
    from booru_pipeline.pipeline.opening import open_asker

    with duckdb.connect() as connection:
        yield open_asker(settings, key, lambda files: PostCounter(connection, files))


def about_the_question(answer: "Answer | Completion", typed: list[str], settings: "Settings") -> None:
    """Say on standard error how the question was understood."""
    from booru_pipeline.model.suggest import wording

    for line in wording.about_the_question(answer, typed):
        warn(line)
    aliases = [tag for tag in answer.asked if tag not in answer.given]
    relations = settings.tag_relations if aliases else None  # to read them takes a moment
    for tag in aliases:
        warn(f"{tag} is an alias: asking for {relations and relations.canonical(tag)}")


def _checkpoint_in_use(lake: "Lake") -> str:
    from booru_pipeline.pipeline.promoted import checkpoint_in_use

    release, note = checkpoint_in_use(lake)
    if note:
        warn(note)
    return release


def warn(line: str) -> None:
    """Print a line to standard error."""
    err.print(escape(printable(line)), soft_wrap=True)


def _print_answer(answer: "Answer") -> None:
    from booru_pipeline.model.suggest.wording import about_the_given, nothing_left

    for line in about_the_given(answer):
        warn(line)
    if not answer.suggestions:
        warn(nothing_left(answer))
    print_json(_as_json(answer))


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # JSON escapes the control characters of ASCII; terminals obey the others too.
    print(re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text))


def _as_json(answer: "Answer") -> list[dict[str, Any]]:
    items = []
    for suggestion in answer.suggestions:
        item = asdict(suggestion)
        item["excludes"] = [
            {
                "tag": pair.second if pair.first == suggestion.tag else pair.first,
                "together": pair.together,
                "either": pair.either,
                "expected": pair.expected,
                "among": list(pair.among),
            }
            for pair in answer.exclusive
            if suggestion.tag in (pair.first, pair.second)
        ]
        items.append(item)
    return items


def _show(answer: "Answer", title: str) -> None:
    from booru_pipeline.model.suggest import wording

    for line in wording.about_the_given(answer):
        _note(line)
    if not answer.suggestions:
        warn(wording.nothing_left(answer))
        return
    columns = ["probability", "category", "observed", *(["implied"] if any(_implied(answer)) else [])]
    forms = [_table(answer, title, columns)]
    for dropped in ("implied", "category", "observed"):  # where there is no room for all of them beside the tag
        columns = [column for column in columns if column != dropped]
        forms.append(_table(answer, title, columns))
    longest = max(len(item.tag) for item in answer.suggestions)
    room = max(longest - _FOLDED, 0)  # that a tag gives up by being folded
    out.print(next((form for form in forms if width_of(form) - room <= out.width), forms[-1]))
    for item in answer.suggestions:
        for number, line in enumerate(wording.explanation(item)):
            _note(line, indent=4 if number else 0)
    for line in wording.about_the_suggestions(answer):
        _note(line)


def _implied(answer: "Answer") -> list[bool]:
    return [item.implied for item in answer.suggestions]


def _table(answer: "Answer", title: str, columns: Sequence[str]) -> Table:
    """The suggestions with some of what there is to be said of each."""
    from booru_pipeline.model.suggest import wording

    table = Table(title=escape(title))
    table.add_column("tag", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right" if column in ("probability", "observed") else "left", no_wrap=True)
    if "implied" in columns:
        table.caption = "implied: Danbooru adds these by itself"
    for item in answer.suggestions:
        cells = {
            "probability": wording.probability(item),
            "category": item.category,
            "observed": wording.observed(item.observed),
            "implied": "yes" if item.implied else "",
        }
        table.add_row(escape(printable(item.tag)), *(cells[column] for column in columns))
    return table


def _note(line: str, indent: int = 0) -> None:
    """Print a line, folded to the terminal's width: it is for reading."""
    folded = wrap(printable(line), max(out.width - indent, 20), break_long_words=False, break_on_hyphens=False)
    for part in folded:
        out.print(" " * indent + escape(part), soft_wrap=True)
