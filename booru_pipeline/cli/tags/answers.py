"""An answer on a terminal, and as JSON."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import out
from booru_pipeline.cli.tables import width_of
from booru_pipeline.cli.tags.questions import warn
from booru_pipeline.errors import printable

if TYPE_CHECKING:
    from booru_pipeline.model.suggest.answer import Answer

_FOLDED: Final = 20  # letters of a tag on a line, at least, where it has to be folded


def print_answer(answer: "Answer") -> None:
    """Print an answer as JSON, and on standard error what is to be said of the given tags."""
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


def show_answer(answer: "Answer", key: str) -> None:
    """Print an answer of a checkpoint, its key being given, as a table with what is to be said beside it."""
    from booru_pipeline.model.suggest import wording

    for line in wording.about_the_given(answer):
        _note(line)
    if not answer.suggestions:
        warn(wording.nothing_left(answer))
        return
    columns = ["probability", "category", "observed", *(["implied"] if any(_implied(answer)) else [])]
    title = f"{printable(', '.join(answer.given))} ({key})"
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
