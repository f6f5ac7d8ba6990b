"""A folder of caption files: a `.txt` beside each picture, with tags between commas, as kohya's trainers read them."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final

import pyarrow as pa

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.release.find import Release
from booru_pipeline.tag_table.layouts.posts import FILES_COLUMNS, TAGS_COLUMNS, odd_rows, whole_rows
from booru_pipeline.tag_table.raw_rows import RawRelease, RawRows

_BLOCK_FILES: Final = 4096
_LONGEST: Final = 1 << 20  # in bytes; the tags of a post take less than a hundredth of it
_NAMED: Final = 10  # bad files that messages name: more are not told there

# Downloaders name files by id, by booru and id, or by md5; gallery-dl by all three.
_NUMBERED: Final = re.compile(r"(?:[a-z][a-z0-9.]*[_-])?(?P<id>\d{1,18})(?:[_-](?P<md5>[0-9a-f]{32}))?", re.IGNORECASE)
_MD5: Final = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif", ".jxl"})
_BETWEEN: Final = re.compile(r"[,\r\n]")
_ESCAPED: Final = re.compile(r"\\([()])")


@dataclass
class _Block:
    """Some captions: files, ids and texts of those that are readable, with their numbers, and the others."""

    lines: list[int] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    fids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    odd: list[tuple[int, bytes, str | None]] = field(default_factory=list)


def read(release: Release) -> RawRelease:
    """The captions of a folder. A row's line is the number of its file among all, by name.

    A file's id is the number in its name. Where two have the same, or there is none, it is a hash of the path.

    Raises:
        BooruError: A file cannot be read, or no caption has a tag.
    """
    return RawRelease(RawRows(FILES_COLUMNS, partial(_files, release)), RawRows(TAGS_COLUMNS, partial(_tags, release)))


def _files(release: Release) -> Iterator[pa.RecordBatch]:
    pictures: dict[Path, dict[str, str]] = {}
    for block in _blocks(release):
        rows = [_fields(release.key, fid, path, pictures) for fid, path in zip(block.fids, block.paths, strict=True)]
        if rows:
            columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
            yield whole_rows(pa.array(block.lines, pa.int64()), columns)
        if block.odd:
            yield odd_rows(block.odd)


def _tags(release: Release) -> Iterator[pa.RecordBatch]:
    captions = found = 0
    for block in _blocks(release):
        tags = [(row, tag) for row, text in enumerate(block.texts) for tag in _split(text)]
        captions += len(block.texts)
        found += len(tags)
        if not tags:
            continue
        rows = pa.array([row for row, _ in tags], pa.int32())
        names = pa.array([tag for _, tag in tags], pa.string())
        zeros = pa.repeat("0", len(tags))
        columns = [pa.repeat(release.key, len(tags)), pa.array(block.fids, pa.string()).take(rows), names, zeros, zeros]
        yield whole_rows(pa.array(block.lines, pa.int64()).take(rows), columns)
    if captions and not found:
        raise BooruError(
            f"no caption in {release.files} has a tag. Write tags between commas into its .txt files, or move the "
            "folder out of the raw folder if they are something else."
        )


def _blocks(release: Release) -> Iterator[_Block]:
    block, bad = _Block(), 0
    fids = _ids(release)
    for line, (path, fid) in enumerate(zip(release.paths, fids, strict=True), start=1):
        found, reason = _read(path)
        if reason is None:
            block.lines.append(line)
            block.paths.append(path)
            block.fids.append(fid)
            block.texts.append(found.decode("utf-8-sig"))
        else:
            bad += 1
            name = _inside(release, path)
            shown = f"{reason} in {printable(name)}" if bad <= _NAMED else reason
            block.odd.append((line, name.encode() + b"\t" + found, shown))
        if len(block.texts) + len(block.odd) >= _BLOCK_FILES:
            yield block
            block = _Block()
    yield block


def _read(path: Path) -> tuple[bytes, str | None]:
    """A file's bytes, and why they are no caption."""
    try:
        with path.open("rb") as file:
            found = file.read(_LONGEST + 1)
    except OSError as error:
        raise BooruError(
            f"{printable(str(path))} cannot be read: {error.strerror}. Make it readable, or remove it."
        ) from error
    if len(found) > _LONGEST:
        return found[: 1 << 10], "too_long"
    try:
        found.decode()
    except UnicodeDecodeError:
        return found, "not_utf8"
    return found, "not_text" if b"\0" in found else None


def _ids(release: Release) -> Sequence[str]:
    """The id of each file, as text."""
    numbers = [match and int(match["id"]) for match in (_NUMBERED.fullmatch(path.stem) for path in release.paths)]
    often = Counter(numbers)
    return [
        str(number if number is not None and often[number] == 1 else _hash(_inside(release, path)))
        for number, path in zip(numbers, release.paths, strict=True)
    ]


def _hash(name: str) -> int:
    """60 bits, which stay the same on every machine."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) >> 4


def _inside(release: Release, path: Path) -> str:
    return path.relative_to(release.files).as_posix()


def _fields(key: str, fid: str, path: Path, pictures: dict[Path, dict[str, str]]) -> tuple[str | None, ...]:
    """The values of FILES_COLUMNS."""
    if path.parent not in pictures:
        pictures[path.parent] = _pictures(path.parent)
    picture = pictures[path.parent].get(path.stem)
    numbered = _NUMBERED.fullmatch(path.stem)
    md5 = path.stem if _MD5.fullmatch(path.stem) else numbered and numbered["md5"]
    extension = Path(picture).suffix.lower().removeprefix(".") if picture else None
    return key, fid, picture or path.name, extension, md5 or None, *[None] * 6


def _pictures(folder: Path) -> dict[str, str]:
    """Names of the pictures in a folder, by stem."""
    names = sorted(name for name in os.listdir(folder) if Path(name).suffix.lower() in _PICTURES)
    return {Path(name).stem: name for name in names}


def _split(text: str) -> Iterator[str]:
    for part in _BETWEEN.split(text):
        if tag := _ESCAPED.sub(r"\1", part).strip():
            yield tag
