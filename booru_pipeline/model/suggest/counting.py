"""Counting in the shards: posts of tags, of pairs of tags, and of the largest part of some tags."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Protocol

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline import sql
from booru_pipeline.model.pairs import can_tell, exclude_each_other
from booru_pipeline.model.suggest.answer import Pair
from booru_pipeline.ragged import offsets_of

FOLDER: Final = "model/suggest"
_AT_ONCE: Final = 1 << 16  # parts


class Overlap(Protocol):
    """Which of some tags posts have.

    Attributes:
        tags: The tags.
    """

    @property
    def tags(self) -> tuple[str, ...]: ...

    def total(self, *, of_base: bool = False) -> int:
        """How many posts there are, or how many of them have all tags of the base."""
        ...

    def largest(self) -> tuple[tuple[str, ...], int]:
        """The part with the most tags, of several the one that most posts have; and how many posts that is."""
        ...

    def together(self, *, of_base: bool = False) -> NDArray[np.int64]:
        """int64 [tags, tags]: posts that have both; on the diagonal, posts that have the tag.

        Args:
            of_base: Count only posts that have all tags of the base.
        """
        ...


@dataclass(frozen=True)
class Parts:
    """An `Overlap` by the parts of the tags that posts have.

    Attributes:
        tags: The tags.
        members: int64 [parts, tags], 1 where the part has the tag.
        posts: int64 [parts], posts that have just this part of the tags.
        posts_of_base: int64 [parts], those of them that have all tags of a base.
    """

    tags: tuple[str, ...]
    members: sparse.csr_array
    posts: NDArray[np.int64]
    posts_of_base: NDArray[np.int64]

    def total(self, *, of_base: bool = False) -> int:
        """See `Overlap`."""
        return int((self.posts_of_base if of_base else self.posts).sum())

    def largest(self) -> tuple[tuple[str, ...], int]:
        """See `Overlap`."""
        sizes = np.diff(self.members.indptr)
        if not sizes.any():
            return (), 0
        longest = np.flatnonzero(sizes == sizes.max())
        best = min(longest.tolist(), key=lambda part: (-self.posts[part], self._of(part)))
        return tuple(self.tags[column] for column in self._of(best)), int(self.posts[best])

    def together(self, *, of_base: bool = False) -> NDArray[np.int64]:
        """See `Overlap`."""
        posts = self.posts_of_base if of_base else self.posts
        found = np.zeros((len(self.tags), len(self.tags)))
        for start in range(0, len(posts), _AT_ONCE):  # dense: of some dozens of tags that is faster, and exact
            some = self.members[start : start + _AT_ONCE].toarray().astype(np.float64)
            found += some.T @ (some * posts[start : start + _AT_ONCE, None])
        return found.astype(np.int64)

    def _of(self, part: int) -> list[int]:
        start, end = self.members.indptr[part : part + 2]
        return sorted(self.members.indices[start:end].tolist())


class Counter(Protocol):
    """Counts posts; of a post in several releases the latest listing counts."""

    @property
    def size(self) -> int:
        """How many posts there are."""
        ...

    def parts(self, tags: Sequence[str], base: Sequence[str] = ()) -> Overlap:
        """Which of these tags posts have, up to some dozens; and how many of these posts have all tags of the base."""
        ...

    def tags(self, base: tuple[str, ...]) -> Mapping[str, int]:
        """How many of the posts that have all tags of the base have each tag; tags that none has are left out."""
        ...

    def sizes(self, labels: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of these labels that posts have, from 1, and how many posts have each, int64 [numbers]."""
        ...

    def look_up(self, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Posts and category of those of the names that are tags of a post."""
        ...


class PostCounter:
    """Counts posts of the shards, by a pass over the tags for each count."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
        """Make ready to count in these Parquet files of shards."""
        self._connection = connection
        sql.run(connection, FOLDER, "latest", shards=list(files))

    @property
    def size(self) -> int:
        """How many posts there are."""
        [posts] = sql.table(self._connection, FOLDER, "count_posts")["posts"].to_pylist()
        return int(posts)

    def parts(self, tags: Sequence[str], base: Sequence[str] = ()) -> Parts:
        """Which of these tags posts have, up to some dozens; and how many of these posts have all tags of the base."""
        found = sql.table(self._connection, FOLDER, "count_parts", interest=list(tags), base=list(base))
        lists = found["part"].combine_chunks()
        columns = _numbers(lists.flatten()) - 1
        offsets = offsets_of(_numbers(pc.list_value_length(lists)))
        shape = (len(lists), len(tags))
        members = sparse.csr_array((np.ones(len(columns), dtype=np.int64), columns, offsets), shape=shape)
        posts, of_base = (_numbers(found[name].combine_chunks()) for name in ("posts", "posts_of_base"))
        return Parts(tuple(tags), members, posts, of_base)

    def tags(self, base: tuple[str, ...]) -> dict[str, int]:
        """How many of the posts that have all tags of the base have each tag; tags that none has are left out."""
        return dict(sql.run(self._connection, FOLDER, "count_tags", base=list(base)).fetchall())

    def sizes(self, labels: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """See `Counter`."""
        found = sql.table(self._connection, FOLDER, "count_sizes", labels=list(labels))
        return found["size"].to_numpy().astype(np.int64), found["posts"].to_numpy().astype(np.int64)

    def look_up(self, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Posts and category of those of the names that are tags of a post."""
        found = sql.run(self._connection, FOLDER, "look_up", names=list(names)).fetchall()
        return {tag: (posts, category) for tag, posts, category in found}


def _numbers(array: pa.Array) -> NDArray[np.int64]:
    """Whole numbers, none null. Where pandas is there, pyarrow's own way imports it, and takes a third of a second."""
    found: Any = np.from_dlpack(array.cast(pa.int64()))
    return np.asarray(found, dtype=np.int64)


def excluded_by(counter: Counter, tag: str, labels: Sequence[str]) -> NDArray[np.int64]:
    """Which of the labels exclude a tag, as positions; see `exclude_each_other`."""
    together, alone = (
        np.array([found.get(label, 0) for label in labels]) for found in (counter.tags((tag,)), counter.tags(()))
    )
    return np.flatnonzero(exclude_each_other(together, alone * (alone[labels.index(tag)] / max(1, counter.size))))


def pairs_apart(parts: Overlap, base: Sequence[str] = ()) -> list[Pair]:
    """The pairs of tags that stand together far more rarely than by chance, in the order of the tags.

    Where the posts of the base suffice to tell, they alone decide; elsewhere all posts.

    Args:
        parts: Which of the tags posts have.
        base: The tags of the base that the parts were counted with; none if only all posts matter.
    """
    within = [(parts.together(of_base=True), parts.total(of_base=True), tuple(base))] if base else []
    worlds = [*within, (parts.together(), parts.total(), ())]
    found = []
    for first, second in combinations(range(len(parts.tags)), 2):
        for together, posts, among in worlds:
            counts = together[first, first], together[second, second], together[first, second]
            alone, other, both = (int(count) for count in counts)
            expected = alone * other / posts if posts else 0.0
            if can_tell(expected):
                if exclude_each_other(both, expected):
                    names = parts.tags[first], parts.tags[second]
                    found.append(Pair(*names, both, alone + other - both, expected, among))
                break
    return found
