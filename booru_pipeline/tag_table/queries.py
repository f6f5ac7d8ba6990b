"""The library of queries under `sql/tag_table/queries/`, and queries in files of one's own."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from booru_pipeline import sql
from booru_pipeline.errors import BooruError, first_line

_FOLDER: Final = sql.SQL_FOLDER / "tag_table" / "queries"
_VARIABLE: Final = re.compile(r"getvariable\s*\(\s*'(\w+)'\s*\)", re.IGNORECASE)
_NAME: Final = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Query:
    """A query and what it says of itself.

    Attributes:
        name: The file's name, without `.sql` if it is one of the library.
        text: SQL, one statement or several.
    """

    name: str
    text: str

    @property
    def summary(self) -> str:
        """Its first line of comment, or nothing."""
        first = self.text.lstrip().partition("\n")[0]
        return first.removeprefix("--").strip() if first.startswith("--") else ""

    @property
    def variables(self) -> list[str]:
        """Names of the variables that it reads, in order."""
        return list(dict.fromkeys(_VARIABLE.findall(self.text)))


def library() -> list[Query]:
    """The queries that come with the package, by name."""
    return [Query(path.stem, path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.sql"))]


def find_query(name: str) -> Query:
    """A query of the library by its name, or one in a file by its path.

    Raises:
        BooruError: There is no such query and no such file, or the file cannot be read.
    """
    queries = {query.name: query for query in library()}
    if name in queries:
        return queries[name]
    try:
        return Query(name, Path(name).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BooruError(
            f"there is no file {name}, and no such query in the library. Name a file, or one of {', '.join(queries)}."
        ) from None
    except (OSError, ValueError) as error:
        what = "is not UTF-8 text" if isinstance(error, UnicodeError) else getattr(error, "strerror", None) or error
        raise BooruError(f"cannot read the query {name}: {what}. Name a text file or a query of the library.") from None


def parse_variables(settings: Sequence[str]) -> dict[str, Any]:
    """`min_posts=100` and the like as values: JSON where it is JSON, else text. The last one of a name counts.

    Raises:
        BooruError: One is not of the form name=value.
    """
    variables: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise BooruError(f"--set {setting}: write name=value, with a number, a text or a list.")
        try:
            variables[name] = json.loads(text)
        except ValueError:
            variables[name] = text
    return variables


def check_variables(query: Query, variables: Mapping[str, Any]) -> None:
    """Whether a query reads all the variables.

    Raises:
        BooruError: It does not read one: the name is wrong.
    """
    for name in variables:
        if name.lower() not in {known.lower() for known in query.variables}:
            known, remedy = ", ".join(query.variables), "Name one of these" if query.variables else "Leave it out"
            raise BooruError(
                f"--set {name}: {query.name} does not read a variable of that name (it reads: {known or 'none'}). "
                f"{remedy}."
            )


def set_variables(connection: duckdb.DuckDBPyConnection, variables: Mapping[str, Any]) -> None:
    """Set variables that a query reads through `getvariable()`.

    Raises:
        BooruError: DuckDB has no such value.
    """
    for name, value in variables.items():
        try:
            connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        except duckdb.Error as error:
            raise BooruError(f"--set {name}: {first_line(error)}. Give a number, a text or a list.") from error
