"""Posts as JSON, an object a line: Danbooru's own metadata, in its forms since 2017, and e621's.

Danbooru's API and its BigQuery export give `tag_string_general`, `tag_string_artist` …; the metadata of danbooru2017 to
danbooru2020 has `tags`, a list of `{"id": "1", "name": "1boy", "category": "0"}`; e621's API has `tags`, an object of
lists by category, and `file`. Moebooru and Gelbooru have `tags`, a string without categories. `docs/dumps.md` has an
example of each.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.release.content import open_raw
from booru_pipeline.release.find import Release
from booru_pipeline.tag_table.layouts.posts import (
    CATEGORIES,
    DANBOORU,
    FILES_COLUMNS,
    TAGS_COLUMNS,
    odd_rows,
    split_tags,
    whole_rows,
)
from booru_pipeline.tag_table.raw_rows import RawRelease, RawRows

_BLOCK_LINES: Final = 4096
_BLOCK_BYTES: Final = 8 << 20
_LONGEST: Final = 32 << 20  # of a line, in bytes; as Python objects it takes ten times as much
_ARRAY_REMEDY: Final = "Write it with an object a line: `jq -c '.[]' FILE > posts.jsonl`."
_OBJECTS_REMEDY: Final = "Write it with an object a line: `jq -c . FILE > posts.jsonl`."
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_HALF_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")

_E621: Final = "e621.net"
# e621's numbers (its TagCategory). Elsewhere META is Danbooru's, and what Danbooru has not is uncatalogued.
_E621_CATEGORIES: Final = {
    **CATEGORIES,
    **{"contributor": "2", "species": "5", "invalid": "6", "meta": "7", "lore": "8"},
}
_STRINGS: Final = {f"tag_string_{name}": number for name, number in CATEGORIES.items()}


class _BadPost(ValueError):
    """Why something is no post: a reason for the table of rejects."""


@dataclass
class _Block:
    """Some lines of a file.

    Attributes:
        posts: Objects that are posts, each with its line.
        odd: Lines that are none: line, bytes and reason, which is None if it is blank.
    """

    posts: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    odd: list[tuple[int, bytes, str | None]] = field(default_factory=list)


def read(release: Release) -> RawRelease:
    """The posts of the release's files, one after another. A row has its line in its file.

    Raises:
        BooruError: A file cannot be read, is a JSON array of another form, or there is no post or no tag in any.
    """
    return RawRelease(
        RawRows(FILES_COLUMNS, partial(_files, release)), RawRows(TAGS_COLUMNS, partial(_tag_rows, release))
    )


def _files(release: Release) -> Iterator[pa.RecordBatch]:
    found = False
    for block in _all_blocks(release):
        found = found or bool(block.posts) or any(problem for *_, problem in block.odd)
        yield from _files_of(block)
    if not found:
        raise BooruError(f"{release.files} has no posts. Download it again.")


def _tag_rows(release: Release) -> Iterator[pa.RecordBatch]:
    posts = tags = 0
    for block in _all_blocks(release):
        for batch in _tags_of(block):
            tags += len(batch)
            yield batch
        posts += len(block.posts)
    if posts and not tags:
        raise BooruError(f"no post of {release.files} has a tag. Download it again with its tags.")


def _all_blocks(release: Release) -> Iterator[_Block]:
    several = len(release.paths) > 1
    for path in release.paths:
        yield from _blocks(path, f" in {printable(path.name)}" if several else "")


def _blocks(path: Path, where: str) -> Iterator[_Block]:
    """A file's lines, some at a time; `where` is put behind the reason of a bad one."""
    block, size = _Block(), 0
    for line, raw, value in _values(path):
        size += len(raw)
        try:
            if isinstance(value, _BadPost):
                raise value
            if value is None:
                block.odd.append((line, b"", None))
            else:
                block.posts.append((line, _post_of(value, raw)))
        except _BadPost as problem:
            block.odd.append((line, raw, f"{problem}{where}"))
        if size >= _BLOCK_BYTES or len(block.posts) + len(block.odd) >= _BLOCK_LINES:
            yield block
            block, size = _Block(), 0
    yield block


