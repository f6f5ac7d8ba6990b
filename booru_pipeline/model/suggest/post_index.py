"""Counting in memory: the same counts as in the shards, for who asks again and again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
from scipy import sparse

from booru_pipeline import sql
from booru_pipeline.model.suggest.counting import FOLDER
from booru_pipeline.ragged import gather

_BYTES_OF_BITS: Final = 64 << 20  # that are kept of the tags asked for last
_FEW: Final = 256  # tags that are counted one by one; of more it is faster to count all at once

Bits = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Held:
    """Which of some tags each post has, a bit a post: an `Overlap`.

    Attributes:
        tags: The tags.
        bits: uint64 [tags, posts / 64], the posts that have each.
        base: uint64 [posts / 64], the posts that have all tags of a base; all of them if it is empty.
        size: How many posts there are.
    """

    tags: tuple[str, ...]
    bits: Bits
    base: Bits
    size: int

    def total(self, *, of_base: bool = False) -> int:
        """See `Overlap`."""
        return _count(self.base) if of_base else self.size

    def together(self, *, of_base: bool = False) -> npt.NDArray[np.int64]:
        """See `Overlap`."""
        bits = self.bits & self.base if of_base else self.bits
        counts = [np.bitwise_count(bits & one).sum(axis=1, dtype=np.int64) for one in bits]
        return np.array(counts, dtype=np.int64).reshape(len(self.tags), len(self.tags))

    def largest(self) -> tuple[tuple[str, ...], int]:
        """See `Overlap`."""
        posts = _count(np.bitwise_and.reduce(self.bits)) if self.tags else 0
        if posts:
            return self.tags, posts
        has = np.unpackbits(self.bits.view(np.uint8), axis=1)
        sizes = has.sum(axis=0, dtype=np.int64)
        if not sizes.any():
            return (), 0
        parts, counts = np.unique(has[:, sizes == sizes.max()], axis=1, return_counts=True)
        rows = [np.flatnonzero(part).tolist() for part in parts.T]
        best = min(range(len(rows)), key=lambda part: (-counts[part], rows[part]))
        return tuple(self.tags[row] for row in rows[best]), int(counts[best])


class PostIndex:
    """Counts posts as `PostCounter` does, from 8 bytes a tag and post that it keeps in memory.

    Attributes:
        names: The tags of all posts, in the order of their numbers.
    """

    def __init__(self, names: Sequence[str], tags_of: sparse.csr_array, categories: npt.NDArray[np.int8]) -> None:
        """Index posts.

        Args:
            names: Of the tags.
            tags_of: bool [posts, tags].
            categories: int8 [tags].
        """
        self.names = names
        self.size = int(tags_of.shape[0])
        self.row_of = {name: row for row, name in enumerate(names)}
        self._categories = categories
        self._tags_of, self._posts_of = tags_of, tags_of.T.tocsr()
        self._words = -(-self.size // 64)
        self.bits = lru_cache(max(64, _BYTES_OF_BITS // max(8 * self._words, 1)))(self._bits)

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> "PostIndex":
        """Read these Parquet files of shards; of a post in several releases the latest listing counts."""
        sql.run(connection, FOLDER, "latest", shards=list(files))
        names = sql.table(connection, FOLDER, "names")
        listed = sql.table(connection, FOLDER, "listings")
        [posts] = sql.table(connection, FOLDER, "count_posts")["posts"].to_pylist()
        place = tuple(listed[name].to_numpy() for name in ("post", "tag"))
        shape = (posts, names.num_rows)
        tags_of = sparse.coo_array((np.ones(len(place[0]), dtype=np.bool_), place), shape=shape).tocsr()
        return cls(names["tag"].to_pylist(), tags_of, names["category"].to_numpy())

    def parts(self, tags: Sequence[str], base: Sequence[str] = ()) -> Held:
        """See `Counter.parts`."""
        bits = np.array([self.bits(tag) for tag in tags], dtype=np.uint64).reshape(len(tags), self._words)
        return Held(tuple(tags), bits, self._with_all(base), self.size)

    def tags(self, base: tuple[str, ...]) -> "Counted":
        """See `Counter.tags`."""
        return Counted(self, self._with_all(base))

    def sizes(self, labels: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """See `Counter.sizes`."""
        is_label = np.zeros(len(self.names), dtype=np.int64)
        is_label[[self.row_of[label] for label in labels if label in self.row_of]] = 1
        posts = np.bincount(self._tags_of @ is_label)
        posts[:1] = 0  # those without a label
        sizes = np.flatnonzero(posts)
        return sizes, posts[sizes]

    def look_up(self, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        """See `Counter.look_up`."""
        rows = {name: self.row_of[name] for name in names if name in self.row_of}
        return {name: (_count(self.bits(name)), int(self._categories[row])) for name, row in rows.items()}

    def count_all(self, posts: Bits) -> npt.NDArray[np.int64]:
        """How many of some posts have each tag, int64 [tags]."""
        rows = np.flatnonzero(np.unpackbits(posts.view(np.uint8))[: self.size])
        found, _ = gather(self._tags_of.indices, self._tags_of.indptr.astype(np.int64), rows)
        return np.bincount(found, minlength=len(self.names))

    def _with_all(self, tags: Sequence[str]) -> Bits:
        """The posts that have all of some tags; all posts if there are none."""
        if tags:
            return np.bitwise_and.reduce([self.bits(tag) for tag in tags])
        return self._pack(np.arange(self.size))

    def _bits(self, tag: str) -> Bits:
        row = self.row_of.get(tag)
        start, end = (0, 0) if row is None else self._posts_of.indptr[row : row + 2]
        return self._pack(self._posts_of.indices[start:end])

    def _pack(self, posts: npt.NDArray[np.integer]) -> Bits:
        has = np.zeros(64 * self._words, dtype=np.bool_)
        has[posts] = True
        return np.packbits(has).view(np.uint64)


class Counted(Mapping[str, int]):
    """Posts by tag, of some posts, counted as they are asked for; tags that none has are left out."""

    def __init__(self, index: PostIndex, posts: Bits) -> None:
        """Count these posts."""
        self._index, self._posts = index, posts
        self._asked = 0
        self._counts: npt.NDArray[np.int64] | None = None

    def __getitem__(self, tag: str) -> int:
        row = self._index.row_of[tag]
        self._asked += 1
        is_many = self._asked > _FEW
        count = int(self._all[row]) if is_many else _count(self._posts & self._index.bits(tag))
        if not count:
            raise KeyError(tag)
        return count

    def __iter__(self) -> Iterator[str]:
        return (self._index.names[row] for row in np.flatnonzero(self._all).tolist())

    def __len__(self) -> int:
        return int(np.count_nonzero(self._all))

    @property
    def _all(self) -> npt.NDArray[np.int64]:
        if self._counts is None:
            self._counts = self._index.count_all(self._posts)
        return self._counts


def _count(bits: Bits) -> int:
    return int(np.bitwise_count(bits).sum(dtype=np.int64))
