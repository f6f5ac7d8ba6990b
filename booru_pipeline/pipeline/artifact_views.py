"""Views of what was made of the releases, beside their tag tables: each is a table over all releases."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline import sql
from booru_pipeline.audit import tables
from booru_pipeline.errors import first_line
from booru_pipeline.lake.lake import Lake
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE

_FOLDER: Final = "pipeline/artifacts"
_ALIASES: Final = "aliases"
_IMPLICATIONS: Final = "implications"
_LABELS: Final = pa.list_(pa.string())
_TYPES: Final = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
}
# What DuckDB raises when a file is not what it seems, besides plain `duckdb.Error`.
_OF_A_FILE: Final = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)


@dataclass(frozen=True)
class _Table:
    """A table that has a file a release.

    Attributes:
        stage: Whose artifact the file is in.
        file: Its name there.
        schema: Its columns; of a file that has more, the others are left out.
    """

    stage: Stage
    file: str
    schema: pa.Schema


@dataclass(frozen=True)
class _File:
    """A file of a table."""

    path: Path
    stage: Stage
    release: str


def _audit(name: str) -> _Table:
    return _Table(Stage.TAG_AUDIT, tables.table_file(Path(), name).name, tables.SCHEMAS[name])


# By view, the tables that it is made of, as `views.sql` says it.
_VIEWS: Final[dict[str, dict[str, _Table]]] = {
    "labels": {
        "labels": _Table(
            Stage.VOCABULARY,
            LABELS_FILE,
            pa.schema(
                [
                    ("label", pa.string()),
                    ("category", pa.int8()),
                    ("posts", pa.int64()),
                    ("train_posts", pa.int64()),
                ]
            ),
        )
    },
    "predictions": {
        # The evaluation's own schema stands in a module that imports scipy.
        "predictions": _Table(
            Stage.EVALUATION_REPORT,
            "predictions.parquet",
            pa.schema(
                [
                    ("booru", pa.string()),
                    ("fid", pa.int64()),
                    ("hidden_share", pa.float64()),
                    ("visible", _LABELS),
                    ("implied", _LABELS),
                    ("derivable", _LABELS),
                    ("hidden", _LABELS),
                    ("rank", pa.list_(pa.int64())),
                    ("predicted", _LABELS),
                    ("probability", pa.list_(pa.float32())),
                ]
            ),
        )
    },
    "audit": {"missing": _audit(tables.MISSING), "suspect": _audit(tables.SUSPECT)},
    "proposed_implications": {"implications_found": _audit(tables.IMPLICATIONS)},
    "proposed_aliases": {"aliases_found": _audit(tables.ALIASES)},
    "not_kept_implications": {"not_kept": _audit(tables.NOT_KEPT)},
    "exclusions": {"exclusions": _audit(tables.EXCLUSIONS)},
    "core_tags": {"core_tags": _audit(tables.CORE_TAGS)},
}


# The file of no release, since there may be no other.
_NONE: Final[dict[str, object]] = {"release": "", "path": "", "columns": [""], "problem": ""}


@dataclass
class ArtifactViews:
    """The views of a connection. Each is there from the first, with its columns; its rows come with `fill`.

    A view of DuckDB reads its files' footers as soon as it is made, and the artifacts of a store are fetched whole. So
    they are looked at when a query names the view, and not before. Variables that this sets begin with `view_`, so that
    none of a person's is overwritten.

    Attributes:
        connection: Where they are.
        lake: The artifacts.
        relations: Gives the aliases and implications.
    """

    connection: duckdb.DuckDBPyConnection
    lake: Lake
    relations: Callable[[], Relations]
    _files: list[_File] = field(default_factory=list)
    _problems: list[str] = field(default_factory=list)
    _filled: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make them, without rows."""
        sql.run(self.connection, _FOLDER, "schema")
        for name, table in ((name, table) for made_of in _VIEWS.values() for name, table in made_of.items()):
            self._make(name, table, [])
        sql.run(self.connection, _FOLDER, "views")

    def fill(self, query: str) -> None:
        """Give rows to the views that a query names, if only in a word: more than are needed do no harm.

        Raises:
            BooruError: The aliases or implications cannot be read, or an artifact not be fetched.
        """
        # All words, rather than the tables that DuckDB finds in a query: it finds none in some that it can run.
        words = {word.lower() for word in re.findall(r"\w+", query)} - self._filled
        for view in sorted(words & {*_VIEWS, _ALIASES, _IMPLICATIONS}):
            if view == _ALIASES:
                self._fill_pairs("fill_aliases", self.relations().aliases.items())
            elif view == _IMPLICATIONS:
                implied = self.relations().implications.items()
                pairs = [(tag, other) for tag, others in implied for other in sorted(others)]
                self._fill_pairs("fill_implications", pairs)
            else:
                for name, table in _VIEWS[view].items():
                    self._make(name, table, self._look_at(table))
            self._filled.add(view)

    def problem_of(self, error: Exception) -> str | None:
        """What is wrong with a file and what to do, if a query failed because of it."""
        known = next((problem for problem in self._problems if problem in str(error)), None)
        if known is None and (type(error) is duckdb.Error or isinstance(error, _OF_A_FILE)):
            # A footer may be good and what is before it not.
            return next((problem for file in self._files if (problem := _problem_of(file, whole=True))), None)
        return known

    def _look_at(self, table: _Table) -> list[dict[str, object]]:
        """The table's file of each release, with the columns that it has, or what is wrong with it."""
        found = []
        for release in self.lake.releases_with(partial(table.stage.path, self.lake)):
            folder = self.lake.bring(table.stage.path(self.lake, release))
            file = _File(folder / table.file, table.stage, release)
            self._files.append(file)
            problem = _problem_of(file)
            if problem:
                self._problems.append(problem)
            columns = [] if problem else pq.read_schema(file.path).names
            found.append({"release": release, "path": str(file.path), "columns": columns, "problem": problem})
        return found

    def _make(self, name: str, table: _Table, files: list[dict[str, object]]) -> None:
        statement = sql.run(
            self.connection,
            _FOLDER,
            "view",
            view_name=name,
            view_columns=table.schema.names,
            view_types=[_in_sql(kind) for kind in table.schema.types],
            view_files=[_NONE, *files],
        )
        [(text,)] = statement.fetchall()
        self.connection.execute(text)

    def _fill_pairs(self, statement: str, pairs: Collection[tuple[str, str]]) -> None:
        if pairs:
            first, second = map(list, zip(*pairs, strict=True))
            sql.run(self.connection, _FOLDER, statement, view_first=first, view_second=second)


def _in_sql(kind: pa.DataType) -> str:
    """A type's name in SQL. DuckDB itself takes a quarter of a second to tell the first one."""
    if pa.types.is_list(kind):
        return f"{_in_sql(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        parts = ", ".join(f'"{part.name}" {_in_sql(part.type)}' for part in kind)
        return f"STRUCT({parts})"
    return _TYPES[kind]


def _problem_of(file: _File, *, whole: bool = False) -> str:
    """What is wrong with a file and what to do, or ''; by its footer alone, or read whole."""
    try:
        opened = pq.ParquetFile(file.path)
        for _ in opened.iter_batches() if whole else ():
            pass
    except (OSError, pa.ArrowException) as error:
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {first_line(error)}"
        return (
            f"{file.path} {what}. Remove {file.path.parent} and make it again with "
            f"`booru run --release {file.release} --to {file.stage.value}`."
        )
    return ""
