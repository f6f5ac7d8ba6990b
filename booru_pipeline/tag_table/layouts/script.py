"""A hand-tagged release: a script of SQL statements that put rows into `files` and `tags`, as the origin's captions."""

import pyarrow as pa

from booru_pipeline.release.find import Release
from booru_pipeline.tag_table.hand_tagged import read_script
from booru_pipeline.tag_table.raw_rows import RAW_ROWS, RawRelease, RawRows


def read(release: Release) -> RawRelease:
    """The rows that the script leaves, and its statements that put none in. A row has the line of the script that it
    begins on, or that of the statement that made it.

    Raises:
        BooruError: See `read_script`.
    """
    content = read_script(release.files)
    return RawRelease(_rows(content.tables["files"]), _rows(content.tables["tags"]), content.passed_over)


def _rows(table: pa.Table) -> RawRows:
    columns = [name for name in table.column_names if name not in ("number", "line", "raw", "is_text")]
    batches = table.combine_chunks().to_batches(max_chunksize=100_000)
    return RawRows(columns, lambda: map(_batch, batches))


def _batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    values = [batch[name] for name in batch.schema.names if name not in ("number", "line", "raw", "is_text")]
    width = len(values)
    rows = len(batch)
    flat = pa.concat_arrays(values).take(
        pa.array([column * rows + row for row in range(rows) for column in range(width)])
    )
    offsets = pa.array(range(0, rows * width + 1, width), pa.int32())
    fields = pa.ListArray.from_arrays(
        offsets, flat, mask=pa.array([not is_text for is_text in batch["is_text"].to_pylist()])
    )
    return pa.RecordBatch.from_arrays(
        [batch["line"], fields, batch["raw"].cast(pa.binary()), pa.nulls(rows, pa.string())], schema=RAW_ROWS
    )
