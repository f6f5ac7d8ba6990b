"""SQLite as a sandbox for the statements of people we do not know."""

import secrets
import sqlite3
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Final

import psutil

from booru_pipeline import sql
from booru_pipeline.errors import printable
from booru_pipeline.tag_table.functions import PURE, REACHING

_SQL: Final = "tag_table/hand_tagged"
_SHOWN: Final = 250  # of a message of SQLite, which may quote the script
TABLES: Final = ("files", "tags")

LARGEST_ROW: Final = 1 << 20  # of a row that only lists values
LARGEST_VALUE: Final = 1 << 16  # of what a function, or a query, can read or make: some take the square of it in time
MOST_ROWS: Final = 1 << 21  # that a script may put into files, or into tags
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: LARGEST_VALUE,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2 * LARGEST_ROW,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 64,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 5,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_ASKED_EVERY: Final = 100  # steps of SQLite's virtual machine, after which it asks whether to go on
MOST_STEPS: Final = 100_000_000  # of all statements of a script; a row of INSERT … VALUES takes about 20
MOST_SECONDS: Final = 30  # of all statements but plain rows: a bound for what one step can cost
MOST_MEMORY: Final = 512 << 20  # that the program may grow by, looked at every so many questions
_WEIGHED_EVERY: Final = 100

_WRITTEN: Final = {"files": "written_files", "tags": "written_tags"}
_MODULES: Final = frozenset({"json_each", "json_tree"})
_ACTIONS: Final = {
    getattr(sqlite3, f"SQLITE_{name.replace(' ', '_')}"): name
    for name in [
        *["INSERT", "UPDATE", "DELETE", "SELECT", "READ", "FUNCTION", "RECURSIVE", "ATTACH", "DETACH", "PRAGMA"],
        *["TRANSACTION", "SAVEPOINT", "ANALYZE", "REINDEX", "ALTER TABLE", "CREATE VTABLE", "DROP VTABLE"],
        *(
            f"{verb} {temp}{kind}"
            for verb in ("CREATE", "DROP")
            for temp in ("", "TEMP ")
            for kind in ("TABLE", "VIEW", "INDEX", "TRIGGER")
        ),
    ]
}
_ALWAYS: Final = frozenset({"SELECT", "RECURSIVE", "TRANSACTION", "SAVEPOINT", "REINDEX"})
_WRITES: Final = frozenset({"INSERT", "UPDATE", "DELETE"})


class StatementError(Exception):
    """SQLite does not run a statement.

    Attributes:
        problem: Why.
        ends: Whether the script has to end here, whatever the statement is for: it would reach out of the sandbox, or
            took more than it may.
        remedy: What to do, if it is not to correct the statement.
    """

    def __init__(self, problem: str, *, ends: bool = False, remedy: str = "") -> None:
        self.problem = printable(problem)[:_SHOWN]
        super().__init__(self.problem)
        self.ends = ends
        self.remedy = remedy


