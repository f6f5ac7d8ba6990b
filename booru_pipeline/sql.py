"""The statements under `sql/`: plain DuckDB SQL, one purpose each, inputs through `getvariable()`."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from booru_pipeline.progress import is_told, step

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_sql"  # where the wheel puts the folder; a checkout has it beside the package
SQL_FOLDER = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "sql"


@cache
def statement(folder: str, name: str) -> str:
    """The text of `sql/<folder>/<name>.sql`."""
    return (SQL_FOLDER / folder / f"{name}.sql").read_text(encoding="utf-8")


def run(connection: duckdb.DuckDBPyConnection, folder: str, name: str, **variables: Any) -> duckdb.DuckDBPyConnection:
    """Set the variables that a statement reads, and execute it.

    Args:
        connection: Where it runs; the variables stay set on it.
        folder: Under `sql/`, such as `tag_table` or `dataset/sides`.
        name: The file without `.sql`; it may hold several statements, the last one's result is returned.
        variables: Inputs that the statement reads through `getvariable()`.
    """
    _set(connection, variables)
    with _told(connection, folder, name):
        return connection.execute(statement(folder, name))


def relation(
    connection: duckdb.DuckDBPyConnection, folder: str, name: str, **variables: Any
) -> duckdb.DuckDBPyRelation:
    """Set the variables that a query reads, and give the query, of which rows are read when they are asked for."""
    _set(connection, variables)
    return connection.sql(statement(folder, name))


def table(connection: duckdb.DuckDBPyConnection, folder: str, name: str, **variables: Any) -> pa.Table:
    """Set the variables that a query reads, and give its result as an Arrow table. See `run`."""
    _set(connection, variables)
    with _told(connection, folder, name):
        return connection.sql(statement(folder, name)).to_arrow_table()


@contextmanager
def _told(connection: duckdb.DuckDBPyConnection, folder: str, name: str) -> Iterator[None]:
    """Tell how far a statement is. DuckDB counts that for a progress bar only, which is not printed."""
    if not is_told():
        yield
        return
    for setting, value in (("enable_progress_bar", True), ("enable_progress_bar_print", False)):
        connection.execute(f"SET {setting} = {value}")
    with step(f"statement {folder}/{name}", measure=lambda: connection.query_progress() / 100):
        yield


def _set(connection: duckdb.DuckDBPyConnection, variables: dict[str, Any]) -> None:
    for variable, value in variables.items():
        connection.execute(f"SET VARIABLE {variable} = $value", {"value": value})
