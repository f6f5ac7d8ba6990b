"""Posts of a tokenized dataset as arrays: keys, picture groups and label rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from datasets import DatasetDict
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.errors import BooruError


@dataclass(frozen=True)
class Posts:
    """A split's posts.

    Attributes:
        booru: Site of each post.
        fid: The post's id there, int64.
        group: The picture that the post shows; posts of one picture share it.
        labels: Each post's labels as vocabulary rows, ascending, none twice.
        release: The latest release that lists the post.
    """

    booru: list[str]
    fid: NDArray[np.int64]
    group: list[str]
    labels: list[NDArray[np.int64]]
    release: list[str]

    def __len__(self) -> int:
        return len(self.booru)


def read_posts(splits: DatasetDict, split: str, *, labels: int) -> Posts:
    """Read one split.

    Args:
        splits: The dataset.
        split: Its name.
        labels: Number of labels in the vocabulary.

    Raises:
        BooruError: A row is not a label's, so the dataset was made with another vocabulary.
    """
    table: pa.Table = splits[split].with_format("arrow")[:]
    captions = table["label_rows"].combine_chunks()
    offsets = captions.offsets.to_numpy()
    rows = captions.values.to_numpy().astype(np.int64)
    used = rows[offsets[0] : offsets[-1]]
    if used.size and (used.min() < 0 or used.max() >= labels):
        raise BooruError(
            f"the {split} split holds a row that is not a label of this vocabulary. Make both again with `booru run`."
        )
    return Posts(
        booru=table["booru"].to_pylist(),
        fid=table["fid"].to_numpy(),
        group=table["group_md5"].to_pylist(),
        labels=[np.unique(rows[start:end]) for start, end in pairwise(offsets)],
        release=table["release"].to_pylist(),
    )


def incidence(posts: Sequence[Iterable[int]], labels: int) -> sparse.csr_array:
    """Which post has which label: float32 [posts, labels], 1 where it has.

    Args:
        posts: Each post's label rows, none twice.
        labels: Number of labels in the vocabulary.
    """
    rows = [np.asarray(list(post) if not isinstance(post, np.ndarray) else post, dtype=np.int64) for post in posts]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    columns = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    ones = np.ones(len(columns), dtype=np.float32)
    return sparse.csr_array((ones, columns, starts), shape=(len(rows), labels))
