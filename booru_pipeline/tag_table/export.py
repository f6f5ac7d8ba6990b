"""Tag tables as the origin's SQLite database."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import duckdb

from booru_pipeline import sql
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import staged_beside
from booru_pipeline.tag_table.attach import attach_all

_SQL: Final = "tag_table/export"

_BATCH_ROWS: Final = 20_000
_DUCKDB: Final[dict[str, Any]] = {"memory_limit": "256MB", "threads": 2}  # it sorts on disk what does not fit


def export_sqlite(lake: Lake, target: Path, only: Sequence[str] = (), *, force: bool = False) -> dict[str, int]:
    """Write the tag tables of several releases as one SQLite file: the origin's `booru-chars.db`.

    Tables, keys and indexes are the origin's, so that its queries run on it. A post that is listed in several of the
    releases is there once, as the latest listing has it. Rows are streamed: memory does not grow with their number.

    Args:
        lake: Where the tag tables are.
        target: The file to write. It is written beside its place and renamed, so that it is never half there.
        only: Keys of the releases; all that are loaded by default.
        force: Replace the file if it is there.

    Returns:
        Rows by table.

    Raises:
        BooruError: A release is not loaded, the file is there already, or its place cannot be written.
    """
    with (
        staged_beside(target, force=force) as draft,
        duckdb.connect(config={**_DUCKDB, "temp_directory": str(draft.parent / "sort")}) as source,
    ):
        attach_all(source, lake, only)
        return _write(source, draft)


def _write(source: duckdb.DuckDBPyConnection, draft: Path) -> dict[str, int]:
    try:
        with closing(sqlite3.connect(draft)) as database, database:
            database.executescript(sql.statement(_SQL, "schema"))
            rows = {
                "files": _copy(source, "files", database, "insert_file"),
                "tags": _copy(source, "tags", database, "insert_tag"),
            }
            database.executescript(sql.statement(_SQL, "indexes"))
    except (sqlite3.OperationalError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        place = draft.parents[2]
        raise BooruError(
            f"cannot write {draft.name} to {place}: {error}. Free some space or choose another."
        ) from error
    return rows


def _copy(source: duckdb.DuckDBPyConnection, query: str, database: sqlite3.Connection, insert: str) -> int:
    result = sql.run(source, _SQL, query)
    count = 0
    while rows := result.fetchmany(_BATCH_ROWS):
        database.executemany(sql.statement(_SQL, insert), rows)
        count += len(rows)
    return count
