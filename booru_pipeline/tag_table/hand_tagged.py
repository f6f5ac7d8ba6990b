"""Loading a hand-tagged release: a script of SQLite INSERT statements that nobody vouches for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from booru_pipeline.errors import BooruError
from booru_pipeline.tag_table.sandbox import Sandbox
from booru_pipeline.tag_table.script import ScriptError, script_rows

# People tag hundreds of pictures by hand, a kilobyte each. What is larger is a mistake or an attack.
LARGEST_SCRIPT: Final = 1 << 26

TABLES: Final = ("files", "tags")
_ABOUT: Final = [("number", pa.int64()), ("line", pa.int64()), ("raw", pa.large_binary()), ("is_text", pa.bool_())]
_BATCH_ROWS: Final = 20_000
_RULE: Final = "A hand-tagged release may do nothing but INSERT INTO files and tags rows of plain values"


def read_script(path: Path) -> dict[str, pa.Table]:
    """The rows that a script inserts, as it says them: for `files` and for `tags`.

    Columns: number (int64, from 1), line (int64), raw (large_binary, the row as it is written), is_text (whether all
    values are text, numbers or NULL), and the columns of sql/tag_table/hand_tagged/sqlite_tables.sql as strings.

    Raises:
        BooruError: The script is too large, is not UTF-8 text, or does anything else than insert rows.
    """
    text = _read(path)
    sandbox = Sandbox()
    schemas = {
        table: pa.schema([*_ABOUT, *((name, pa.string()) for name in sandbox.columns[table])]) for table in TABLES
    }
    batches: dict[str, list[pa.RecordBatch]] = {table: [] for table in TABLES}
    pending: dict[str, list[tuple[object, ...]]] = {table: [] for table in TABLES}
    try:
        for number, row in enumerate(script_rows(text), start=1):
            table, values = sandbox.insert(row)
            pending[table].append((number, row.line, row.values.encode(), *_as_text(values)))
            if len(pending[table]) == _BATCH_ROWS:
                batches[table].append(_batch(schemas[table], pending[table]))
                pending[table] = []
    except ScriptError as error:
        raise BooruError(f"{path}, {error} {_RULE}; correct or remove that statement.") from None
    finally:
        sandbox.close()
    return {table: pa.Table.from_batches([*batches[table], _batch(schemas[table], pending[table])]) for table in TABLES}


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


def _as_text(values: list[object]) -> Iterator[object]:
    """Whether all values are text, numbers or NULL, and then each as text."""
    yield not any(isinstance(value, bytes) for value in values)
    for value in values:
        yield None if value is None or isinstance(value, bytes) else str(value)


def _batch(schema: pa.Schema, rows: list[tuple[object, ...]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(values, type) for values, type in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
