"""What a layout gives of a release: the rows of `files` and of `tags`, as they are written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    from booru_pipeline.tag_table.lines import Block

RAW_ROWS: Final = pa.schema(
    [("line", pa.int64()), ("fields", pa.list_(pa.string())), ("raw", pa.binary()), ("problem", pa.string())]
)


@dataclass(frozen=True)
class RawRows:
    """One of the two tables of a release, a row a line or a tag.

    Attributes:
        columns: Names of the fields, in their order: those of the origin's TSV files, and rating, score and source.
        batches: Gives the rows from the beginning each time it is called: batches of `RAW_ROWS`. `line` counts from 1
            in the file. `fields` are the row's fields as text, null where a line is no row; then `raw` is what stands
            there, and `problem` the reason why it is none, by default `not_utf8`.
        headers: How many rows at the beginning are no rows of the table.
        blocks: Gives the same rows as lines of text, if they are such.
    """

    columns: list[str]
    batches: Callable[[], Iterator[pa.RecordBatch]]
    headers: int = 0
    blocks: "Callable[[], Iterator[Block]] | None" = None


@dataclass(frozen=True)
class RawRelease:
    """What a release says.

    Attributes:
        files: A row a post.
        tags: A row a tag of a post.
        passed_over: Statements of a script that put nothing into either, each with its line.
    """

    files: RawRows
    tags: RawRows
    passed_over: list[tuple[int, str]] = field(default_factory=list)
