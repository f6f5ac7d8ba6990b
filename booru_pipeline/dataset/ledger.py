"""What is known of the posts of many releases, a file a release: a later file has the last word on a post.

Adding a release reads the earlier files as memory maps, and of those but a few columns of numbers and the rows of the
posts that the release concerns. The files themselves are never written again, so that datasets share them.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from booru_pipeline.dataset.duplicates import TagSets
from booru_pipeline.dataset.options import SplitOptions
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import duplicate
from booru_pipeline.ragged import IntArray, offsets_of

LEDGER_FOLDER: Final = "sides"

_PARTS: Final = "parts.json"
_REMEDY: Final = "Make it again with `booru run --to tokenized_dataset`."
_RULES: Final = 2  # raise it when other rules give other sides: what was decided by the former ones is no start
_NAME: Final = pa.dictionary(pa.int32(), pa.string())
_SCHEMA: Final = pa.schema(
    [
        ("booru", _NAME),
        ("fid", pa.int64()),
        ("release", _NAME),
        ("picture", pa.string()),
        ("group_md5", pa.string()),
        ("split", _NAME),
        ("left_out", _NAME),
        ("key", pa.int64()),
        ("picture_token", pa.uint64()),
        ("group_token", pa.uint64()),
        ("block", pa.uint64()),
        ("signature", pa.uint64()),
        ("tokens", pa.list_(pa.uint64())),
        ("categories", pa.list_(pa.int8())),
    ]
)
SIDE_COLUMNS: Final = ["booru", "fid", "release", "picture", "group_md5", "split", "left_out"]


def among(values: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> IntArray:
    """Positions of the 64-bit hashes that are among the wanted ones, ascending."""
    numbers, set_ = (pa.array(hashes.view(np.uint64)) for hashes in (values, wanted))
    return np.flatnonzero(pc.is_in(numbers, value_set=set_).to_numpy(zero_copy_only=False))


@dataclass(frozen=True)
class Ledger:
    """Posts by release.

    Attributes:
        parts: A table a release, in release order: its posts as it lists them, with the side that each has since, and
            after these the posts of earlier releases whose group has another name since, as they were listed last.
            Columns: those of `Sides.table`, then key (int64, as in `post_keys`), picture_token and group_token (uint64,
            hashes of picture and group_md5), block, signature and tokens (uint64, see `TagSets`), and categories (int8,
            of all tags).
        shards: The releases, with the `content_sha256` of their shards' manifests.
        options: What the sides were decided with.
        files: Of the parts that lie in a file already, in the same order; parts beyond are new.
        checksums: CRC-32 of these files.
    """

    parts: list[pa.Table]
    shards: dict[str, str]
    options: SplitOptions
    files: list[Path] = field(default_factory=list, compare=False)
    checksums: list[int] = field(default_factory=list, compare=False)

    @classmethod
    def empty(cls, options: SplitOptions) -> Self:
        """Of no release."""
        return cls([], {}, options)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """That of a dataset's folder.

        Raises:
            BooruError: There is none, it cannot be read, or another version wrote it.
        """
        path = folder / LEDGER_FOLDER
        if not path.is_dir():
            raise BooruError(f"there are no sides at {path}. {_REMEDY}")
        try:
            decided = json.loads((path / _PARTS).read_text(encoding="utf-8"))
            if decided["version"] != version_of_rules():
                raise BooruError(f"{path} was written by another version. {_REMEDY}")
            files = [path / f"{release}.arrow" for release in decided["shards"]]
            parts = [pa.ipc.open_file(pa.memory_map(str(file))).read_all() for file in files]
            if not all(part.schema.equals(_SCHEMA) for part in parts):
                raise BooruError(f"{path} was written by another version. {_REMEDY}")
            options = SplitOptions(**decided["options"])
            return cls(parts, dict(decided["shards"]), options, files, [int(item) for item in decided["checksums"]])
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise BooruError(f"{path} cannot be read ({type(error).__name__}). {_REMEDY}") from error

    def check(self, first: int = 0) -> None:
        """Read the files from end to end, from that part on.

        Raises:
            BooruError: One is not as it was written.
        """
        for file, checksum in zip(self.files[first:], self.checksums[first:], strict=False):
            if zlib.crc32(file.read_bytes()) != checksum:
                raise BooruError(f"{file} is not as it was written: the disk or a copy has damaged it. {_REMEDY}")

    def write(self, folder: Path) -> None:
        """Write it into a dataset's folder: parts that lie in a file already as hard links."""
        target = folder / LEDGER_FOLDER
        target.mkdir()
        checksums = self.checksums[: len(self.files)]
        for place, (release, part) in enumerate(zip(self.shards, self.parts, strict=True)):
            file = target / f"{release}.arrow"
            if place < len(self.files):
                duplicate(self.files[place], file)
                continue
            with pa.ipc.new_file(str(file), _SCHEMA) as writer:
                writer.write_table(part.unify_dictionaries().combine_chunks())
            checksums.append(zlib.crc32(file.read_bytes()))
        decided = {
            "version": version_of_rules(),
            "shards": self.shards,
            "options": self.options.model_dump(),
            "checksums": checksums,
        }
        (target / _PARTS).write_text(json.dumps(decided, indent=2) + "\n", encoding="utf-8")

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def is_start_of(self, shards: Mapping[str, str], options: SplitOptions) -> bool:
        """Whether this is what the first of these releases give with these options."""
        return self.options == options and list(self.shards.items()) == list(shards.items())[: len(self.shards)]

    def with_part(self, release: str, content_sha256: str, part: pa.Table) -> "Ledger":
        """The same and one release more."""
        shards = {**self.shards, release: content_sha256}
        return Ledger([*self.parts, part], shards, self.options, self.files, self.checksums)

    def where(self, **values: npt.NDArray[Any]) -> IntArray:
        """Rows in which one of these columns has one of these values, ascending."""
        found = [np.empty(0, np.int64)]
        for start, part in zip(self._starts, self.parts, strict=False):
            hit = np.zeros(len(part), bool)
            for name, wanted in values.items():
                hit[among(part[name].to_numpy(), wanted)] = True
            found.append(start + np.flatnonzero(hit))
        return np.concatenate(found)

    def take(self, rows: IntArray, columns: Sequence[str] | None = None) -> pa.Table:
        """These rows, which are ascending."""
        edges = np.searchsorted(rows, self._starts)
        names = list(columns or _SCHEMA.names)
        parts = [
            part.select(names).take(rows[first:last] - start)
            for part, start, first, last in zip(self.parts, self._starts, edges, edges[1:], strict=False)
            if last > first
        ]
        return pa.concat_tables(parts) if parts else _SCHEMA.empty_table().select(names)

    def numbers(self, name: str, rows: IntArray) -> npt.NDArray[Any]:
        """A column of numbers of these rows, which are ascending."""
        return self.take(rows, [name])[name].to_numpy()

    def last(self, keys: npt.NDArray[np.int64]) -> IntArray:
        """The rows that have the last word on the posts with these keys, ascending."""
        rows = self.where(key=keys)
        _, from_the_end = np.unique(self.numbers("key", rows)[::-1], return_index=True)
        return np.sort(rows[::-1][from_the_end])

    def sets(self, rows: IntArray) -> TagSets:
        """What near-duplicates are told by, of these rows, which are ascending."""
        table = self.take(rows, ["tokens", "picture_token", "block", "signature"])
        tokens = table["tokens"].combine_chunks() if len(table) else pa.array([], _SCHEMA.field("tokens").type)
        return TagSets(
            tokens.flatten().to_numpy(),
            offsets_of(tokens.value_lengths().to_numpy(zero_copy_only=False)),
            *(table[name].to_numpy() for name in ("picture_token", "block", "signature")),
        )

    def table(self) -> pa.Table:
        """Each post as the last word has it, by booru and fid: see `Sides.table`."""
        keys = np.concatenate([np.empty(0, np.int64), *(part["key"].to_numpy() for part in self.parts)])
        _, from_the_end = np.unique(keys[::-1], return_index=True)
        return self.sides(np.sort(len(keys) - 1 - from_the_end))

    def concerned(self, first: int) -> IntArray:
        """The last words on the posts of these parts, and on what shares a picture, a group or a block with them."""
        parts = self.parts[first:]
        names = ("key", "picture_token", "group_token", "block")
        values = {name: np.concatenate([part[name].to_numpy() for part in parts]) for name in names}
        return self.last_of(self.where(**values))

    def last_of(self, rows: IntArray) -> IntArray:
        """Those of these rows that have the last word on their post, ascending."""
        last = self.last(self.numbers("key", rows))
        return last[np.isin(last, rows)]

    def sides(self, rows: IntArray) -> pa.Table:
        """These rows, which are ascending, as a table of `Sides`."""
        table = self.take(rows, SIDE_COLUMNS)
        plain = pa.schema([(item.name, pa.string() if item.type == _NAME else item.type) for item in table.schema])
        return table.cast(plain).sort_by([("booru", "ascending"), ("fid", "ascending")]).combine_chunks()

    @cached_property
    def _starts(self) -> IntArray:
        return offsets_of([len(part) for part in self.parts])


def ledger_part(release: str, rows: pa.Table, sets: TagSets, placed: pa.Table, keys: npt.NDArray[np.int64]) -> pa.Table:
    """A release's posts as rows of a ledger.

    Args:
        release: Its key.
        rows: Its posts: booru, fid, picture, categories.
        sets: What near-duplicates are told by.
        placed: Where each was placed: group_md5, split, left_out, group_token.
        keys: As `post_keys` gives them.
    """
    columns = {
        **{name: rows[name] for name in ("booru", "fid", "picture", "categories")},
        "release": pa.array([release] * len(rows), pa.string()),
        **{name: placed[name] for name in ("group_md5", "split", "left_out", "group_token")},
        "key": pa.array(keys),
        "picture_token": pa.array(sets.pictures),
        "block": pa.array(sets.blocks),
        "signature": pa.array(sets.signatures),
        "tokens": pa.ListArray.from_arrays(pa.array(sets.offsets, pa.int32()), pa.array(sets.tokens)),
    }
    return pa.table({name: columns[name] for name in _SCHEMA.names}).cast(_SCHEMA)


def version_of_rules() -> str:
    """Of the rules, and of DuckDB, whose hash() may give other numbers in another one."""
    return f"{_RULES} {duckdb.__version__}"
