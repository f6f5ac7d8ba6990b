"""Reading a hand-tagged release: a script of SQLite statements that nobody vouches for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from booru_pipeline.errors import BooruError
from booru_pipeline.tag_table.play import Player
from booru_pipeline.tag_table.sandbox import TABLES, Sandbox
from booru_pipeline.tag_table.script import ScriptError

# People tag hundreds of pictures by hand, a kilobyte each. What is larger is a mistake or an attack.
LARGEST_SCRIPT: Final = 1 << 26

_ABOUT: Final = [("number", pa.int64()), ("line", pa.int64()), ("raw", pa.large_binary()), ("is_text", pa.bool_())]
_BATCH_ROWS: Final = 20_000


@dataclass(frozen=True)
class ScriptContent:
    """What a script leaves behind.

    Attributes:
        tables: The rows of `files` and of `tags`, by table. Columns: number (int64, from 1), line (int64, of the row,
            or of the statement that made it or changed it last), raw (large_binary, the row as it is written, or as an
            INSERT would say it), is_text (whether all values are text, numbers or NULL), and the columns of
            sql/tag_table/hand_tagged/sqlite_tables.sql as strings.
        passed_over: Statements that put no row into either table, each with its line, and words that name it and say
            what it did to rows, or why it failed.
    """

    tables: dict[str, pa.Table]
    passed_over: list[tuple[int, str]]


def read_script(path: Path) -> ScriptContent:
    """Run a script, which is untrusted, in memory behind an authorizer and small limits; see `Sandbox` and `Player`.

    Raises:
        BooruError: The script is too large, is not UTF-8 text, is cut off, fails to write its rows, reaches out of the
            sandbox, or takes too much. The message has the line and the remedy.
    """
    text = _read(path)
    player = Player(text)
    try:
        player.run()
        tables = {table: _table(player.sandbox, table, text) for table in TABLES}
    except ScriptError as error:
        raise BooruError(f"{path}, {error}") from None
    finally:
        player.sandbox.close()
    return ScriptContent(tables, player.passed_over.all())


def _table(sandbox: Sandbox, table: str, text: str) -> pa.Table:
    names = sandbox.columns[table]
    schema = pa.schema([*_ABOUT, *((name, pa.string()) for name in names)])
    batches: list[pa.RecordBatch] = []
    pending: list[tuple[object, ...]] = []
    for number, ((line, start, end), values) in enumerate(sandbox.written(table), start=1):
        raw = text[start:end] if start >= 0 else _as_insert(table, names, values)
        pending.append((number, line, raw.encode(), *_as_text(values)))
        if len(pending) == _BATCH_ROWS:
            batches.append(_batch(schema, pending))
            pending = []
    return pa.Table.from_batches([*batches, _batch(schema, pending)])


def _as_insert(table: str, names: list[str], values: tuple[object, ...]) -> str:
    """A row that is not written in the script, as a statement that would put it there."""
    there = [(name, _literal(value)) for name, value in zip(names, values, strict=True) if value is not None]
    columns, literals = (", ".join(part) for part in zip(*(there or [("booru", "NULL")]), strict=True))
    return f"insert into {table} ({columns}) values ({literals})"


def _literal(value: object) -> str:
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _read(path: Path) -> str:
    size = path.stat().st_size
    if size > LARGEST_SCRIPT:
        raise BooruError(
            f"{path} has {size:,} bytes; a hand-tagged release may have {LARGEST_SCRIPT:,}. "
            "Split it into several, or make a TSV release of it."
        )
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BooruError(f"{path}, line {line}: is not UTF-8 text. Save the file as UTF-8.") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise BooruError(f"{path}, line {line}: has a NUL byte. Remove it.")
    return text


def _as_text(values: tuple[object, ...]) -> Iterator[object]:
    """Whether all values are text, numbers or NULL, and then each as text."""
    yield not any(isinstance(value, bytes) for value in values)
    for value in values:
        yield None if value is None or isinstance(value, bytes) else str(value)


def _batch(schema: pa.Schema, rows: list[tuple[object, ...]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(values, type) for values, type in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
