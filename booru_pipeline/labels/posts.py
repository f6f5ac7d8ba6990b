"""The labels of many posts as flat arrays, so that a batch is cut with numpy and not post by post."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from booru_pipeline.errors import BooruError

IntArray = npt.NDArray[np.int64]


def gather(values: IntArray, offsets: IntArray, index: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """Lists `values[offsets[i]:offsets[i + 1]]` for each i of an index, one after another, with their new offsets."""
    chosen = np.asarray(index, dtype=np.int64)
    sizes = offsets[chosen + 1] - offsets[chosen]
    ends = np.cumsum(sizes)
    starts = np.concatenate([[0], ends]).astype(np.int64)
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    return values[np.repeat(offsets[chosen], sizes) + within], starts


@dataclass(frozen=True)
class Posts:
    """Sets of labels, one set a post.

    Attributes:
        rows: int64 [total labels], the posts' labels one after another, each as its row in the vocabulary.
        offsets: int64 [posts + 1]; post i has `rows[offsets[i]:offsets[i + 1]]`.
        keys: int64 [posts], what a post is known by to everything that is random: the same in every dataset.
    """

    rows: IntArray
    offsets: IntArray
    keys: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if len(self.keys) != len(self):
            object.__setattr__(self, "keys", np.arange(len(self)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> IntArray:
        """int64 [posts]: how many labels each post has."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> IntArray:
        """int64 [total labels]: the position of the post that each label is of."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def take(self, index: npt.ArrayLike) -> "Posts":
        """The posts at these positions, in this order."""
        rows, offsets = gather(self.rows, self.offsets, index)
        return Posts(rows, offsets, self.keys[np.asarray(index, dtype=np.int64)])

    def keep(self, kept: npt.NDArray[np.bool_]) -> "Posts":
        """The same posts with only some of their labels, bool [total labels]."""
        sizes = np.bincount(self.owner[kept], minlength=len(self))
        return Posts(self.rows[kept], np.concatenate([[0], np.cumsum(sizes)]), self.keys)

    @classmethod
    def from_table(cls, table: pa.Table) -> "Posts":
        """Posts of a split of the tokenized dataset: its columns `label_rows` and `post_key`."""
        rows = table["label_rows"].combine_chunks()
        sizes = rows.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(
            rows.flatten().to_numpy(zero_copy_only=False).astype(np.int64),
            np.concatenate([[0], np.cumsum(sizes)]),
            table["post_key"].to_numpy().astype(np.int64),
        )


def releases_of(dataset: Path, split: str) -> npt.NDArray[np.str_]:
    """The release of each post that `load_posts` gives: the latest that lists it."""
    from booru_pipeline.labels.splits import open_splits

    column = open_splits(dataset)[split].data.table["release"].combine_chunks()
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.str_)


def load_posts(dataset: Path, split: str) -> Posts:
    """Read one split of a tokenized dataset.

    Args:
        dataset: A folder that `build_dataset` wrote.
        split: `train`, `validation` or `test`.

    Raises:
        BooruError: The folder is not such a dataset, or the split is not in it.
    """
    from booru_pipeline.labels.splits import open_splits

    splits = open_splits(dataset)
    if split not in splits:
        raise BooruError(f"{dataset} has no split {split!r}. Make it again with `booru run --to tokenized_dataset`.")
    if not len(splits[split]):
        return Posts(np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64))
    return Posts.from_table(splits[split].data.table)
