"""A script of SQL cut into statements, and those that list rows into single rows, before any database sees it."""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from booru_pipeline.errors import printable

# Quotes are doubled inside quoted text, which then are two tokens side by side: nothing depends on their number.
# Blanks are SQLite's: to it, others are letters.
_TOKEN: Final = re.compile(
    r"""
      (?P<blank>  [ \t\r\n\f]+ | --[^\n]* | /\*.*?\*/ )
    | (?P<quoted> '[^']*' | "[^"]*" | `[^`]*` | \[[^\]]*\] )
    | (?P<broken> ['"`\[] | /\* )
    | (?P<word>   [0-9A-Za-z_$\x80-\U0010ffff]+ )
    | (?P<symbol> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SHOWN: Final = 60
_WORDS: Final = 500  # more of a statement are not looked at to say what it is
_LEAVES: Final = re.compile(r"\.(?:quit|exit)\b")
REMEDY: Final = "Correct or remove that statement."


class ScriptError(Exception):
    """A script, or a statement of it, that cannot be taken.

    Attributes:
        line: Where, counted from 1.
        problem: What is wrong there.
        remedy: What to do, a sentence.
    """

    def __init__(self, line: int, problem: str, remedy: str = REMEDY) -> None:
        super().__init__(f"line {line}: {problem} {remedy}")
        self.line = line
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True)
class ScriptRow:
    """One row of an INSERT … VALUES, by its place in the script.

    Attributes:
        line: The line that the row begins on, counted from 1.
        start: Offset of its opening parenthesis.
        end: Offset behind its closing one.
        width: How many values it has.
        nested: Whether there are parentheses in it: it may call a function.
    """

    line: int
    start: int
    end: int
    width: int
    nested: bool


@dataclass
class Statement:
    """One statement of a script, or one dot command of SQLite's shell.

    Attributes:
        line: The line that it begins on, counted from 1.
        start: Its offset in the script.
        end: Offset behind it, at its semicolon.
        words: What it begins with outside of parentheses: words and quoted names as written, signs, and "(" where
            there is something in parentheses.
        word_ends: The offset behind each of them.
        head_end: Of an INSERT that lists rows, the offset behind its word VALUES; else -1.
        tail: Where something follows the rows, such as ON CONFLICT; else -1.
    """

    line: int
    start: int
    end: int = -1
    words: list[str] = field(default_factory=list)
    word_ends: list[int] = field(default_factory=list)
    head_end: int = -1
    tail: int = -1
    _rows: "array[int]" = field(default_factory=lambda: array("q"))

    @property
    def lists_rows(self) -> bool:
        """Whether it can be run row by row: it is an INSERT … VALUES, and no row asks a query."""
        return bool(self._rows)

    def rows(self) -> Iterator[ScriptRow]:
        """The rows that it lists."""
        values = iter(self._rows)
        for line, start, end, width, nested in zip(*[values] * 5, strict=True):
            yield ScriptRow(line, start, end, width, bool(nested))

    def add(self, line: int, start: int, end: int, width: int, nested: bool) -> None:
        """Note a row."""
        self._rows.extend((line, start, end, width, nested))

    def forget_rows(self) -> None:
        """It has to be run as a whole."""
        self._rows = array("q")


def statements(text: str) -> Iterator[Statement]:
    """Cut a script into statements, as SQLite's shell reads it. Memory and time are linear in the text.

    A line that begins with a dot where no statement is open is a command of the shell; one that begins with # is a
    comment; nothing is read behind `.quit`. A trigger ends at `; END ;`, as for sqlite3_complete(). What a statement
    means, and whether it is allowed, is for others to say.

    Raises:
        ScriptError: While iterating: quotes or parentheses do not match, or the last statement is not whole.
    """
    return _Cutter(text).cut()


class _Cutter:
    def __init__(self, text: str) -> None:
        self._text = text
        self._line, self._counted = 1, 0  # line of the offset `counted`

    def cut(self) -> Iterator[Statement]:
        text, position, size = self._text, 0, len(self._text)
        while position < size:
            token = _TOKEN.match(text, position)
            assert token is not None  # any character is a symbol
            if token.lastgroup == "blank" or token[0] == ";":
                position = token.end()
                continue
            statement = Statement(self._line_at(position), position)
            if token[0] in ".#" and not text[text.rfind("\n", 0, position) + 1 : position].strip():
                end = text.find("\n", position)
                statement.end = position = end if end >= 0 else size
                if token[0] == "#":
                    continue
                statement.words.append(".")
                yield statement
                if _LEAVES.match(text, statement.start):
                    return
                continue
            position = self._one(statement)
            yield statement

    def _one(self, statement: Statement) -> int:
        """Find where a statement ends, and its rows. Gives the offset behind its semicolon."""
        text, words = self._text, statement.words
        position, size = statement.start, len(self._text)
        depth = commas = row = row_line = 0
        due = False  # a row is due, or else a comma, the end, or something else
        nested = asks = trigger = False
        before = last = ""
        while position < size:
            token = _TOKEN.match(text, position)
            assert token is not None
            kind, start, position = token.lastgroup, position, token.end()
            if kind == "blank":
                continue
            if kind == "broken":
                raise ScriptError(self._line_at(start), f"{token[0]} opens something that is never closed.", _CUT_OFF)
            symbol = token[0]
            if kind == "symbol":
                if symbol == "(":
                    if depth == 0:
                        if statement.head_end >= 0 and statement.tail < 0:
                            if not due:
                                raise ScriptError(self._line_at(start), "a comma is missing before this row.")
                            row, row_line, commas, nested = start, self._line_at(start), 0, False
                        elif len(words) < _WORDS:
                            words.append("(")
                            statement.word_ends.append(position)
                    nested = True if depth else nested
                    depth += 1
                    continue
                if symbol == ")":
                    depth -= 1
                    if depth < 0:
                        raise ScriptError(self._line_at(start), "a parenthesis is closed that was never opened.")
                    if depth == 0 and due and statement.tail < 0:
                        statement.add(row_line, row, position, commas + 1, nested)
                        due = False
                    continue
                if symbol == ";":
                    if depth:
                        raise ScriptError(
                            row_line if due else statement.line, "a parenthesis is not closed before the semicolon."
                        )
                    if trigger and not (last.upper() == "END" and before == ";"):
                        before, last = last, ";"
                        continue
                    statement.end = start
                    break
            if depth:
                if kind == "word" and symbol.lower() in ("select", "values"):
                    asks = True
                commas += symbol == "," and depth == 1
                continue
            before, last = last, symbol
            if statement.head_end >= 0 and statement.tail < 0:
                if symbol == "," and not due:
                    due = True
                    continue
                if due:  # VALUES is no list of rows, or a comma is one too many
                    break
                statement.tail = start
            if len(words) < _WORDS:
                words.append(symbol)
                statement.word_ends.append(position)
            if kind == "word" and statement.head_end < 0 and symbol.upper() == "VALUES" and _lists_rows(words):
                statement.head_end, due = position, True
            elif len(words) <= 4:
                trigger = trigger or _is_trigger(words)
        else:
            statement.end = size
        if depth or due or (trigger and not (last.upper() == "END" and before == ";")):
            shown = shortened(text[statement.start : statement.start + 4 * _SHOWN])
            raise ScriptError(row_line if depth and due else statement.line, f"{shown!r} is not whole.", _CUT_OFF)
        if asks:
            statement.forget_rows()
        return position

    def _line_at(self, offset: int) -> int:
        self._line, self._counted = self._line + self._text.count("\n", self._counted, offset), offset
        return self._line


_CUT_OFF: Final = "Correct that statement, or get the file again if it was cut off."


def _lists_rows(words: list[str]) -> bool:
    if words[0].upper() not in ("INSERT", "REPLACE"):
        return False
    return not any(word.upper() in ("SELECT", "WITH", "DEFAULT") for word in words[1:])


def _is_trigger(words: list[str]) -> bool:
    """Whether a statement makes a trigger."""
    upper = [word.upper() for word in words if word.upper() not in ("EXPLAIN", "TEMP", "TEMPORARY")]
    return upper[:2] == ["CREATE", "TRIGGER"]


def shortened(text: str) -> str:
    """The beginning of a piece of a script on one line, without its comments, as a terminal can show it."""
    tokens = _TOKEN.finditer(text[: 20 * _SHOWN])
    line = "".join(" " if token.lastgroup == "blank" else token[0] for token in tokens)
    return printable(" ".join(line.split())[:_SHOWN])
