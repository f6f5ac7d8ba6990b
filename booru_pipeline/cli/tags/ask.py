"""The command that asks a checkpoint again and again: ask."""

import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, read_settings
from booru_pipeline.cli.tags.answers import show_answer
from booru_pipeline.cli.tags.questions import (
    Categories,
    Checkpoint,
    Excluded,
    Explain,
    HideImplied,
    Top,
    about_the_question,
    names_of,
    warn,
    whom_to_ask,
)
from booru_pipeline.errors import BooruError, printable

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer

    from booru_pipeline.model.suggest.asking import Asker

_HELP: Final = "Tab completes; + tag adds, - tag takes away; Ctrl-D ends"
_LISTED: Final = 8  # names that may be meant
_CHANGE: Final = re.compile(r"(?:^|[\s,]+)([+-])\s+")


@app.command()
def ask(
    top: Top = 10,
    category: Categories = None,
    exclude: Excluded = None,
    hide_implied: HideImplied = False,
    explain: Explain = False,
    release: Checkpoint = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Ask what tags imply, one question after another, with names that complete themselves.

    A line is tags with commas, or a prompt. `+ hat` asks the last question with a tag more, `- hat` with one less.

    Example: `booru ask --explain --top 5`
    """
    if sys.stdin is None or not sys.stdin.isatty() or not sys.stdout.isatty():
        raise BooruError("this is no terminal. Ask many questions at once with `booru suggest --file -`.")
    from booru_pipeline.model.suggest.filters import Filters, check_top

    check_top(top)
    settings = read_settings(raw=raw, home=home, relations=relations)
    key = whom_to_ask(settings, release)
    import duckdb
    from prompt_toolkit import PromptSession

    from booru_pipeline.model.suggest.asking import Request
    from booru_pipeline.model.suggest.post_index import PostIndex
    from booru_pipeline.pipeline.opening import open_asker

    filters = Filters(names_of(category), tuple(exclude or []), hide_implied)
    with duckdb.connect() as connection:
        asker = open_asker(settings, key, lambda files: PostIndex.of(connection, files))
    session: PromptSession[str] = PromptSession(
        "tags> ", completer=completer_of(asker), complete_in_thread=True, bottom_toolbar=_HELP
    )
    last: tuple[str, ...] = ()
    for line in _lines(session.prompt):
        try:
            typed = changed(asker, last, line)
            [answer] = asker.ask([Request(tuple(typed), top, filters, explain)])
            if isinstance(answer, BooruError):
                raise answer
        except BooruError as error:
            warn(str(error))
            continue
        last = answer.given
        about_the_question(answer, typed, lambda: asker.relations)
        show_answer(answer, key)


def _lines(prompt: Callable[[], str]) -> Iterator[str]:
    """What is typed until the end; Ctrl-C gives up a line."""
    while True:
        try:
            line = prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if line.strip() in ("exit", "quit"):
            return
        if line.strip():
            yield line


def changed(asker: "Asker", last: tuple[str, ...], line: str) -> list[str]:
    """What a line asks: its tags, or those of the last question with more after each `+`, without some after each `-`.

    Raises:
        BooruError: What is to be taken away is no label or was not asked about, or nothing would be left.
    """
    line = line.strip().rstrip(",")
    before, *changes = _CHANGE.split(line)
    if before or not changes:
        return [line]
    asked = list(last)
    for sign, name in zip(changes[::2], changes[1::2], strict=True):
        given = asker.understand([name]).given
        if sign == "+":
            asked += given
            continue
        if missing := [tag for tag in given if tag not in asked]:
            raise BooruError(f"{missing[0]} was not asked about, so it cannot be taken away.")
        asked = [tag for tag in asked if tag not in given]
    if not asked:
        raise BooruError(f"nothing is left to ask about without {', '.join(last)}.")
    return asked


def completer_of(asker: "Asker") -> "Completer":
    """Completes the tag that is being typed: names that begin so, or have such a word, the most frequent first."""
    from prompt_toolkit.completion import Completer, Completion

    vocabulary = asker.predictor.vocabulary

    class Names(Completer):
        def get_completions(self, document: Any, complete_event: Any) -> Iterator[Completion]:
            before = document.text_before_cursor
            text = _CHANGE.split(before)[-1].rpartition(",")[2].lstrip()
            if not text:
                return
            for label, alias in asker.names.completions(text, _LISTED):
                row = vocabulary.index[label]
                about = f"{vocabulary.category_names[row]}, {vocabulary.posts[row]:,} posts"
                name = label if alias is None else f"{alias} → {label}"
                yield Completion(f"{label}, ", -len(text), display=printable(name), display_meta=about)

    return Names()
