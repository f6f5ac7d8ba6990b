"""Lines for DuckDB's own CSV reader, which cuts clean ones many times faster than Python can.

It reads a file from memory: what it is given was decompressed and looked at before, so that each of its lines is one of
ours and each line that it refuses has a number that can be found again.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb
import fsspec
import numpy as np
import pyarrow as pa

from booru_pipeline.tag_table.lines import Block, is_utf8
from booru_pipeline.tag_table.raw_rows import RAW_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST: Final = 1 << 21  # bytes of a line that the reader takes; it stands in the statements too
_PROTOCOL: Final = "booru-lines"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # the reader leaves it out at the beginning of what it reads


# What the statements read; all other columns are passed over.
_READ: Final = {
    "files": frozenset(
        [
            *["booru", "fid", "shard", "file_name", "torr_md5", "orig_ext", "orig_md5", "file_size", "img_size_torr"],
            *["img_width_torr", "img_height_torr", "width", "height", "jq", "torr_path"],
            *["tags_copyr", "tags_char", "tags_artist", "rating", "score", "source"],
        ]
    ),
    "tags": frozenset(["booru", "fid", "tag", "tag_id", "tag_cat", "danb_fr"]),
}


def columns_to_read(source: str, header: Sequence[str]) -> dict[str, str]:
    """Names and types of the columns of a file of files or tags; those that are passed over have other names."""
    seen: dict[str, str] = {}
    for place, name in enumerate(header):
        seen[name if name in _READ[source] and name not in seen else f"column {place}"] = "VARCHAR"
    return seen


@dataclass(frozen=True)
class Places:
    """Where lines stand that are read one after another, while others between them are not.

    Attributes:
        starts: For each run of lines, the number of its first row, counted from 0 at the file's first line.
        ends: How many lines are read up to the end of each.
    """

    starts: "NDArray[np.int64]"
    ends: "NDArray[np.int64]"

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> "Places":
        """Of these blocks."""
        starts = np.array([block.first_line - 1 for block in blocks], dtype=np.int64)
        return cls(starts, np.cumsum([block.lines for block in blocks], dtype=np.int64))

    def numbers(self, places: "NDArray[np.int64]") -> "NDArray[np.int64]":
        """Numbers of rows by their places among those that are read, from 0."""
        at = np.searchsorted(self.ends, places, side="right")
        begins = np.concatenate([np.zeros(1, dtype=np.int64), self.ends[:-1]])
        return self.starts[at] + places - begins[at]


@dataclass(frozen=True)
class Inserted:
    """Rows of a table that were read as text.

    Attributes:
        start: Where they begin in the table.
        count: How many there are.
        refused: Places of the lines between them that the reader refused, in order.
        places: Where the lines stand.
    """

    start: int
    count: int
    refused: "NDArray[np.int64]"
    places: Places

    def places_of(self, rows: "NDArray[np.int64]") -> "NDArray[np.int64]":
        """Places of the lines that rows of the table come from."""
        accepted = rows - self.start
        before = self.refused - np.arange(len(self.refused))  # how many were accepted before each refusal
        return accepted + np.searchsorted(before, accepted, side="right")


class TextChunk:
    """Lines of a file that are loaded at once.

    Args:
        blocks: The lines.
        source: files or tags.
        header: Names of the columns.
    """

    def __init__(self, blocks: Sequence[Block], source: str, header: Sequence[str]) -> None:
        is_read_whole = columns_to_read(source, header).keys() <= _READ[source]
        self._blocks = blocks
        self._is_clean = [_is_clean(block.data, is_read_whole) for block in blocks]
        self.clean = [block for block, is_clean in zip(blocks, self._is_clean, strict=True) if is_clean]
        self.places = Places.of(self.clean)

    @property
    def lines(self) -> int:
        """How many there are."""
        return sum(block.lines for block in self._blocks)

    @property
    def bytes(self) -> int:
        """How long they are."""
        return sum(len(block.data) for block in self._blocks)

    @property
    def clean_lines(self) -> int:
        """How many the reader is given."""
        return sum(block.lines for block in self.clean)

    def others(self, places: "NDArray[np.int64]", size: int) -> Iterator[pa.Table]:
        """Rows that the reader was not given, and those at places among its own, in order.

        Args:
            places: In order.
            size: About how many bytes are given at once.
        """
        batches: list[pa.RecordBatch] = []
        clean = 0
        for block, is_clean in zip(self._blocks, self._is_clean, strict=True):
            if is_clean:
                start, end = np.searchsorted(places, [clean, clean + block.lines])
                if start < end:
                    batches.append(block.some_rows(places[start:end] - clean))
                clean += block.lines
            else:
                batches.append(block.rows())
            if sum(batch.nbytes for batch in batches) >= size:
                yield pa.Table.from_batches(batches, RAW_ROWS)
                batches = []
        if batches:
            yield pa.Table.from_batches(batches, RAW_ROWS)


class Lines(fsspec.AbstractFileSystem):
    """A file system of one file, which DuckDB reads: the lines of a chunk that are clean."""

    protocol = _PROTOCOL
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self._blocks: Sequence[Block] = ()

    @classmethod
    def on(cls, connection: duckdb.DuckDBPyConnection) -> "Lines":
        """The one that statements on a connection read."""
        if connection.filesystem_is_registered(_PROTOCOL):
            connection.unregister_filesystem(_PROTOCOL)
        lines = cls()
        connection.register_filesystem(lines)
        return lines

    def hold(self, blocks: Sequence[Block]) -> None:
        """Take the lines that are read next."""
        self._blocks = blocks

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """What DuckDB asks before it reads."""
        return {"name": path, "size": sum(len(block.data) for block in self._blocks), "type": "file"}

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:
        return _Joined(self._blocks)


class _Joined(io.RawIOBase):
    """Blocks, read as one file."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self._ends = np.cumsum([len(block.data) for block in blocks])
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        parts, wanted = [], size
        at = int(np.searchsorted(self._ends, self._position, side="right"))
        while wanted > 0 and at < len(self._blocks):
            data = self._blocks[at].data
            start = self._position - (int(self._ends[at]) - len(data))
            part = memoryview(data)[start : start + wanted]
            parts.append(part)
            wanted -= len(part)
            self._position += len(part)
            at += 1
        return b"".join(parts)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._position = offset
        return offset

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position


def _is_clean(data: bytes, is_read_whole: bool) -> bool:
    """Whether the reader takes every line of a block for a line, and each tab for a tab."""
    return not (
        len(data) >= LONGEST
        or b"\0" in data
        or b"\r" in data
        or data.startswith((b"\n", _BYTE_ORDER_MARK))
        or data.endswith(b"\n\n")
        or not (is_read_whole or is_utf8(data))
    )
