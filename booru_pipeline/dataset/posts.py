"""The labels of many posts as flat arrays, so that a batch is cut with numpy and not post by post."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset, DatasetDict, DatasetInfo, load_from_disk
from datasets.config import DATASETDICT_JSON_FILENAME

from booru_pipeline.errors import BooruError
from booru_pipeline.ragged import IntArray, gather


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

    splits = open_splits(dataset)
    if split not in splits:
        raise BooruError(f"{dataset} has no split {split!r}. Make it again with `booru run --to tokenized_dataset`.")
    if not len(splits[split]):
        return Posts(np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64))
    return Posts.from_table(splits[split].data.table)


def open_splits(dataset: Path) -> DatasetDict:
    """Open a dataset folder; a split without posts is an empty one.

    Raises:
        BooruError: There is none, or it lacks the train or the test split.
    """
    try:
        listing = json.loads((dataset / DATASETDICT_JSON_FILENAME).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BooruError(
            f"there is no dataset at {dataset}. Make it with `booru run --to tokenized_dataset`."
        ) from error
    missing = {"train", "test"} - set(listing["splits"])
    if missing:
        raise BooruError(
            f"the dataset {dataset} has no {' or '.join(sorted(missing))} split. "
            "Make it again with `booru run --to tokenized_dataset`."
        )
    return DatasetDict({split: _open_split(dataset / split) for split in listing["splits"]})


def _open_split(folder: Path) -> Dataset:
    # A split without rows is saved without a file, and load_from_disk then stumbles over the missing first one.
    if not any(folder.glob("*.arrow")):
        features = DatasetInfo.from_directory(str(folder)).features
        return Dataset(features.arrow_schema.empty_table())
    return load_from_disk(str(folder))