def _values(path: Path) -> Iterator[tuple[int, bytes, Any]]:
    """What stands on each line: its number, its bytes and the JSON value; None if blank, `_BadPost` if it is no JSON.

    A list of posts on one line, as APIs give it, is a value a post, all of that line.
    """
    array = _Array(path)
    with open_raw(path) as stream:
        number = 0
        while raw := stream.readline(_LONGEST):
            number += 1
            if len(raw) == _LONGEST:
                raise BooruError(f"{path}, line {number}: longer than {_LONGEST >> 20} MiB. {_ARRAY_REMEDY}")
            raw = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
            raw = raw.rstrip(b"\r\n")
            value = _value_of(array.element(number, raw))
            listed = _listed(value)
            if listed is None:
                yield number, raw, value
            else:
                # Of a line of many posts, a bad one's bytes are its own.
                yield from ((number, json.dumps(item).encode(), item) for item in listed)
    array.end()


class _Array:
    """What a JSON array has around its elements where each has a line of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = "before"
        self._is_open = False

    def element(self, number: int, raw: bytes) -> bytes:
        """A line without what belongs to the array.

        Raises:
            BooruError: The elements do not have a line each.
        """
        text = raw.strip()
        if not text:
            return text
        if self._state == "before":
            if text == b"{" or (text[:1] == b"[" and text[1:].strip() == b"{"):
                raise self._spread(number, _ARRAY_REMEDY if text[:1] == b"[" else _OBJECTS_REMEDY)
            self._is_open = text[:1] == b"["
            if self._is_open and text[-1:] == b"]" and _is_json(text):
                self._is_open = False
                self._state = "lines"
                return text
            self._state = "array" if self._is_open else "lines"
            text = text[1:] if self._is_open else text
        if self._state == "lines":
            return text
        text = text.strip(b", \t")
        if text == b"{":
            raise self._spread(number, _ARRAY_REMEDY)
        if text == b"]" or (text.endswith(b"]") and not _is_json(text)):
            self._is_open = False
            text = text[:-1].strip(b", \t")
        return text

    def end(self) -> None:
        """Raises: BooruError: The array has no end."""
        if self._is_open:
            raise BooruError(f"{self._path} ends before its JSON array does. Download it again.")

    def _spread(self, number: int, remedy: str) -> BooruError:
        return BooruError(f"{self._path}, line {number}: a JSON object that goes over several lines. {remedy}")


def _is_json(text: bytes) -> bool:
    return not isinstance(_value_of(text), _BadPost)


def _value_of(text: bytes) -> Any:
    if not text:
        return None
    try:
        value = json.loads(text.decode())
        if _HALF_PAIR.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:  # before its base class
        return _BadPost("not_utf8")
    except (ValueError, RecursionError):
        return _BadPost("not_json")
    return _BadPost("not_an_object") if value is None else value


def _listed(value: Any) -> list[Any] | None:
    """Posts that an API gives together: an array, e621's `posts`, or Gelbooru's `post`."""
    if isinstance(value, dict) and "id" not in value:
        value = value.get("posts", value.get("post"))
    return value if isinstance(value, list) else None


def _post_of(value: Any, raw: bytes) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _BadPost("not_an_object")
    if not (_text(value.get("id")) or "").strip():
        raise _BadPost("no_id")
    _tags(value)
    return value


def _files_of(block: _Block) -> Iterator[pa.RecordBatch]:
    if block.posts:
        rows = zip(*(_fields(post) for _, post in block.posts), strict=True)
        lines = pa.array([line for line, _ in block.posts], pa.int64())
        yield whole_rows(lines, [pa.array(column, pa.string()) for column in rows])
    if block.odd:
        yield odd_rows(block.odd)


def _fields(post: dict[str, Any]) -> tuple[str | None, ...]:
    """The values of FILES_COLUMNS."""
    get = post.get
    file, asset = _object(post, "file"), _object(post, "media_asset")
    score, sources = get("score"), get("sources")
    return (
        _booru(post),
        _text(get("id")),
        _first(get("file_name"), get("image")),
        _first(get("file_ext"), file.get("ext"), asset.get("file_ext")),
        _first(get("md5"), file.get("md5"), asset.get("md5")),
        _first(get("file_size"), file.get("size"), asset.get("file_size")),
        _first(get("image_width"), get("width"), file.get("width"), asset.get("image_width")),
        _first(get("image_height"), get("height"), file.get("height"), asset.get("image_height")),
        _text(get("rating")),
        _text(score.get("total") if isinstance(score, dict) else score),
        _first(get("source"), *(sources[:1] if isinstance(sources, list) else [])),
    )


def _object(post: dict[str, Any], name: str) -> dict[str, Any]:
    value = post.get(name)
    return value if isinstance(value, dict) else {}


def _first(*values: Any) -> str | None:
    return next((text for value in values if (text := _text(value)) is not None), None)


def _booru(post: dict[str, Any]) -> str:
    return _text(post.get("booru")) or (_E621 if isinstance(post.get("tags"), dict) else DANBOORU)


def _text(value: Any) -> str | None:
    """A string or a number as text; None for what is neither."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _tags_of(block: _Block) -> Iterator[pa.RecordBatch]:
    if not block.posts:
        return
    named: list[tuple[str, str, str]] = []  # of posts whose tags are in lists: tag, id, category
    owners: list[int] = []
    strings: list[tuple[str, ...]] = []
    for row, (_, post) in enumerate(block.posts):
        tags = _tags(post)
        if isinstance(tags, tuple):
            strings.append(tags)
        else:
            strings.append(("",) * len(_STRINGS))
            named += tags
            owners += [row] * len(tags)
    lines = pa.array([line for line, _ in block.posts], pa.int64())
    boorus = pa.array([_booru(post) for _, post in block.posts], pa.string())
    fids = pa.array([_text(post["id"]) for _, post in block.posts], pa.string())

    def of(rows: pa.Array, tags: pa.Array, ids: pa.Array, categories: pa.Array) -> pa.RecordBatch:
        return whole_rows(lines.take(rows), [boorus.take(rows), fids.take(rows), tags, ids, categories])

    for number, column in zip(_STRINGS.values(), zip(*strings, strict=True), strict=True):
        tags, rows = split_tags(pa.array(column, pa.string()))
        yield of(rows, tags, pa.repeat("0", len(tags)), pa.repeat(number, len(tags)))
    if named:
        yield of(pa.array(owners, pa.int32()), *(pa.array(column, pa.string()) for column in zip(*named, strict=True)))


