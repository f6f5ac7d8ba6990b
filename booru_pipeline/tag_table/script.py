"""A script of INSERT statements cut into single rows, before any database sees it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# Quotes are doubled inside quoted text, which then are two tokens side by side: nothing depends on their number.
_TOKEN: Final = re.compile(
    r"""
      (?P<blank>  \s+ | --[^\n]* | /\*.*?\*/ )
    | (?P<quoted> '[^']*' | "[^"]*" | `[^`]*` | \[[^\]]*\] )
    | (?P<broken> ['"`\[] | /\* )
    | (?P<word>   [^\s'"`\[(),;/-]+ )
    | (?P<symbol> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SHOWN: Final = 60


class ScriptError(Exception):
    """Text that is no list of INSERT … VALUES statements.

    Attributes:
        line: Where, counted from 1.
        problem: What is wrong there.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


@dataclass(frozen=True)
class ScriptRow:
    """One row of one INSERT statement.

    Attributes:
        line: The line that the row begins on, counted from 1.
        head: The statement up to its word VALUES.
        values: The row as it is written, from its opening to its closing parenthesis.
        names_columns: Whether the head lists columns.
        width: How many values the row has.
    """

    line: int
    head: str
    values: str
    names_columns: bool
    width: int


def script_rows(text: str) -> Iterator[ScriptRow]:
    """Cut a script into rows. Memory and time are linear in the text.

    This knows quotes, comments and parentheses and nothing else of SQL: what a head and a row mean, and whether they
    are allowed, is SQLite's to say.

    Raises:
        ScriptError: While iterating: something else than `… VALUES (…), (…);` stands there.
    """
    line, counted = 1, 0  # line of the offset `counted`
    statement = row = 0  # offsets where they begin
    head: str | None = None
    in_statement = names_columns = False
    after_row = False  # a comma or the end is due; else a row
    depth = commas = 0

    for token in _TOKEN.finditer(text):
        kind, start, end = token.lastgroup, token.start(), token.end()
        if kind == "blank":
            continue
        if not in_statement or (depth == 0 and head is not None) or kind == "broken":
            line, counted = line + text.count("\n", counted, start), start
        if kind == "broken":
            raise ScriptError(line, f"{token[0]} opens something that is never closed.")
        symbol = token[0] if kind == "symbol" else ""
        if symbol == ";" and depth == 0:
            if in_statement and not after_row:
                raise ScriptError(line, _not_values(text[statement:end], head))
            in_statement, head = False, None
            continue
        if not in_statement:
            in_statement, names_columns, after_row, statement = True, False, False, start
        if symbol == "(":
            if depth == 0:
                if head is not None and after_row:
                    raise ScriptError(line, "a comma is missing before this row.")
                row, commas = start, 0
                names_columns = names_columns or head is None
            depth += 1
        elif symbol == ")":
            depth -= 1
            if depth < 0:
                raise ScriptError(line, "a parenthesis is closed that was never opened.")
            if depth == 0 and head is not None:
                yield ScriptRow(line, head, text[row:end], names_columns, commas + 1)
                after_row = True
        elif depth:
            commas += symbol == "," and depth == 1
        elif head is None:
            if kind == "word" and token[0].upper() == "VALUES":
                head = text[statement:end]
        elif symbol == "," and after_row:
            after_row = False
        else:
            raise ScriptError(line, f"after VALUES there can only be rows, not {token[0][:_SHOWN]!r}.")
    if in_statement and (depth or not after_row):
        raise ScriptError(line, _not_values(text[statement:], head))


def _not_values(statement: str, head: str | None) -> str:
    shown = " ".join(statement[: 2 * _SHOWN].split())[:_SHOWN]
    return f"{shown!r} is not whole." if head is not None else f"{shown!r} is no INSERT … VALUES statement."
