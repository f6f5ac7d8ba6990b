"""What layouts share that keep a post and its tags together: columns of posts and lists of tags, made into rows."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from booru_pipeline.tag_table.raw_rows import RAW_ROWS

FILES_COLUMNS: Final = [
    *["booru", "fid", "file_name", "orig_ext", "orig_md5", "file_size", "width", "height", "rating", "score", "source"]
]
TAGS_COLUMNS: Final = ["booru", "fid", "tag", "tag_id", "tag_cat"]

# Danbooru's categories, in the order in which its posts name them.
CATEGORIES: Final = {"general": "0", "artist": "1", "copyright": "3", "character": "4", "meta": "5"}
DANBOORU: Final = "danbooru.donmai.us"


def whole_rows(lines: pa.Array, columns: Sequence[pa.Array]) -> pa.RecordBatch:
    """Rows that have all their fields.

    Args:
        lines: The line of each row.
        columns: A string array a field, each with a value a row.
    """
    rows, width = len(lines), len(columns)
    order = (np.arange(rows)[:, np.newaxis] + np.arange(width) * rows).ravel()
    flat = pa.concat_arrays(columns).take(pa.array(order))
    offsets = pa.array(np.arange(0, rows * width + 1, width, dtype=np.int32))
    fields = pa.ListArray.from_arrays(offsets, flat)
    nulls = [pa.nulls(rows, pa.binary()), pa.nulls(rows, pa.string())]
    return pa.RecordBatch.from_arrays([lines.cast(pa.int64()), fields, *nulls], schema=RAW_ROWS)


def odd_rows(rows: Sequence[tuple[int, bytes, str | None]]) -> pa.RecordBatch:
    """Lines that are no posts: line, bytes and reason of each, which is None where the line is blank."""
    return pa.RecordBatch.from_arrays(
        [
            pa.array([line for line, _, _ in rows], pa.int64()),
            pa.array([[""] if problem is None else None for *_, problem in rows], pa.list_(pa.string())),
            pa.array([None if problem is None else raw for _, raw, problem in rows], pa.binary()),
            pa.array([problem for *_, problem in rows], pa.string()),
        ],
        schema=RAW_ROWS,
    )


def split_tags(strings: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Tags that strings hold: all of them, and for each the row of its string.

    They stand between spaces, as boorus have it, or between commas, with spaces inside: no tag of a booru has a comma.
    """
    strings = pc.fill_null(strings, "")
    has_comma = pc.match_substring(strings, ",")
    tags, rows = _split(pc.ascii_split_whitespace(pc.if_else(has_comma, "", strings)))
    if not pc.any(has_comma).as_py():
        return tags, rows
    others, their_rows = _split(pc.split_pattern(pc.if_else(has_comma, strings, ""), ","))
    return pa.concat_arrays([tags, others]), pa.concat_arrays([rows, their_rows])


def _split(lists: pa.Array) -> tuple[pa.Array, pa.Array]:
    tags = pc.utf8_trim_whitespace(pc.list_flatten(lists))
    full = pc.not_equal(tags, "")
    return tags.filter(full), pc.list_parent_indices(lists).filter(full)