class Sandbox:
    """SQLite in memory with the tables `files` and `tags`, in which a script may have tables of its own.

    The authorizer sees every statement before it runs and refuses what is not on its list: other files, PRAGMA,
    extensions, virtual tables, functions that are not pure, and to make, change or drop anything called files or tags.
    Steps, seconds, memory, rows and the size of a value are bounded, for the script as a whole too.

    Attributes:
        columns: Of both tables, in order, by table.
        effect: Rows that the last statement has ("inserted" | "changed" | "removed" | "ignored", table), counted.
        reads: Tables that the last statement reads, in lower case.
        writes: Tables that it writes to, makes or drops, in lower case.
    """

    def __init__(self) -> None:
        # Nothing is cached: the authorizer is asked when a statement is prepared, and has to see each one.
        self._connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
        self._guard = f"guard{secrets.token_hex(8)}"
        self._connection.executescript(sql.statement(_SQL, "sqlite_tables"))
        self._connection.text_factory = _text
        functions: list[tuple[str, int, Callable[..., str | None]]] = [
            ("inserted", 2, self._inserted),
            ("changed", 2, self._changed),
            ("removed", 2, self._removed),
            ("ignored", 1, self._ignored),
            ("conflict", 0, self._or_word),
        ]
        for name, width, function in functions:
            self._connection.create_function(f"{self._guard}_{name}", width, function)
        for name, strip in [("trim", str.strip), ("ltrim", str.lstrip), ("rtrim", str.rstrip)]:
            self._connection.create_function(name, 2, _trimming(strip), deterministic=True)
        self._connection.executescript(self._guarded("watch"))
        if sys.version_info >= (3, 12):  # "text" is allowed by default; some builds of SQLite are made without it
            for option in (sqlite3.SQLITE_DBCONFIG_DQS_DML, sqlite3.SQLITE_DBCONFIG_DQS_DDL):
                self._connection.setconfig(option, True)
            self._connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        for limit, value in _LIMITS.items():
            self._connection.setlimit(limit, value)
        self.columns = {
            table: [column[0] for column in self._ours(_WRITTEN[table]).description[1:]] for table in TABLES
        }
        self._known = {*TABLES, *_MODULES}  # tables and views that may be read
        self._has_keys = self._has_triggers = False
        self._trusted = False  # while our own statements run
        self._conflict = ""
        self._mark = (0, -1, -1)
        self._marks = {table: (array("q", [0]), array("q", [0]), array("q", [0])) for table in TABLES}
        self._refused = self._stopped = ""
        self._reaches_out = self._is_plain = False
        self._questions = 0
        self._seconds = self._began = 0.0
        self._process = psutil.Process()
        self._memory = self._process.memory_info().rss
        self.effect: Counter[tuple[str, str]] = Counter()
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self._made: set[str] = set()
        self._connection.set_authorizer(self._authorize)
        self._connection.set_progress_handler(self._may_stop, _ASKED_EVERY)

    def run(
        self, statement: str, line: int, *, span: tuple[int, int] = (-1, -1), plain: bool = False, conflict: str = ""
    ) -> None:
        """Run a statement, and note what it did in `effect`, `reads` and `writes`.

        Args:
            statement: One statement.
            line: Rows that it writes are of that line.
            span: Offsets of its row in the script, if it is one of an INSERT … VALUES.
            plain: Whether it can call no function, so that larger values do no harm.
            conflict: REPLACE or IGNORE, as behind INSERT OR.

        Raises:
            StatementError: It is not valid, not allowed, or takes too much.
        """
        if self._has_triggers:  # then other rows come with this one, and functions are called
            plain, span = False, (-1, -1)
        self._mark, self._is_plain, self._conflict = (line, *span), plain, conflict
        self._refused, self._stopped, self._reaches_out = "", "", False
        self.effect, self.reads, self.writes, self._made = Counter(), set(), set(), set()
        if conflict and not self._has_keys:
            self._has_keys = True
            self._as_ours(self._guarded("keys"))
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_ROW if plain else LARGEST_VALUE)
        self._began = time.monotonic()
        try:
            if self._seconds > MOST_SECONDS:  # spent on statements of few steps each
                self._stopped = _too_much(f"{MOST_SECONDS} seconds")
                raise sqlite3.OperationalError
            for _ in self._connection.execute(statement):  # of RETURNING
                pass
        except (sqlite3.Error, sqlite3.Warning, MemoryError, OverflowError, ValueError) as error:
            raise self._explained(error) from error
        finally:
            if not plain:
                self._seconds += time.monotonic() - self._began
        if self._made:
            self._known |= self._made

    def empty(self, table: str, line: int) -> None:
        """Take back all rows of one of the two tables: what dropping it comes to."""
        self.run(f"DELETE FROM {table}", line)

    def count(self) -> int:
        """How many rows there are in both."""
        began = time.monotonic()
        rows = sum(self._as_ours(f"select count(*) from {table};").fetchone()[0] for table in TABLES)
        self._seconds += time.monotonic() - began
        return int(rows)

    def declared(self, statement: str, table: str) -> list[str]:
        """The columns that a script's own CREATE TABLE gives to `files` or `tags`. Nothing is made here.

        Raises:
            StatementError: It is not valid, or is more than a list of columns.
        """
        began = time.monotonic()
        with closing(sqlite3.connect(":memory:")) as scratch:
            scratch.set_authorizer(partial(_only_columns, table))
            try:
                scratch.execute(statement)
            except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
                problem = str(error).rstrip(".")
                if "authorize" in problem or "prohibited" in problem:
                    problem = f"the table {table} can only be made by a list of its columns"
                raise StatementError(f"{problem}.", remedy="Fill it by INSERT, or correct that statement.") from None
            finally:
                self._seconds += time.monotonic() - began
            scratch.set_authorizer(None)
            return [column[0] for column in scratch.execute(f"select * from {table} limit 0").description]

    @property
    def in_transaction(self) -> bool:
        """Whether a BEGIN or SAVEPOINT still waits for its end."""
        return self._connection.in_transaction

    def written(self, table: str) -> Iterator[tuple[tuple[int, int, int], tuple[object, ...]]]:
        """The rows that stand in a table: the line of the statement that last wrote each, the offsets of its text in
        the script (-1 if it does not stand there), and its values in the order of `columns`.
        """
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * LARGEST_ROW)
        lines, starts, ends = self._marks[table]
        self._trusted = True  # from here on nothing else runs
        for rowid, *values in self._ours(_WRITTEN[table]):
            yield (lines[rowid], starts[rowid], ends[rowid]), tuple(values)

    def close(self) -> None:
        """Free the memory."""
        self._connection.close()

    def _guarded(self, name: str) -> str:
        return sql.statement(_SQL, name).replace("guard", self._guard)

    def _ours(self, name: str) -> sqlite3.Cursor:
        return self._connection.execute(sql.statement(_SQL, name))

    def _as_ours(self, statements: str) -> sqlite3.Cursor:
        self._trusted = True
        try:
            *several, last = _split(statements)
            for statement in several:
                self._connection.execute(statement)
            return self._connection.execute(last)
        finally:
            self._trusted = False

    def _explained(self, error: Exception) -> StatementError:
        if self._stopped:
            return StatementError(self._stopped, ends=True, remedy=_SMALLER)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if isinstance(error, MemoryError) or code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM):
            return StatementError("the script needs more memory than it may have.", ends=True, remedy=_SMALLER)
        if self._refused:
            ends = self._reaches_out
            return StatementError(f"{self._refused} is not allowed.", ends=ends, remedy=_INSIDE if ends else "")
        text = str(error).rstrip(".")
        if text.startswith("no such function: ") and text.split()[-1].lower() in REACHING:
            return StatementError(f"the function {text.split()[-1]} is not allowed.", ends=True, remedy=_INSIDE)
        if code == sqlite3.SQLITE_TOOBIG and not self._is_plain:
            text = f"a value is longer than {LARGEST_VALUE:,} bytes ({text})"
        remedy = _OR if text.startswith("ON CONFLICT") else ""
        return StatementError(f"{text}.", remedy=remedy)

    def _authorize(self, action: int, first: str | None, second: str | None, database: str | None, by: object) -> int:
        if self._trusted:
            return sqlite3.SQLITE_OK
        name = _ACTIONS.get(action, f"SQLite's action {action}")
        target = (first or "").lower()
        if "ROLLBACK" in (first, second):
            self._has_keys = False  # they may have been made since it began
        if name in _ALWAYS or self._may(name, target, second or "", by):
            return sqlite3.SQLITE_OK
        self._reaches_out = self._reaches_out or name in ("ATTACH", "DETACH") or (second or "").lower() in REACHING
        self._refused = self._refused or " ".join(filter(None, (name, first, second)))
        return sqlite3.SQLITE_DENY

    def _may(self, action: str, target: str, detail: str, by: object) -> bool:
        if target.startswith(self._guard):
            return False
        if action == "FUNCTION":
            if detail.startswith(self._guard):
                return isinstance(by, str) and by.startswith(self._guard)
            return detail.lower() in PURE
        system = target.startswith("sqlite_")  # SQLite itself refuses to write there, but for its own statements
        if action == "READ":
            self.reads.add(target)
            # Without a column only the number of rows is asked for, and WITH's names come here too.
            return system or not detail or target in self._known or target in self._made
        if action in _WRITES:
            if not system:
                self.writes.add(target)
            return system or (detail != "ROWID" if target in TABLES else target in self._known | self._made)
        verb, _, kind = action.partition(" ")
        if verb not in ("CREATE", "DROP") or kind.endswith("VTABLE") or target in TABLES:
            return False
        if kind.endswith("INDEX"):
            return detail.lower() not in TABLES  # one that is unique would refuse rows that are to be counted
        if kind.endswith("TRIGGER"):
            self._has_triggers = True
            return True
        self.writes.add(target)
        if verb == "CREATE":
            self._made.add(target)
        return True

    def _may_stop(self) -> int:
        if self._trusted or self._stopped:
            return int(bool(self._stopped))
        self._questions += 1
        if self._questions * _ASKED_EVERY > MOST_STEPS:
            self._stopped = _too_much(f"{MOST_STEPS:,} steps")
        elif self._seconds + time.monotonic() - self._began > MOST_SECONDS:
            self._stopped = _too_much(f"{MOST_SECONDS} seconds")
        elif self._questions % _WEIGHED_EVERY == 0 and self._process.memory_info().rss - self._memory > MOST_MEMORY:
            self._stopped = f"the script takes more than {MOST_MEMORY >> 20} MiB of memory."
        return int(bool(self._stopped))

    def _inserted(self, table: str, rowid: int) -> None:
        marks = self._marks[table]
        if rowid == len(marks[0]) > MOST_ROWS:
            self._stopped = f"the script puts more than {MOST_ROWS:,} rows into {table}."
            raise ValueError(self._stopped)
        if not 0 < rowid <= len(marks[0]):  # SQLite counts on; rows are found again by it
            self._refused = f"to choose the rowid of a row of {table}"
            raise ValueError(self._refused)
        if rowid == len(marks[0]):
            for numbers in marks:
                numbers.append(0)
        for numbers, value in zip(marks, self._mark, strict=True):
            numbers[rowid] = value
        self.effect["inserted", table] += 1

    def _changed(self, table: str, rowid: int) -> None:
        for numbers, value in zip(self._marks[table], (self._mark[0], -1, -1), strict=True):
            numbers[rowid] = value
        self.effect["changed", table] += 1

    def _removed(self, table: str, rowid: int) -> None:
        self.effect["removed", table] += 1

    def _or_word(self) -> str:
        return self._conflict

    def _ignored(self, table: str) -> None:
        self.effect["ignored", table] += 1


