"""What the commands about tags share: their options, which checkpoint they ask, how a question was understood."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from booru_pipeline.cli.app import err
from booru_pipeline.errors import BooruError, printable

if TYPE_CHECKING:
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.model.suggest.answer import Answer, Completion
    from booru_pipeline.model.suggest.asking import Asker
    from booru_pipeline.pipeline.settings import Settings
    from booru_pipeline.training_shards.relations import Relations

Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--release", help="Ask the checkpoint of this release or trial; the promoted one by default, or the newest."
    ),
]
Top = Annotated[int, typer.Option(help="How many suggestions.")]
Categories = Annotated[
    list[str] | None,
    typer.Option(
        "--category", help="Only this category: general, artist, copyright, character or meta; may be repeated."
    ),
]
Excluded = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="Leave out tags of this pattern, such as '*_eyes'; may be repeated."),
]
HideImplied = Annotated[bool, typer.Option("--hide-implied", help="Leave out what Danbooru adds by itself.")]
Explain = Annotated[bool, typer.Option("--explain", help="Say what T5 and counting say, and which tag speaks for it.")]


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


def tags_of_post(settings: "Settings", key: str, post: str) -> list[str]:
    """A checkpoint's labels among a post's tags, as the newest dataset has them.

    What they were made of is said on standard error: of a post in the train split the model has seen them.

    Args:
        settings: Of the home.
        key: The checkpoint's.
        post: Its id, with its booru before it where several boorus have that id, or its page.

    Raises:
        BooruError: It is not in the dataset, or has no label.
    """
    from booru_pipeline.pipeline.opening import open_inspector
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    lake = settings.lake
    inspector = open_inspector(settings, lake.newest(lake.tokenized_dataset))
    found = inspector.inspect(*inspector.find([post]))
    tags = {item.tag for item in found.tags}
    labels = sorted(tags & Vocabulary.load(lake.bring(lake.checkpoint(key))).index.keys())
    side = f"left out: {found.left_out}" if found.left_out else f"in the {found.split} split"
    name = f"{found.booru} {found.fid} ({found.release})"
    if not labels:
        raise BooruError(f"post {name} has no label: nothing is left to ask about. See `booru inspect {found.fid}`.")
    warn(f"{name}, {side}: {len(labels)} of {len(tags)} tags are labels")
    return labels


@contextmanager
def opened(settings: "Settings", key: str) -> "Iterator[Asker]":
    """What answers a question or two, counting in the shards."""
    import duckdb

    from booru_pipeline.model.suggest.counting import PostCounter
    from booru_pipeline.pipeline.opening import open_asker

    with duckdb.connect() as connection:
        yield open_asker(settings, key, lambda files: PostCounter(connection, files))


def about_the_question(
    answer: "Answer | Completion", typed: list[str], read_relations: "Callable[[], Relations]"
) -> None:
    """Say on standard error how the question was understood."""
    from booru_pipeline.model.suggest import wording

    for line in wording.about_the_question(answer, typed):
        warn(line)
    aliases = [tag for tag in answer.asked if tag not in answer.given]
    relations = read_relations() if aliases else None  # it may take a moment
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
