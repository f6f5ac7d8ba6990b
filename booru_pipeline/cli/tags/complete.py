"""The command that draws whole tag sets: complete."""

import re
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, read_settings, say
from booru_pipeline.cli.dashes import TagCommand
from booru_pipeline.cli.tables import show
from booru_pipeline.cli.tags.answers import print_json
from booru_pipeline.cli.tags.questions import (
    Categories,
    Checkpoint,
    Excluded,
    about_the_question,
    names_of,
    opened,
    read_typed,
    warn,
    whom_to_ask,
)
from booru_pipeline.errors import printable

if TYPE_CHECKING:
    from booru_pipeline.model.suggest.answer import TagSet


@app.command(cls=TagCommand)
def complete(
    tags: Annotated[
        list[str] | None,
        typer.Argument(help="Tags that each set begins with, or a prompt; from standard input if none, or -."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Tags of a set, given and implied ones included. [as many as posts have, by lot]")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Below 1 sets are more ordinary, above 1 odder.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same set. [by lot, and said]")] = None,
    category: Categories = None,
    exclude: Excluded = None,
    sets: Annotated[int, typer.Option(help="How many sets; each has the seed after that of the one before.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    prompt: Annotated[
        bool, typer.Option("--prompt", help="Print a line a set, as image generators take prompts.")
    ] = False,
    release: Checkpoint = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Draw whole tag sets that begin with these tags, one tag after another.

    What tags imply comes along. None is drawn that is deprecated or that hardly ever stands with one of the set.

    The percentage is the probability that a post of so many tags, with those above, has the tag. The probability of the
    whole is the product of the chances with which the tags were drawn, in this order; it depends on --temperature.

    JSON is a list with an object a set: `tags`, each with `tag`, `category`, `origin` (given, implied or drawn),
    `probability` and `chance`; `count`, which were wanted; `log_probability`, natural, of the whole; `seed`.

    Examples: `booru complete "1girl, usada_pekora" --count 24 --temperature 0.8 --seed 1 --exclude 'text*'`,
    `booru complete no_humans --sets 5 --prompt`
    """
    settings = read_settings(raw=raw, home=home, relations=relations)
    typed = read_typed(tags or [])
    key = whom_to_ask(settings, release)
    from booru_pipeline.model.suggest import wording
    from booru_pipeline.model.suggest.filters import Filters

    with opened(settings, key) as asker:
        completion = asker.complete(
            typed,
            temperature=temperature,
            seed=secrets.randbelow(1 << 31) if seed is None else seed,
            sets=sets,
            count=count,
            filters=Filters(names_of(category), tuple(exclude or [])),
        )
    about_the_question(completion, typed, lambda: settings.tag_relations)
    for line in wording.about_pairs(completion.apart):
        warn(line)
    if as_json:
        print_json([asdict(one) for one in completion.sets])
    for one in () if as_json else completion.sets:
        if prompt:
            warn(wording.whole(one))
            print(printable(as_prompt(one)))
        else:
            show(_table(one, f"{printable(', '.join(completion.given))} ({key})"))
            say(escape(wording.whole(one)))


def as_prompt(found: "TagSet") -> str:
    """The tags in a line: underscores are spaces, but for faces, and parentheses are escaped."""
    from booru_pipeline.captions.text import keeps_underscores

    names = [one.tag if keeps_underscores(one.tag) else one.tag.replace("_", " ") for one in found.tags]
    return ", ".join(re.sub(r"([()])", r"\\\1", name) for name in names)


def _table(found: "TagSet", title: str) -> Table:
    from booru_pipeline.model.suggest.wording import percent

    table = Table("tag", "", "category", title=escape(title))
    table.columns[0].overflow, table.columns[1].justify = "fold", "right"
    for one in found.tags:
        said = percent(min(one.probability, 1 - 1e-9), 1) if one.origin == "drawn" else one.origin
        table.add_row(escape(printable(one.tag)), said, one.category)
    return table
