"""The command that asks a checkpoint: suggest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, read_settings
from booru_pipeline.cli.dashes import TagCommand
from booru_pipeline.cli.tags.answers import print_answer, show_answer
from booru_pipeline.cli.tags.questions import (
    Categories,
    Checkpoint,
    Excluded,
    Explain,
    HideImplied,
    Top,
    about_the_question,
    names_of,
    opened,
    read_typed,
    tags_of_post,
    whom_to_ask,
)
from booru_pipeline.errors import BooruError

if TYPE_CHECKING:
    from booru_pipeline.model.suggest.answer import Answer
    from booru_pipeline.model.suggest.asking import Request
    from booru_pipeline.pipeline.settings import Settings


@app.command(cls=TagCommand)
def suggest(
    tags: Annotated[
        list[str] | None,
        typer.Argument(help="Tags that a picture has, or a prompt; from standard input if none is given, or -."),
    ] = None,
    top: Top = 10,
    category: Categories = None,
    exclude: Excluded = None,
    hide_implied: HideImplied = False,
    min_support: Annotated[
        int, typer.Option(help="Leave out tags that fewer posts have together with the given ones.")
    ] = 0,
    explain: Explain = False,
    post: Annotated[
        str | None, typer.Option(help="Ask for the tags of this post: its id, `booru/id`, or its page.")
    ] = None,
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

    With `--post` the answer is what a post may lack; tags that are given besides count as if it had them. The counts
    are of all posts, it among them. `booru missing` asks otherwise, what a caption that looks whole lacks, and so has
    other probabilities.

    Examples: `booru suggest usada_pekora`, `booru suggest "1girl, (rabbit ears:1.2)" --explain`,
    `booru suggest --post 4263151`,
    `booru suggest 1girl hat --category character --exclude '*_(fate)' --min-support 5 --json`
    """
    settings = read_settings(raw=raw, home=home, relations=relations)
    names = names_of(category)
    if file is not None or to is not None:
        from booru_pipeline.cli.tags.suggest_file import suggest_file
        from booru_pipeline.model.suggest.filters import Filters

        if tags or explain or min_support or post is not None or file is None:
            raise BooruError(
                "--file and --to go with neither tags, --post, --explain nor --min-support: each line is a post."
            )
        filters = Filters(names, tuple(exclude or []), hide_implied)
        suggest_file(settings, whom_to_ask(settings, release), file, to, top, filters, as_json)
        return
    key = whom_to_ask(settings, release)
    typed = read_typed(tags or []) if post is None else [*tags_of_post(settings, key, post), *(tags or [])]
    question = {"tags": typed, "top": top, "exclude": exclude or [], "hide_implied": hide_implied}
    question |= {"categories": names, "min_support": min_support, "explain": explain, "checkpoint": key}
    from booru_pipeline.server.client import ask_server

    answer = ask_server(settings, question)
    if answer is None:
        from booru_pipeline.model.suggest.asking import Request
        from booru_pipeline.model.suggest.filters import Filters

        filters = Filters(names, tuple(exclude or []), hide_implied, min_support)
        answer = _ask(settings, key, Request(tuple(typed), top, filters, explain))
    about_the_question(answer, typed, lambda: settings.tag_relations)
    if as_json:
        print_answer(answer)
    else:
        show_answer(answer, key)


def _ask(settings: "Settings", key: str, request: "Request") -> "Answer":
    with opened(settings, key) as asker:
        [answer] = asker.ask([request])
    if isinstance(answer, BooruError):
        raise answer
    return answer
