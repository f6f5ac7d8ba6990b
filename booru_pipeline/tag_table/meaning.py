"""What a statement of a script is for, by its first words: SQLite says more, but only of one that it can prepare."""

from dataclasses import dataclass
from typing import Final

from booru_pipeline.tag_table.sandbox import TABLES
from booru_pipeline.tag_table.script import Statement, shortened

_VERBS: Final = frozenset(map(str.upper, ("insert", "replace", "update", "delete", "select", "values")))
_KINDS: Final = frozenset({"TABLE", "VIEW", "INDEX", "TRIGGER"})


@dataclass(frozen=True)
class Meaning:
    """What a statement is for.

    Attributes:
        verb: Its first word in capitals, of WITH … the one that follows; "." of a dot command.
        kind: TABLE, VIEW, INDEX or TRIGGER, of what is made or dropped; "TEMP" before it if it is temporary.
        name: The table, in lower case and without quotes, that it writes to, makes or drops; "" if there is none.
        name_end: The offset in the script behind that name.
        on: The table that an index or a trigger is of, likewise.
        names_columns: Whether something in parentheses follows the name.
        conflict: REPLACE or IGNORE, as behind INSERT OR; else "".
        shown: Words that name it to a person.
    """

    verb: str
    kind: str
    name: str
    name_end: int
    on: str
    names_columns: bool
    conflict: str
    shown: str

    @property
    def makes_shape(self) -> bool:
        """Whether it makes, drops or alters a table or a view."""
        return self.kind.endswith(("TABLE", "VIEW"))

    @property
    def about_rows(self) -> bool:
        """Whether it is meant for `files` or `tags`."""
        return self.name in TABLES


def meaning(statement: Statement, text: str) -> Meaning:
    """Say what a statement is for.

    Args:
        statement: Of the script.
        text: The script.
    """
    words = statement.words
    upper = [word.upper() for word in words]
    start = 0
    if upper[0] == "WITH":
        start = next((place for place, word in enumerate(upper) if word in _VERBS), 0)
    verb, kind, place = upper[start], "", -1
    if verb in ("INSERT", "REPLACE"):
        place = _after(upper, "INTO", start)
    elif verb == "DELETE":
        place = _after(upper, "FROM", start)
    elif verb == "UPDATE":
        place = start + (3 if upper[start + 1 : start + 2] == ["OR"] else 1)
    elif verb in ("CREATE", "DROP", "ALTER"):
        found = next((place for place, word in enumerate(upper) if word in _KINDS), -1)
        if found >= 0:
            temporary = "TEMP " if {"TEMP", "TEMPORARY"} & set(upper[:found]) else ""
            kind = temporary + upper[found]
            place = found + 1
            while upper[place : place + 1] and upper[place] in ("IF", "NOT", "EXISTS"):
                place += 1
    if not 0 <= place < len(words):
        name, name_end, place = "", -1, -1
    else:
        if words[place + 1 : place + 2] == ["."] and place + 2 < len(words):
            kind = "TEMP " + kind.removeprefix("TEMP ") if kind and _plain(words[place]) == "temp" else kind
            place += 2
        name, name_end = _plain(words[place]), statement.word_ends[place]
    return Meaning(
        verb=verb,
        kind=kind,
        name=name,
        name_end=name_end,
        on=_plain(words[upper.index("ON") + 1]) if "ON" in upper[:-1] and kind.endswith(("INDEX", "TRIGGER")) else "",
        names_columns=place >= 0 and words[place + 1 : place + 2] == ["("],
        conflict=_conflict(upper, start, verb),
        shown=_shown(statement, text, place),
    )


def _after(upper: list[str], word: str, start: int) -> int:
    return upper.index(word, start) + 1 if word in upper[start:] else -1


def _plain(name: str) -> str:
    """A name without quotes; of one with a quote in it, which is two tokens, the first part."""
    return (name[1:-1] if name[0] in "'\"`[" else name).lower()


def _conflict(upper: list[str], start: int, verb: str) -> str:
    if verb == "REPLACE" or upper[start : start + 3] == ["INSERT", "OR", "REPLACE"]:
        return "REPLACE"
    return "IGNORE" if upper[start : start + 3] == ["INSERT", "OR", "IGNORE"] else ""


def _shown(statement: Statement, text: str, place: int) -> str:
    """Up to the name, and of a statement without one the beginning."""
    end = statement.word_ends[place] if place >= 0 else statement.end
    if statement.words[0].upper() == "WITH" and place >= 0:
        verb = next(at for at, word in enumerate(statement.words) if word.upper() in _VERBS)
        before = statement.word_ends[verb] - len(statement.words[verb])
        return shortened(f"{statement.words[0]} … {text[before:end]}")
    return shortened(text[statement.start : end])