_SMALLER: Final = "Bound it, by LIMIT or WHERE, or remove that statement."
_OR: Final = "Write INSERT OR IGNORE or INSERT OR REPLACE, which know the keys of both tables."
_INSIDE: Final = "A hand-tagged release may use nothing but its own tables; remove that statement."


def _too_much(what: str) -> str:
    return f"the script takes more than {what}: does a recursion or a join never end?"


def _only_columns(table: str, action: int, first: str | None, *_: str | None) -> int:
    """Lets CREATE TABLE with a list of columns pass, with its keys, and functions in CHECK, which are not run."""
    name = _ACTIONS.get(action, "")
    makes = name in ("CREATE TABLE", "CREATE INDEX", "FUNCTION")
    inner = name in ("INSERT", "UPDATE", "READ") and (first or "").lower() in ("sqlite_master", table)
    return sqlite3.SQLITE_OK if makes or inner else sqlite3.SQLITE_DENY


def _split(statements: str) -> Iterator[str]:
    """Our own statements one by one: `executescript` would commit what the script has begun."""
    part = ""
    for line in statements.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def _trimming(strip: Callable[[str, str], str]) -> Callable[[object, object], str | None]:
    """SQLite's trim(text, letters), which takes the product of both lengths in time, without that."""

    def trim(text: object, letters: object) -> str | None:
        return None if text is None or letters is None else strip(_as_text(text), "".join(set(_as_text(letters))))

    return trim


def _as_text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _text(content: bytes) -> str | bytes:
    """Text that is UTF-8 as text; SQLite makes other text too."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content
