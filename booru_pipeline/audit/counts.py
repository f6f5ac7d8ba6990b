"""Counts over all posts of a dataset: what an audit's tables and its evidence are from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.dataset.posts import by_label, load_posts
from booru_pipeline.model.pairs import PairCounts
from booru_pipeline.release.post_pages import post_page

SPLITS: Final = ("train", "validation", "test")
_SHOWN: Final = 3  # posts that are linked to

Rows = NDArray[np.int64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class PostCounts:
    """Posts, their labels, and how often labels stand together.

    Attributes:
        posts: Which post has which label, float32 [posts, labels], 1 where it has.
        together: Posts that have both labels, float32 [labels, labels] in sparse rows; none on the diagonal.
        labels: int64 [labels], posts that have each.
        about: A row a post: booru and fid; None where no post is linked to.
    """

    posts: sparse.csr_array
    together: sparse.csr_array
    labels: Counts
    about: pa.Table | None = None

    @classmethod
    def of(cls, posts: sparse.csr_array, about: pa.Table | None = None) -> Self:
        """Count, see the attributes."""
        pairs = PairCounts.of(posts)
        return cls(posts, pairs.together, pairs.labels.astype(np.int64), about)

    @classmethod
    def read(cls, dataset: Path, labels: int) -> Self:
        """Count all posts of a dataset, of a vocabulary of so many labels.

        Raises:
            BooruError: As `load_posts`.
        """
        splits = [load_posts(dataset, split, labels=labels, about=True) for split in SPLITS]
        posts = sparse.csr_array(sparse.vstack([split.matrix(labels) for split in splits], format="csr"))
        about = pa.concat_tables([split.about.select(["booru", "fid"]) for split in splits if split.about is not None])
        return cls.of(posts, about)

    @property
    def total(self) -> int:
        """How many posts there are."""
        return int(self.posts.shape[0])

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """float64 [labels]: of all posts."""
        return self.labels / max(1, self.total)

    def both(self, first: Rows, second: Rows) -> Counts:
        """int64 [pairs]: posts that have both labels of each pair."""
        # A row at a time, spread out: looking each pair up in it takes many times as long.
        found = np.zeros(len(first), dtype=np.int64)
        if not len(first):
            return found
        row = np.zeros(len(self.labels), dtype=np.float32)
        order = np.argsort(second, kind="stable")
        labels, starts = np.unique(second[order], return_index=True)
        for label, pairs in zip(labels.tolist(), np.split(order, starts[1:]), strict=True):
            part = slice(self.together.indptr[label], self.together.indptr[label + 1])
            row[self.together.indices[part]] = self.together.data[part]
            found[pairs] = row[first[pairs]]
            row[self.together.indices[part]] = 0
        return found

    def without(self, label: int, other: int) -> list[str]:
        """Pages of some posts that have a label without another, of posts whose pages are known."""
        return self._pages(np.setdiff1d(self._having(label), self._having(other), assume_unique=True))

    def with_label(self, label: int) -> list[str]:
        """Pages of some posts that have a label."""
        return self._pages(self._having(label))

    @cached_property
    def _columns(self) -> sparse.csc_array:
        return by_label(self.posts)

    def _having(self, label: int) -> Rows:
        rows: Rows = self._columns.indices[self._columns.indptr[label] : self._columns.indptr[label + 1]]
        return rows

    def _pages(self, posts: Sequence[int] | Rows) -> list[str]:
        if self.about is None:
            return []
        rows = self.about.take(pa.array(posts[:_SHOWN], pa.int64())).to_pylist()
        return [post_page(row["booru"], row["fid"]) or f"{row['booru']} {row['fid']}" for row in rows]
