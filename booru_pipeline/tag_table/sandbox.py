"""SQLite as a sandbox for the INSERT statements of people we do not know."""

import sqlite3
import sys
from typing import Final

from booru_pipeline import sql
from booru_pipeline.tag_table.script import ScriptError, ScriptRow

_SQL: Final = "tag_table/hand_tagged"

LARGEST_ROW: Final = 1 << 20

# Columns of a row whose statement names none, by the number of its values: the origin's table, the TSV's columns, tags.
_START: Final = ["file_name", "torr_md5", "orig_ext", "orig_md5", "file_size"]
_END: Final = ["jq", "torr_path", "tags_copyr", "tags_char", "tags_artist"]
_UNNAMED: Final = {
    15: ["booru", "fid", "shard", *_START, "img_width_torr", "img_height_torr", *_END],
    13: ["booru", "fid", *_START, "img_size_torr", *_END],
    6: ["booru", "fid", "tag", "tag_id", "tag_cat", "danb_fr"],
}
_TAKE: Final = {"files": "inserted_file", "tags": "inserted_tag"}
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: LARGEST_ROW,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2 * LARGEST_ROW,
    sqlite3.SQLITE_LIMIT_COLUMN: 64,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 20,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 2,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 10_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_STEPS: Final = 1000  # SQLite's virtual machine is asked whether to go on each time it has run so many
_ASKED: Final = 100
_ACTIONS: Final = {
    getattr(sqlite3, f"SQLITE_{name.replace(' ', '_')}"): name
    for name in [
        *["INSERT", "UPDATE", "DELETE", "SELECT", "READ", "FUNCTION", "RECURSIVE", "ATTACH", "DETACH", "PRAGMA"],
        *["CREATE TABLE", "CREATE TEMP TABLE", "CREATE VIEW", "CREATE TRIGGER", "CREATE TEMP TRIGGER", "DROP TABLE"],
    ]
}


class Sandbox:
    """SQLite in memory, allowed to insert into `files` and `tags` and nothing else.

    The authorizer sees every statement before it runs and refuses all that is not on its list: reading, functions,
    ATTACH, PRAGMA, tables and triggers. Limits bound the size of what is left, and the steps that it may run.

    Attributes:
        columns: Of both tables, in order, by table.
    """

    def __init__(self) -> None:
        # Nothing is cached: the authorizer is asked when a statement is prepared, and has to see each one.
        self._connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
        self._connection.executescript(sql.statement(_SQL, "sqlite_tables"))
        if sys.version_info >= (3, 12):  # "text" is allowed by default; some builds of SQLite are made without it
            self._connection.setconfig(sqlite3.SQLITE_DBCONFIG_DQS_DML, True)
        for limit, value in _LIMITS.items():
            self._connection.setlimit(limit, value)
        takes = {table: self._connection.execute(sql.statement(_SQL, take)) for table, take in _TAKE.items()}
        self.columns = {table: [column[0] for column in take.description] for table, take in takes.items()}
        self._trusted = False  # while our own statements run
        self._table = ""
        self._refused = ""
        self._asked = 0
        self._connection.set_authorizer(self._authorize)
        self._connection.set_progress_handler(self._may_stop, _STEPS)

    def insert(self, row: ScriptRow) -> tuple[str, list[object]]:
        """Run one row of a statement.

        Returns:
            The table that the row was put into, and its values in the order of `columns`.

        Raises:
            ScriptError: The row is too large, or the statement is not valid or not allowed.
        """
        if len(row.head) + len(row.values) > LARGEST_ROW:
            raise ScriptError(row.line, f"the row is longer than {LARGEST_ROW:,} characters.")
        if not row.names_columns and row.width not in _UNNAMED:
            raise ScriptError(
                row.line,
                f"the row has {row.width} values and its statement names no columns; files has 15 or 13, tags has 6.",
            )
        columns = "" if row.names_columns else f"({', '.join(_UNNAMED[row.width])})"
        statement = f"{row.head[:-6]} {columns} {row.head[-6:]} {row.values}"
        self._table, self._refused, self._asked = "", "", 0
        self._ours("BEGIN")
        try:
            self._connection.execute(statement)
        except (sqlite3.Error, sqlite3.Warning) as error:
            what = f"{self._refused} is not allowed" if self._refused else str(error)
            raise ScriptError(row.line, f"{what}.") from error
        inserted = self._ours(sql.statement(_SQL, _TAKE[self._table]))
        self._ours("ROLLBACK")
        if len(inserted) != 1:  # EXPLAIN INSERT …
            raise ScriptError(row.line, "the statement inserts nothing.")
        return self._table, list(inserted[0])

    def close(self) -> None:
        """Free the memory."""
        self._connection.close()

    def _ours(self, statement: str) -> list[tuple[object, ...]]:
        self._trusted = True
        try:
            return self._connection.execute(statement).fetchall()
        finally:
            self._trusted = False

    def _authorize(self, action: int, first: str | None, second: str | None, database: str | None, _: object) -> int:
        if self._trusted:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_INSERT and first in _TAKE and database == "main":
            self._table = str(first)
            return sqlite3.SQLITE_OK
        name = _ACTIONS.get(action, f"SQLite's action {action}")
        self._refused = self._refused or " ".join(filter(None, (name, first, second)))
        return sqlite3.SQLITE_DENY

    def _may_stop(self) -> int:
        self._asked += 1
        return int(self._asked > _ASKED and not self._trusted)
