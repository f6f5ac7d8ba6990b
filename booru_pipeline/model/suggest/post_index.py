"""Counting in memory: the same counts as in the shards, for who asks again and again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import duckdb
import numpy as np
import numpy.typing as npt
from scipy import sparse

from booru_pipeline import sql
from booru_pipeline.model.suggest.counting import FOLDER, Parts
from booru_pipeline.ragged import IntArray, gather

_WORD = 64  # tags to a word of bits
_KEPT = 32  # answers about the posts of some tags: a question about `1girl` alone looks at most of all posts


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
        self._size = int(tags_of.shape[0])
        self._rows = {name: row for row, name in enumerate(names)}
        self._categories = categories
        self._tags_of, self._posts_of = tags_of, tags_of.T.tocsr()
        self.tags = lru_cache(_KEPT)(self._count_tags)

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

    @property
    def size(self) -> int:
        """How many posts there are."""
        return self._size

    def parts(self, tags: Sequence[str], base: Sequence[str] = ()) -> Parts:
        """See `PostCounter.parts`."""
        words = max(1, -(-len(tags) // _WORD))
        bits = np.zeros((words, self._size), dtype=np.uint64)
        for place, tag in enumerate(tags):
            bits[place // _WORD, self._with(tag)] |= np.uint64(1 << place % _WORD)
        of_base = np.zeros(self._size, dtype=bool)
        of_base[self._with_all(base)] = True
        some = bits.any(axis=0)
        kinds, kind = np.unique(bits[:, some], axis=1, return_inverse=True) if words > 1 else _kinds(bits[:, some])
        inside = np.bincount(kind, weights=of_base[some], minlength=kinds.shape[1]).astype(np.int64)
        counts = np.bincount(kind, minlength=kinds.shape[1])
        if not some.all():  # the posts that have none of them are a part too
            kinds = np.concatenate([kinds, np.zeros((words, 1), dtype=np.uint64)], axis=1)
            counts = np.append(counts, np.count_nonzero(~some))
            inside = np.append(inside, np.count_nonzero(of_base & ~some))
        member = np.array([kinds[at // _WORD] >> np.uint64(at % _WORD) & np.uint64(1) for at in range(len(tags))])
        members = sparse.csr_array(member.reshape(len(tags), kinds.shape[1]).T.astype(np.int64))
        return Parts(tuple(tags), members, counts, inside)

    def look_up(self, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        """See `PostCounter.look_up`."""
        rows = {name: self._rows[name] for name in names if name in self._rows}
        return {name: (len(self._with(name)), int(self._categories[row])) for name, row in rows.items()}

    def _count_tags(self, base: tuple[str, ...]) -> "Counted":
        posts = self._with_all(base)
        found, _ = gather(self._tags_of.indices, self._tags_of.indptr.astype(np.int64), posts)
        return Counted(self._rows, np.bincount(found, minlength=len(self.names)))

    def _with(self, tag: str) -> npt.NDArray[np.int32]:
        """The posts that have a tag, ascending."""
        row = self._rows.get(tag)
        if row is None:
            return self._posts_of.indices[:0]
        return self._posts_of.indices[self._posts_of.indptr[row] : self._posts_of.indptr[row + 1]]

    def _with_all(self, tags: Sequence[str]) -> IntArray:
        """The posts that have all of some tags; all posts if there are none."""
        if not tags:
            return np.arange(self._size)
        found, *others = sorted(map(self._with, tags), key=len)
        for posts in others:
            found = found[np.isin(found, posts, assume_unique=True)]
        return found.astype(np.int64)


class Counted(Mapping[str, int]):
    """Posts by tag; tags that no post has are left out."""

    def __init__(self, rows: Mapping[str, int], counts: npt.NDArray[np.int64]) -> None:
        """Put counts, int64 [tags], and the tags' rows together."""
        self._rows, self._counts = rows, counts

    def __getitem__(self, tag: str) -> int:
        count = int(self._counts[self._rows[tag]])
        if not count:
            raise KeyError(tag)
        return count

    def __iter__(self) -> Iterator[str]:
        return (tag for tag, row in self._rows.items() if self._counts[row])

    def __len__(self) -> int:
        return int(np.count_nonzero(self._counts))


def _kinds(bits: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], IntArray]:
    """As `np.unique` along the columns of a single row, which sorts numbers and not columns."""
    found, kind = np.unique(bits[0], return_inverse=True)
    return found[None], kind
