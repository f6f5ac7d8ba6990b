"""What an artifact was made from: a record that is kept in it."""

import functools
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb

_RECORD: Final = "record.json"


@dataclass(frozen=True)
class Record:
    """What an artifact was made from, kept in the artifact.

    Attributes:
        stage: The asset's name.
        release: The release's key.
        key: A hash of everything below that decides the content, upstream artifacts included: as long as it is the key
            that the present inputs and options give, the artifact is fresh.
        inputs: Fingerprints or keys of what it was made from, by name.
        options: The options it was made with.
        also_read: Keys of earlier releases' artifacts that were read too. They do not enter the key: a corrected early
            release does not by itself redo all later ones.
        made: When it was written, ISO 8601 in UTC; the same key can be made twice. Empty in one that is only expected.
    """

    stage: str
    release: str
    key: str
    inputs: dict[str, str]
    options: dict[str, Any]
    also_read: dict[str, str] = field(default_factory=dict)
    made: str = field(default="", compare=False)

    def write(self, folder: Path) -> None:
        """Keep the record in an artifact that is a folder."""
        self.write_note(folder / _RECORD)

    def write_note(self, path: Path) -> None:
        """Keep the record as a file of its own."""
        path.write_text(json.dumps(self._content(), indent=2) + "\n", encoding="utf-8")

    def write_table(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep the record in an artifact that is a DuckDB file."""
        connection.execute(
            "CREATE TABLE record AS SELECT $content::JSON AS content", {"content": json.dumps(self._content())}
        )

    def _content(self) -> dict[str, Any]:
        return {**asdict(self), "made": datetime.now(UTC).isoformat()}


def read_record(artifact: Path) -> Record | None:
    """The record of an artifact, or None if there is no artifact, or something without a record in its place."""
    try:
        if artifact.is_dir():
            return read_note(artifact / _RECORD)
        if artifact.is_file():
            stat = artifact.stat()
            content = _table_record(artifact, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        else:
            return None
        return Record(**json.loads(content))
    except (ValueError, TypeError, duckdb.Error):
        return None


def read_note(path: Path) -> Record | None:
    """A record that is a file of its own, or None if it is not there or none."""
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@functools.lru_cache(maxsize=1024)
def _table_record(table: Path, *marks: int) -> str:
    """A DuckDB file's record as JSON. Opening one takes 20 ms, and a look asks for those of all releases."""
    with duckdb.connect(str(table), read_only=True) as connection:
        [(content,)] = connection.execute("SELECT content FROM record").fetchall()
    return str(content)
