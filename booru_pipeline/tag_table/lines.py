"""A file's lines, cut into fields at tabs, whatever the bytes are."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from booru_pipeline.errors import BooruError
from booru_pipeline.release.content import open_raw
from booru_pipeline.tag_table.raw_rows import RAW_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_BYTES: Final = 1 << 20  # a block and what is made of it stay in the processor's cache
_LONGEST: Final = (1 << 31) - 1  # Arrow's 32-bit offsets; 64-bit ones would cost a quarter of the memory more
_TAB: Final = 9
_LF: Final = 10
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Block:
    """Some whole lines of a file, one after another.

    Attributes:
        first_line: Its first line's number, counted from 1.
        data: The lines, each with LF at its end.
    """

    first_line: int
    data: bytes

    @cached_property
    def lines(self) -> int:
        """How many there are."""
        return self.data.count(b"\n")

    def without_first(self) -> "Block":
        """The block without its first line."""
        return Block(self.first_line + 1, self.data[self.data.index(b"\n") + 1 :])

    def rows(self) -> pa.RecordBatch:
        """A batch of `RAW_ROWS`, a row a line, see `line_batches`."""
        return _split(self.data, np.arange(self.first_line, self.first_line + self.lines))

    def some_rows(self, places: "NDArray[np.int64]") -> pa.RecordBatch:
        """Rows of the lines at these places, which are counted from 0 and go up."""
        ends = np.flatnonzero(np.frombuffer(self.data, dtype=np.uint8) == _LF) + 1
        starts = np.concatenate([[0], ends[:-1]])
        picked = [self.data[start:end] for start, end in zip(starts[places], ends[places], strict=True)]
        return _split(b"".join(picked), self.first_line + places)


def line_blocks(path: Path) -> Iterator[Block]:
    """Read a file's lines, plain or compressed, in order.

    A line ends at LF or CRLF and nowhere else.

    Yields:
        Blocks of lines, without the byte-order mark of line 1. A last line needs no line end; an empty one after it is
        no line.

    Raises:
        BooruError: It is broken or no text, see `open_raw`, or a line is longer than 2 GiB.
    """
    first_line = 1
    for data in _whole_lines(path):
        if len(data) > _LONGEST:
            raise BooruError(f"{path}, line {first_line} or the next: longer than 2 GiB. Download the file again.")
        if b"\r" in data:  # much faster to find than a pair
            data = data.replace(b"\r\n", b"\n")
        block = Block(first_line, data)
        first_line += block.lines
        yield block


def line_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Read a file's lines, cut into fields.

    Yields:
        Batches of `RAW_ROWS`, a row a line: `fields` is what stands between tabs, so an empty line has one empty field,
        or null if the line is not UTF-8; `raw` is the line's bytes then, else null. Neither has the line end.

    Raises:
        BooruError: See `line_blocks`.
    """
    return (block.rows() for block in line_blocks(path))


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Blocks of bytes, each of which ends where a line does."""
    rest: list[bytes] = []  # the beginning of a line, in parts: it may be long
    with open_raw(path) as stream:
        started = False
        while block := stream.read(_BLOCK_BYTES):
            if not started:
                block = block.removeprefix(_BYTE_ORDER_MARK)
                started = True
            end = block.rfind(b"\n") + 1
            if end:
                yield b"".join([*rest, block[:end]])
                rest = [block[end:]]
            else:
                rest.append(block)
    if any(rest):
        yield b"".join([*rest, b"\n"])


def _split(data: bytes, numbers: "NDArray[np.int64]") -> pa.RecordBatch:
    not_utf8 = {} if data.isascii() else _not_utf8(data)
    if not_utf8:
        lines = data.split(b"\n")
        data = b"\n".join(b"" if row in not_utf8 else line for row, line in enumerate(lines))
    octets = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero((octets == _TAB) | (octets == _LF))
    last_fields = np.flatnonzero(octets[ends] == _LF)
    count = len(last_fields)

    field_offsets = np.zeros(len(ends) + 1, dtype=np.int32)
    np.subtract(ends, np.arange(len(ends)), out=field_offsets[1:], casting="same_kind")
    text = data.translate(None, b"\t\n")
    fields = pa.StringArray.from_buffers(len(ends), pa.py_buffer(field_offsets), pa.py_buffer(text))
    line_offsets = np.zeros(count + 1, dtype=np.int32)
    line_offsets[1:] = last_fields + 1
    masked = raw = None
    if not_utf8:
        raw = pa.array([not_utf8.get(row) for row in range(count)], pa.binary())
        masked = raw.is_valid()
    columns = [
        pa.array(numbers),
        pa.ListArray.from_arrays(pa.array(line_offsets), fields, mask=masked),
        raw or pa.nulls(count, pa.binary()),
        pa.nulls(count, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=RAW_ROWS)


def _not_utf8(data: bytes) -> dict[int, bytes]:
    """The lines of a block that are not UTF-8, by row."""
    return {} if is_utf8(data) else {row: line for row, line in enumerate(data.split(b"\n")) if not is_utf8(line)}


def is_utf8(data: bytes) -> bool:
    """Whether it is text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
