"""Records of what artifacts were made from, kept in them."""

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from pydantic import Field

from booru_pipeline.lake.document import Document


class Record(Document):
    """Names what an artifact was made from, and is kept in it. Two are equal whenever they were written.

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

    FILE = "record.json"
    REMEDY = "Make the artifact again with `booru run`."

    stage: str
    release: str
    key: str
    inputs: dict[str, str] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    also_read: dict[str, str] = Field(default_factory=dict)
    made: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and {**dict(self), "made": ""} == {**dict(other), "made": ""}

    def write(self, folder: Path) -> None:
        """Keep the record in an artifact that is a folder."""
        self.write_note(folder / self.FILE)

    def write_note(self, path: Path) -> None:
        """Keep the record as a file of its own."""
        path.write_text(self._dated().model_dump_json(indent=2) + "\n", encoding="utf-8")

    def write_table(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep the record in an artifact that is a DuckDB file."""
        connection.execute(
            "CREATE TABLE record AS SELECT $content::JSON AS content", {"content": self._dated().model_dump_json()}
        )

    def _dated(self) -> "Record":
        return self.model_copy(update={"made": datetime.now(UTC).isoformat()})


def read_record(artifact: Path) -> Record | None:
    """The record of an artifact, or None if there is no artifact, or something without a record in its place."""
    if artifact.is_dir():
        return read_note(artifact / Record.FILE)
    try:
        stat = artifact.stat()
        return Record.model_validate_json(_table_record(artifact, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    except (OSError, ValueError, duckdb.Error):
        return None


def read_note(path: Path) -> Record | None:
    """A record that is a file of its own, or None if it is not there or none."""
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


@functools.lru_cache(maxsize=1024)
def _table_record(table: Path, *marks: int) -> str:
    """A DuckDB file's record as JSON. Opening one takes 20 ms, and a scan asks for those of all releases."""
    with duckdb.connect(str(table), read_only=True) as connection:
        [(content,)] = connection.execute("SELECT content FROM record").fetchall()
    return str(content)
