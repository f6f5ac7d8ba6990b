"""A script run in the sandbox, statement by statement: what it puts into `files` and `tags`, and what else it does."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from booru_pipeline.tag_table.meaning import Meaning, meaning
from booru_pipeline.tag_table.sandbox import LARGEST_ROW, TABLES, Sandbox, StatementError
from booru_pipeline.tag_table.script import REMEDY, ScriptError, ScriptRow, Statement, statements

# Columns of a row whose statement names none, by the number of its values: the origin's table, the TSV's columns, tags.
_START: Final = ["file_name", "torr_md5", "orig_ext", "orig_md5", "file_size"]
_END: Final = ["jq", "torr_path", "tags_copyr", "tags_char", "tags_artist"]
_UNNAMED: Final = {
    15: ["booru", "fid", "shard", *_START, "img_width_torr", "img_height_torr", *_END],
    13: ["booru", "fid", *_START, "img_size_torr", *_END],
    6: ["booru", "fid", "tag", "tag_id", "tag_cat", "danb_fr"],
}
# Statements that change nothing that is kept here: settings of a database, statistics, what is shown to a person.
_IDLE: Final = frozenset({"PRAGMA", "ANALYZE", "REINDEX", "EXPLAIN", "DETACH"})
_SHOW: Final = frozenset(map(str.upper, ("select", "values")))
_RUN: Final = frozenset(
    {
        *("INSERT", "REPLACE", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER"),
        *("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"),
    }
)
_DID: Final = {
    "inserted": "put in",
    "changed": "changed",
    "removed": "taken back",
    "ignored": "there already",
}
_SUPPLIED: Final = re.compile(r"table \w+ has \d+ columns but (\d+) values were supplied")
_MISSING: Final = re.compile(r"no such (?:table|view|column): (?:\w+\.)?(\w+)")
_MOST_NAMED: Final = 1000
_COMMIT: Final = "Add COMMIT at the end, or get the file again if it was cut off."
_OUTSIDE: Final = "A hand-tagged release may use nothing but its own tables; remove that statement."
_RENAME: Final = "Give it another name: files and tags are the tables of the release."


@dataclass
class PassedOver:
    """Statements that put no row into `files` or `tags`, each with its line and words that say what it is and did.

    Statements in a row with the same words are one entry; those beyond a thousand are counted in the last.
    """

    entries: list[tuple[int, str]] = field(default_factory=list)
    _words: str = ""
    _repeats: int = 0
    _more: int = 0
    _more_line: int = 0

    def add(self, line: int, words: str) -> None:
        """Note a statement."""
        if words == self._words:
            self._repeats += 1
            first, _ = self.entries[-1]
            self.entries[-1] = (first, f"{words} (and {self._repeats:,} more like it)")
        elif len(self.entries) < _MOST_NAMED:
            self.entries.append((line, words))
            self._words, self._repeats = words, 0
        else:
            self._words = ""
            self._more += 1
            self._more_line = self._more_line or line

    def all(self) -> list[tuple[int, str]]:
        """The entries, by line."""
        more = [(self._more_line, f"{self._more:,} more statements")] if self._more else []
        return [*self.entries, *more]


class Player:
    """Runs a script.

    A statement that is meant for `files` or `tags` and fails ends the script. One that is not is passed over, failed or
    not; but when a later one that writes rows reads what the failed one was to make, the script ends there.

    Attributes:
        sandbox: What has been written.
        passed_over: Statements that put no row into either table.
    """

    def __init__(self, text: str) -> None:
        self.sandbox = Sandbox()
        self.passed_over = PassedOver()
        self._text = text
        self._failed: dict[str, str] = {}  # tables that lack something, and why
        self._absent: set[str] = set()  # those of them that are not there at all
        self._declared: dict[str, list[str]] = {}  # columns of the script's own CREATE TABLE files or tags
        self._opened: tuple[int, str] = (0, "")  # the first statement of the transaction that is open

    def run(self) -> None:
        """Run it all.

        Raises:
            ScriptError: It cannot be taken.
        """
        for statement in statements(self._text):
            self._one(statement, meaning(statement, self._text))
        if self.sandbox.in_transaction:
            line, words = self._opened
            raise ScriptError(line, f"{words!r} is never committed.", _COMMIT)

    def _one(self, statement: Statement, means: Meaning) -> None:
        line, verb = statement.line, means.verb
        if verb == "ATTACH" or (verb == "VACUUM" and len(statement.words) > 1):
            raise ScriptError(line, f"{verb} is not allowed.", _OUTSIDE)
        if verb == "." or verb in _IDLE or verb == "VACUUM":
            self.passed_over.add(line, means.shown)
        elif verb in _SHOW:
            self._show(statement, means)
        elif verb not in _RUN:
            raise ScriptError(line, f"{means.shown!r} is no statement of SQL.")
        elif means.about_rows and means.makes_shape:
            self._shape(statement, means)
        elif means.kind.endswith("INDEX") and means.on in TABLES:  # it would change no row
            self.passed_over.add(line, means.shown)
        elif statement.lists_rows:
            self._rows(statement, means)
        else:
            self._whole(statement, means)

    def _show(self, statement: Statement, means: Meaning) -> None:
        """A query whose result nobody sees: it is prepared, so that what is not allowed is refused, and not run."""
        failure = self._try("EXPLAIN " + self._text_of(statement), statement, means)
        self.passed_over.add(statement.line, means.shown + failure)

    def _shape(self, statement: Statement, means: Meaning) -> None:
        """To make, drop or alter something called files or tags."""
        line, table = statement.line, means.name
        if means.kind == "TABLE" and means.verb == "CREATE":
            try:
                self._declared[table] = self.sandbox.declared(self._text_of(statement), table)
            except StatementError as error:
                raise ScriptError(line, error.problem, error.remedy) from None
            self.passed_over.add(line, means.shown)
        elif means.kind == "TABLE" and means.verb == "DROP":
            self._empty(table, line)
            self._declared.pop(table, None)
            self.passed_over.add(line, means.shown + _did(self._effects()))
        elif means.verb == "DROP":  # of a view that cannot be there
            self.passed_over.add(line, means.shown)
        elif means.verb == "ALTER":
            raise ScriptError(line, f"{means.shown!r} would change what the release is read from.", REMEDY)
        else:
            raise ScriptError(line, f"{means.shown!r} would hide the table {table}.", _RENAME)

    def _empty(self, table: str, line: int) -> None:
        try:
            self.sandbox.empty(table, line)
        except StatementError as error:
            raise ScriptError(line, error.problem, error.remedy or REMEDY) from None

    def _rows(self, statement: Statement, means: Meaning) -> None:
        """An INSERT … VALUES, row by row: memory is bounded, and each row has its line and its text."""
        text = self._text
        head, before = text[statement.start : statement.head_end], text[statement.start : means.name_end]
        tail = text[statement.tail : statement.end] if statement.tail >= 0 else ""
        between = text[means.name_end : statement.head_end]
        effects: Counter[str] = Counter()
        for row in statement.rows():
            values = text[row.start : row.end]
            if len(head) + len(values) + len(tail) > LARGEST_ROW:
                raise ScriptError(row.line, f"the row is longer than {LARGEST_ROW:,} characters.")
            whole = f"{head} {values} {tail}"
            if means.about_rows and not means.names_columns:
                whole = f"{before} ({', '.join(self._unnamed(means.name, row))}) {between} {values} {tail}"
            try:
                self.sandbox.run(
                    whole,
                    row.line,
                    span=(row.start, row.end),
                    plain=means.about_rows and not (row.nested or tail),
                    conflict=means.conflict if means.about_rows else "",
                )
            except StatementError as error:
                self._fail(error, row.line, means)
                self.passed_over.add(statement.line, f"{means.shown}: failed, {_clause(error.problem)}")
                return
            self._check_sources(row.line, means)
            effects += self._effects()
        self._note(statement.line, means, effects, touches=means.about_rows)

    def _unnamed(self, table: str, row: ScriptRow) -> list[str]:
        if table in self._declared:
            return self._declared[table]
        if row.width not in _UNNAMED:
            raise ScriptError(
                row.line,
                f"the row has {row.width} values and its statement names no columns; files has 15 or 13, tags has 6.",
            )
        return _UNNAMED[row.width]

    def _whole(self, statement: Statement, means: Meaning) -> None:
        line, text = statement.line, self._text_of(statement)
        was_open = self.sandbox.in_transaction
        rows = self.sandbox.count() if means.verb == "ROLLBACK" else 0
        failure = self._try(text, statement, means)
        if self.sandbox.in_transaction and not was_open:
            self._opened = (line, means.shown)
        if failure:
            self.passed_over.add(line, means.shown + failure)
            return
        self._check_sources(line, means)
        if means.verb == "ROLLBACK":
            gone = rows - self.sandbox.count()
            self.passed_over.add(line, means.shown + _did(Counter(removed=gone)))
            return
        self._note(line, means, self._effects(), touches=means.about_rows and means.verb in ("INSERT", "REPLACE"))

    def _effects(self) -> Counter[str]:
        """What the last statement did to rows of either table."""
        effects: Counter[str] = Counter()
        for (what, _), count in self.sandbox.effect.items():
            effects[what] += count
        return effects

    def _note(self, line: int, means: Meaning, effects: Counter[str], *, touches: bool) -> None:
        """Name a statement that put no row in, or did something else too."""
        if set(effects) == {"inserted"}:
            return
        self.passed_over.add(line, means.shown + (_did(effects) or (" (no row put in)" if touches else "")))

    def _try(self, text: str, statement: Statement, means: Meaning) -> str:
        """Run a statement as a whole. Gives words on why it failed, "" if it did not."""
        conflict = means.conflict if means.about_rows else ""
        try:
            try:
                self.sandbox.run(text, statement.line, conflict=conflict)
            except StatementError as error:
                supplied = _SUPPLIED.match(error.problem)
                columns = self._declared.get(means.name) or _UNNAMED.get(int(supplied[1]) if supplied else 0)
                if not supplied or not columns or not means.about_rows or means.names_columns:
                    raise
                at = means.name_end - statement.start
                text = f"{text[:at]} ({', '.join(columns)}) {text[at:]}"
                self.sandbox.run(text, statement.line, conflict=conflict)
        except StatementError as error:
            self._fail(error, statement.line, means)
            return f": failed, {_clause(error.problem)}"
        return ""

    def _fail(self, error: StatementError, line: int, means: Meaning) -> None:
        """A statement failed: end the script if it is meant for rows, or else remember what it was to make."""
        sandbox = self.sandbox
        is_for_rows = means.about_rows or means.on in TABLES or sandbox.writes & set(TABLES)
        if not (error.ends or is_for_rows or self._lost_transaction()):
            words = f"line {line}, {means.shown}: {_clause(error.problem)}"
            for name in {means.name, *sandbox.writes} - {""}:
                self._failed.setdefault(name, words)
                if means.verb == "CREATE":
                    self._absent.add(name)
            return
        problem = error.problem
        missing = _MISSING.match(problem)
        if missing and missing[1].lower() in self._failed:
            problem = f"{_clause(problem)} ({self._failed[missing[1].lower()]})."
        raise ScriptError(line, problem, error.remedy or REMEDY)

    def _lost_transaction(self) -> bool:
        """Whether the failure has rolled back what was open, by OR ROLLBACK."""
        opened, self._opened = self._opened, self._opened if self.sandbox.in_transaction else (0, "")
        return bool(opened[0]) and not self.sandbox.in_transaction

    def _check_sources(self, line: int, means: Meaning) -> None:
        """What a statement made of a table that lacks something lacks something too; rows must not."""
        sandbox = self.sandbox
        if not sandbox.in_transaction:
            self._opened = (0, "")
        if not self._failed:
            return
        if means.verb == "DROP" or (means.verb == "CREATE" and means.name in self._absent):
            self._failed.pop(means.name, None)
            self._absent.discard(means.name)
        because = next((self._failed[name] for name in sorted(sandbox.reads) if name in self._failed), "")
        if not because:
            return
        if sandbox.writes & set(TABLES):
            raise ScriptError(line, f"{means.shown!r} reads what an earlier statement failed to make ({because}).")
        for name in sandbox.writes:
            self._failed.setdefault(name, because)

    def _text_of(self, statement: Statement) -> str:
        if statement.end - statement.start > 2 * LARGEST_ROW:
            raise ScriptError(statement.line, f"the statement is longer than {2 * LARGEST_ROW:,} characters.")
        return self._text[statement.start : statement.end]


def _did(effects: Counter[str]) -> str:
    """Words on what became of rows, in parentheses."""
    did = [f"{effects[what]:,} {'row' if effects[what] == 1 else 'rows'} {words}" for what, words in _DID.items()]
    there = [words for what, words in zip(_DID, did, strict=True) if effects[what]]
    return f" ({', '.join(there)})" if there else ""


def _clause(problem: str) -> str:
    return problem.rstrip(".")
