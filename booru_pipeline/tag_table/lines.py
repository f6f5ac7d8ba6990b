"""A file's bytes as a stream of numbered lines, whatever the bytes are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from booru_pipeline.errors import BooruError

_BLOCK_BYTES: Final = 1 << 24
_LF: Final = 10
_CR: Final = 13
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SCHEMA: Final = pa.schema([("line", pa.int64()), ("raw", pa.large_binary())])


def read_lines(path: Path) -> pa.RecordBatchReader:
    """Stream a file's lines, plain or gzip, in order.

    A CSV reader would do for clean files, but none lets every byte through: a lone carriage return, a NUL or whatever
    serves as the delimiter changes what counts as a line.

    Returns:
        Batches of `line` (int64, from 1) and `raw` (large_binary: the bytes without the LF or CRLF that ends the line,
        and without a byte-order mark on line 1). A last line needs no line end; an empty one after it is no line.

    Raises:
        BooruError: While reading: the gzip stream is broken.
    """
    return pa.RecordBatchReader.from_batches(_SCHEMA, _batches(path))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    first_line = 1
    for data in _whole_lines(path):
        batch = _split(data, first_line)
        first_line += batch.num_rows
        yield batch


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Blocks of bytes, each of which ends where a line does."""
    rest = b""
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            started = False
            while block := stream.read(_BLOCK_BYTES):
                if not started:
                    block = block.removeprefix(_BYTE_ORDER_MARK)
                    started = True
                end = block.rfind(b"\n") + 1
                if end:
                    yield rest + block[:end]
                    rest = block[end:]
                else:
                    rest += block
    except OSError as error:
        raise BooruError(f"{path} cannot be read to its end ({error}). Download it again.") from error
    if rest:
        yield rest + b"\n"


def _split(data: bytes, first_line: int) -> pa.RecordBatch:
    octets = np.frombuffer(data, dtype=np.uint8)
    line_feeds = np.flatnonzero(octets == _LF)
    has_return = np.zeros(len(line_feeds), dtype=bool)
    preceded = line_feeds > 0
    has_return[preceded] = octets[line_feeds[preceded] - 1] == _CR
    keep = np.ones(len(octets), dtype=bool)
    keep[line_feeds] = False
    keep[line_feeds[has_return] - 1] = False

    offsets = np.zeros(len(line_feeds) + 1, dtype=np.int64)
    offsets[1:] = line_feeds - np.arange(len(line_feeds)) - np.cumsum(has_return)
    raw = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(line_feeds), [None, pa.py_buffer(offsets), pa.py_buffer(octets[keep])]
    )
    line = pa.array(np.arange(first_line, first_line + len(line_feeds)))
    return pa.RecordBatch.from_arrays([line, raw], schema=_SCHEMA)
