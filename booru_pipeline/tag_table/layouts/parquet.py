"""A Parquet file of posts, a row a post with its tags, as data sets on the Hugging Face Hub and our own shards are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booru_pipeline.errors import BooruError, first_line, printable
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

_BATCH_ROWS: Final = 4096
_STRINGS: Final = {f"tag_string_{name}": number for name, number in CATEGORIES.items()}
_IDS: Final = ("fid", "id", "post_id")
# Names under which each column of files is found, besides its own; the first that is there is taken.
_CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    "fid": _IDS,
    "orig_ext": ("file_ext", "ext"),
    "orig_md5": ("md5", "group_md5"),
    "width": ("image_width", "img_width_torr"),
    "height": ("image_height", "img_height_torr"),
}
_NEEDED: Final = (
    "It needs an id (fid, id or post_id) and tags: tags or tag_string, a list or a string a post, or "
    "tag_string_general and its like. Rename the columns, or move the file out of the release's folder if it is another"
    " table."
)


def read(release: Release) -> RawRelease:
    """The posts of the release's files, one after another. A row's line is its row in its file, from 1.

    Raises:
        BooruError: A file is no Parquet file, is broken, or lacks an id or tags; or there is no post or no tag in any.
    """
    for path in release.paths:
        with _open(path) as file:
            _columns_of(path, file.schema_arrow)
    return RawRelease(RawRows(FILES_COLUMNS, partial(_files, release)), RawRows(TAGS_COLUMNS, partial(_tags, release)))


@dataclass(frozen=True)
class _Columns:
    """Which columns of a file are read.

    Attributes:
        files: By column of files.
        tags: Columns of lists or strings of tags, each with their category.
        categories: A list parallel to the only column of tags, or None.
    """

    files: dict[str, str]
    tags: dict[str, str]
    categories: str | None

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys([*self.files.values(), *self.tags, *filter(None, [self.categories])]))


@dataclass(frozen=True)
class _Block:
    """Some rows of a file.

    Attributes:
        posts: Those that are posts.
        lines: Their rows in the file, from 1.
        odd: Those that are none: row, what stands there and reason.
    """

    posts: pa.RecordBatch
    lines: pa.Array
    odd: list[tuple[int, bytes, str | None]]


def _files(release: Release) -> Iterator[pa.RecordBatch]:
    rows = 0
    for columns, block in _all_blocks(release):
        if len(block.posts):
            yield whole_rows(block.lines, [_field(block.posts, columns, name) for name in FILES_COLUMNS])
        if block.odd:
            yield odd_rows(block.odd)
        rows += len(block.posts) + len(block.odd)
    if not rows:
        raise BooruError(f"{release.files} has no rows. Download it again.")


def _tags(release: Release) -> Iterator[pa.RecordBatch]:
    posts = tags = 0
    for columns, block in _all_blocks(release):
        boorus, fids = (_field(block.posts, columns, name) for name in ("booru", "fid"))
        for rows, names, categories in _tags_of(block.posts, columns):
            tags += len(names)
            values = [boorus.take(rows), fids.take(rows), names, pa.repeat("0", len(names)), categories]
            yield whole_rows(block.lines.take(rows), values)
        posts += len(block.posts)
    if posts and not tags:
        raise BooruError(f"no post of {release.files} has a tag. Download it again with its tags.")


def _all_blocks(release: Release) -> Iterator[tuple[_Columns, _Block]]:
    several = len(release.paths) > 1
    for path in release.paths:
        with _open(path) as file:
            columns = _columns_of(path, file.schema_arrow)
            start = 1
            for batch in _batches(path, file, columns):
                yield columns, _block(batch, columns, start, f" in {printable(path.name)}" if several else "")
                start += len(batch)


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise _broken(path, error) from error


def _batches(path: Path, file: pq.ParquetFile, columns: _Columns) -> Iterator[pa.RecordBatch]:
    try:
        for batch in file.iter_batches(_BATCH_ROWS, columns=columns.names, use_threads=False):
            batch.validate()
            yield batch
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: BaseException) -> BooruError:
    return BooruError(f"{path} is no Parquet file, or broken ({printable(first_line(error))}). Download it again.")


def _columns_of(path: Path, schema: pa.Schema) -> _Columns:
    names = {name for name in schema.names if schema.names.count(name) == 1}
    files = {}
    for column in FILES_COLUMNS:
        called = _IDS if column == "fid" else (column, *_CALLED.get(column, ()))
        if found := next((name for name in called if name in names and _is_plain(schema.field(name).type)), None):
            files[column] = found
    tags = {name: number for name, number in _STRINGS.items() if name in names and _is_tags(schema.field(name).type)}
    if not tags:
        tags = {name: "0" for name in ("tags", "tag_string") if name in names and _is_tags(schema.field(name).type)}
        tags = dict(list(tags.items())[:1])
    if "fid" not in files or not tags:
        lacks = " and ".join([*([] if "fid" in files else ["an id"]), *([] if tags else ["tags"])])
        there = printable(", ".join(f"{field.name} {field.type}" for field in schema))[:500]
        raise BooruError(f"{path} has no column of {lacks} (its columns are {there}). {_NEEDED}")
    is_parallel = "categories" in names and _is_list(schema.field("categories").type)
    is_parallel = is_parallel and list(tags) == ["tags"] and _is_list(schema.field("tags").type)
    return _Columns(files, tags, "categories" if is_parallel else None)


def _is_plain(kind: pa.DataType) -> bool:
    types = pa.types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(_is_text(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind))


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and (_is_text(kind.value_type) or types.is_integer(kind.value_type)))


def _is_tags(kind: pa.DataType) -> bool:
    return _is_text(kind) or (_is_list(kind) and _is_text(kind.value_type))


def _block(batch: pa.RecordBatch, columns: _Columns, start: int, where: str) -> _Block:
    reasons = np.full(len(batch), "", dtype=object)
    if columns.categories is not None:
        counts = [pc.fill_null(pc.list_value_length(batch[name]), -1) for name in ("tags", columns.categories)]
        reasons[pc.not_equal(*counts).to_numpy(zero_copy_only=False)] = "bad_tags"
    missing = np.logical_and.reduce([batch[name].is_null().to_numpy(zero_copy_only=False) for name in columns.tags])
    reasons[missing] = "no_tags"
    reasons[batch[columns.files["fid"]].is_null().to_numpy(zero_copy_only=False)] = "no_id"
    reasons[_not_utf8(batch)] = "not_utf8"
    bad = reasons != ""
    lines = np.arange(start, start + len(batch))
    odd: list[tuple[int, bytes, str | None]] = [
        (int(lines[row]), _shown(batch, int(row)), f"{reasons[row]}{where}") for row in np.flatnonzero(bad)
    ]
    return _Block(batch.filter(pa.array(~bad)), pa.array(lines[~bad]), odd)


def _not_utf8(batch: pa.RecordBatch) -> list[int]:
    """Rows with text that is not UTF-8, which Arrow takes from a file unseen."""
    if _is_valid(batch):
        return []
    return [row for row in range(len(batch)) if not _is_valid(batch.take(pa.array([row])))]


def _is_valid(batch: pa.RecordBatch) -> bool:
    try:
        batch.validate(full=True)
    except (pa.ArrowException, ValueError):
        return False
    return True


def _shown(batch: pa.RecordBatch, row: int) -> bytes:
    """What stands in a row: its values, tab-separated."""
    one = batch.take(pa.array([row]))
    values: list[bytes] = []
    for column in one.columns:
        try:
            values.append(_as_bytes(column))
        except (pa.ArrowException, UnicodeError):
            values.append(b"?")
    return b"\t".join(values)


def _as_bytes(column: pa.Array) -> bytes:
    if _is_list(column.type):
        column = column.flatten()
    if _is_text(column.type) and not pa.types.is_dictionary(column.type):
        return b" ".join(value or b"" for value in column.cast(pa.large_binary()).to_pylist())
    return b" ".join(str(value).encode() for value in column.to_pylist() if value is not None)


def _field(posts: pa.RecordBatch, columns: _Columns, name: str) -> pa.Array:
    """A column of files as text."""
    if name not in columns.files:
        return pa.repeat(DANBOORU, len(posts)) if name == "booru" else pa.nulls(len(posts), pa.string())
    text = _texts(posts[columns.files[name]])
    return pc.fill_null(text, DANBOORU) if name == "booru" else text


def _texts(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):  # pandas makes a column of integers so, where one is missing
        values = column.to_pylist()
        return pa.array([None if value is None or value != value else _number(value) for value in values], pa.string())
    return column.cast(pa.string())


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else str(value)


def _tags_of(posts: pa.RecordBatch, columns: _Columns) -> Iterator[tuple[pa.Array, pa.Array, pa.Array]]:
    """Rows, tags and categories, column by column."""
    for name, category in columns.tags.items():
        column = posts[name]
        if not _is_list(column.type):
            tags, rows = split_tags(_texts(column))
            yield rows, tags, pa.repeat(category, len(tags))
            continue
        rows, tags = pc.list_parent_indices(column), _texts(pc.list_flatten(column))
        categories: Any = pa.repeat(category, len(tags))
        if columns.categories is not None:
            categories = _numbers(_texts(pc.list_flatten(posts[columns.categories])))
        full = pc.fill_null(pc.not_equal(tags, ""), False)
        yield tuple(values.filter(full) for values in (rows, tags, categories))


def _numbers(categories: pa.Array) -> pa.Array:
    """Categories as numbers, where they are Danbooru's names."""
    for name, number in CATEGORIES.items():
        categories = pc.if_else(pc.equal(categories, name), number, categories)
    return categories
