"""Opening a raw file by its content, whatever its name says: plain text, or text that is compressed."""

import bz2
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from booru_pipeline.errors import BooruError, first_line, printable

_BLOCK_BYTES: Final = 1 << 20
_UNPACK: Final = "Unpack it: what can be read is plain text, or one file in gzip, zstd, bz2, xz or zip."
_AGAIN: Final = "Download it again."
_NO_DUMP: Final = "Give the dump itself."

# Compressions that are read, by how their streams begin: RFC 1952, RFC 8878 (a frame, or a skippable one as pzstd
# writes it first), bzip2 and xz as their libraries write them, and zip's local header (APPNOTE 4.3.7; empty: 4.3.16).
_GZIP: Final = re.compile(rb"\x1f\x8b\x08")
_ZSTD: Final = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
_BZIP2: Final = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")
_XZ: Final = re.compile(rb"\xfd7zXZ\0")
_ZIP: Final = re.compile(rb"PK(?:\x03\x04|\x05\x06|\x07\x08)")

# What is no text, how it begins, and what to do about it.
_NO_TEXT: Final[tuple[tuple[re.Pattern[bytes], str, str], ...]] = (
    (_GZIP, "a gzip file", _UNPACK),
    (_ZSTD, "a zstd file", _UNPACK),
    (_BZIP2, "a bz2 file", _UNPACK),
    (_XZ, "an xz file", _UNPACK),
    (_ZIP, "a zip file", _UNPACK),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7z archive", _UNPACK),
    (re.compile(rb"Rar!\x1a\x07"), "a rar archive", _UNPACK),
    (re.compile(rb"\x04\x22\x4d\x18"), "an lz4 file", _UNPACK),
    (re.compile(rb"\x1f\x9d"), "a file of Unix compress", _UNPACK),
    (re.compile(rb"LZIP\x01"), "an lzip file", _UNPACK),
    (re.compile(rb"SQLite format 3\0"), "an SQLite database", _NO_DUMP),
    (re.compile(rb".{8}DUCK", re.DOTALL), "a DuckDB database", _NO_DUMP),
    (re.compile(rb"PAR1[^\t\r\n -~]"), "a Parquet file", _NO_DUMP),
    (re.compile(rb"%PDF-"), "a PDF file", _NO_DUMP),
    (re.compile(rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", re.DOTALL), "a picture", _NO_DUMP),
    (
        re.compile(rb"version https://git-lfs\.github\.com/"),
        "a Git LFS pointer, which stands for the file",
        "Fetch the file with `git lfs pull`.",
    ),
    (
        re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|\?xml)\b", re.IGNORECASE),
        "an HTML or XML page",
        "Open it in a browser to see what the server said, and download the file itself.",
    ),
    (re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff"), "text in UTF-32", "Save it as UTF-8."),
    # Without a mark, English has every second byte 0.
    (re.compile(rb"\xff\xfe|\xfe\xff|(?:\0[^\0]){8}|(?:[^\0]\0){8}"), "text in UTF-16", "Save it as UTF-8."),
)

_BROKEN: Final = (
    *(OSError, EOFError, ValueError, MemoryError),
    *(pa.ArrowException, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
    RuntimeError,  # of zipfile, where headers contradict each other
)


class _Source(Protocol):
    """What reads bytes into a buffer: a file, a pyarrow stream, or one of the standard library's decompressors."""

    def readinto(self, buffer: Any, /) -> int | None: ...

    def close(self) -> Any: ...


def open_raw(path: Path) -> io.BufferedReader:
    """Open a raw file to read its text as bytes; it is a context manager.

    Compression is recognised by content: gzip (of several members too), zstd, bz2, xz, or a zip of one file. What is
    read is decompressed on the way, in bounded memory, and whole blocks of 1 MiB are not copied.

    Returns:
        A binary stream. Reading it raises BooruError, and nothing else, if the file is broken or cut short.

    Raises:
        BooruError: The file cannot be opened, or it is something else than text: an archive, a database, UTF-16 …
    """
    try:
        compression = compression_of(path)
        source = _READ[compression][1](path) if compression else path.open("rb", buffering=0)
    except IsADirectoryError:
        raise BooruError(f"{_shown(path)} is a folder, not a file. Give the file in it.") from None
    except OSError as error:
        if error.errno is None:
            raise _broken(path, error) from error
        why = f"cannot be read: {error.strerror}. Make it readable"
        raise BooruError(f"{_shown(path)} {why} or choose another file.") from error
    except _BROKEN as error:
        raise _broken(path, error) from error
    stream: io.BufferedReader = io.BufferedReader(_Raw(path, source), _BLOCK_BYTES)
    try:
        _refuse_no_text(path, stream.peek(), f"in {compression}" if compression else "")
    except BaseException:
        stream.close()
        raise
    return stream


def compression_of(path: Path) -> str | None:
    """How a raw file is compressed, by its first bytes; None if it is not. OSError: it cannot be opened."""
    with path.open("rb") as file:
        begins = file.read(16)
    return next((name for name, (magic, _) in _READ.items() if magic.match(begins)), None)


class _Raw(io.RawIOBase):
    """Bytes of a source, with its errors told as one kind."""

    def __init__(self, path: Path, source: _Source) -> None:
        self._path = path
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer; less comes only at the end."""
        view = memoryview(buffer).cast("B")
        filled = 0
        try:
            while filled < len(view) and (count := self._source.readinto(view[filled:])):
                filled += count
        except _BROKEN as error:
            raise _broken(self._path, error) from error
        return filled

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


class _OneOfZip:
    """The one file of a zip archive."""

    def __init__(self, path: Path) -> None:
        with ExitStack() as stack:
            try:
                archive = stack.enter_context(zipfile.ZipFile(path))
                self._file: Any = stack.enter_context(archive.open(self._only(archive, path)))
            except NotImplementedError as error:
                why = printable(first_line(error))
                raise BooruError(f"{_shown(path)} is a zip file of a rare kind ({why}). {_UNPACK}") from None
            self._stack = stack.pop_all()

    @staticmethod
    def _only(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
        # macOS adds a folder of its own, and what its file manager keeps.
        files = [
            item
            for item in archive.infolist()
            if not item.is_dir() and not item.filename.startswith("__MACOSX/") and ".DS_Store" not in item.filename
        ]
        if len(files) != 1:
            some = f" ({', '.join(printable(item.filename) for item in files[:3])} …)" if files else ""
            raise BooruError(f"{_shown(path)} is a zip file of {len(files)} files{some}, not one. {_UNPACK}")
        if files[0].flag_bits & 1:
            raise BooruError(f"{_shown(path)} is a zip file with a password. {_UNPACK}")
        return files[0]

    def readinto(self, buffer: Any, /) -> int:
        count: int = self._file.readinto(buffer)
        return count

    def close(self) -> None:
        self._stack.close()


def _arrow(compression: str) -> Callable[[Path], _Source]:
    return lambda path: pa.CompressedInputStream(pa.OSFile(str(path)), compression)


# pyarrow is the fastest for gzip and knows zstd; of bz2 it does not take all streams that bzip2 does.
_READ: Final[dict[str, tuple[re.Pattern[bytes], Callable[[Path], _Source]]]] = {
    "gzip": (_GZIP, _arrow("gzip")),
    "zstd": (_ZSTD, _arrow("zstd")),
    "bz2": (_BZIP2, bz2.BZ2File),
    "xz": (_XZ, lzma.LZMAFile),
    "zip": (_ZIP, _OneOfZip),
}


def _refuse_no_text(path: Path, begins: bytes, where: str) -> None:
    what = next(((what, remedy) for magic, what, remedy in _NO_TEXT if magic.match(begins)), None)
    if what is None and _is_tar(begins[: tarfile.BLOCKSIZE]):
        what = "a tar archive", _UNPACK
    if what is not None:
        raise BooruError(f"{_shown(path)} is {' '.join(filter(None, [what[0], where]))}, not plain text. {what[1]}")


def _is_tar(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _broken(path: Path, error: BaseException) -> BooruError:
    why = printable(first_line(error))
    if "too much memory" in why:  # zstd's --long
        return BooruError(f"{_shown(path)} cannot be read ({why}). Unpack it with `zstd -d --long=31`.")
    return BooruError(f"{_shown(path)} cannot be read to its end ({why}). {_AGAIN}")


def _shown(path: Path) -> str:
    return printable(str(path))