def _tags(post: dict[str, Any]) -> tuple[str, ...] | list[tuple[str, str, str]]:
    """A post's tags: strings in the order of `_STRINGS`, or a list of tag, id and category."""
    strings = tuple(post.get(name) or "" for name in _STRINGS)
    if any(strings) or any(name in post for name in _STRINGS):
        if not all(isinstance(text, str) for text in strings):
            raise _BadPost("bad_tags")
        if any(strings) or not post.get("tag_string"):
            return strings
    tags = post.get("tags", post.get("tag_string"))
    if isinstance(tags, str):
        return (tags, *[""] * (len(_STRINGS) - 1))
    if isinstance(tags, list):
        return [_named(tag) for tag in tags if tag != ""]
    if isinstance(tags, dict):
        return [
            (tag, "0", number)
            for name, of_category in tags.items()
            for number in [_category(name, _booru(post))]
            for tag in _strings(of_category)
        ]
    raise _BadPost("no_tags" if tags is None else "bad_tags")


def _named(tag: Any) -> tuple[str, str, str]:
    if isinstance(tag, str):
        return tag, "0", "0"
    if isinstance(tag, dict) and isinstance(name := tag.get("name"), str):
        category = _text(tag.get("category", 0)) or ""
        return name, _text(tag.get("id", 0)) or "0", CATEGORIES.get(category, category)
    raise _BadPost("bad_tags")


def _category(name: str, booru: str) -> str:
    if "e621" in booru or "e926" in booru:
        return _E621_CATEGORIES.get(name, "-1")
    return CATEGORIES.get(name, "-1")


def _strings(tags: Any) -> list[str]:
    tags = tags.split() if isinstance(tags, str) else tags
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise _BadPost("bad_tags")
    return [tag for tag in tags if tag]
