"""The labels of many posts as flat arrays, so that a batch is cut with numpy and not post by post."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from booru_pipeline.errors import BooruError
from booru_pipeline.ragged import IntArray, gather, offsets_of

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_ABOUT: Final = ["booru", "fid", "group_md5", "release"]


@dataclass(frozen=True)
class Posts:
    """Sets of labels, one set a post.

    Attributes:
        rows: int64 [total labels], the posts' labels one after another, each as its row in the vocabulary.
        offsets: int64 [posts + 1]; post i has `rows[offsets[i]:offsets[i + 1]]`.
        keys: int64 [posts], what a post is known by to everything that is random: the same in every dataset.
        about: A row a post: booru and fid, which name it, the picture that it shows (`group_md5`, which posts of one
            picture share), and the latest release that lists it. None where nobody asks.
    """

    rows: IntArray
    offsets: IntArray
    keys: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    about: pa.Table | None = None

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

    @property
    def sets(self) -> list[IntArray]:
        """For each post its labels, in their order."""
        return np.split(self.rows, self.offsets[1:-1]) if len(self) else []

    @property
    def labels(self) -> list[IntArray]:
        """For each post its labels, ascending."""
        return [np.unique(rows) for rows in self.sets]

    def matrix(self, labels: int) -> sparse.csr_array:
        """Which post has which label: float32 [posts, labels], 1 where it has. No post has a label twice."""
        ones = np.ones(len(self.rows), dtype=np.float32)
        return sparse.csr_array((ones, self.rows, self.offsets), shape=(len(self), labels))

    def column(self, name: str) -> list[Any]:
        """A column of `about`: its value for each post."""
        if self.about is None:
            raise ValueError(f"nothing is known of the posts but their labels, and so no {name}")
        return self.about[name].to_pylist()

    def take(self, index: npt.ArrayLike) -> "Posts":
        """The posts at these positions, in this order."""
        chosen = np.asarray(index, dtype=np.int64)
        rows, offsets = gather(self.rows, self.offsets, chosen)
        return Posts(rows, offsets, self.keys[chosen], None if self.about is None else self.about.take(chosen))

    def keep(self, kept: npt.NDArray[np.bool_]) -> "Posts":
        """The same posts with only some of their labels, bool [total labels]."""
        sizes = np.bincount(self.owner[kept], minlength=len(self))
        return Posts(self.rows[kept], offsets_of(sizes), self.keys, self.about)

    @classmethod
    def from_table(cls, table: pa.Table, *, about: bool = False) -> "Posts":
        """Posts of a split of the tokenized dataset: its columns `label_rows`, `post_key`, and those of `about`."""
        rows = table["label_rows"].combine_chunks()
        return cls(
            rows.flatten().to_numpy(zero_copy_only=False).astype(np.int64),
            offsets_of(rows.value_lengths().to_numpy(zero_copy_only=False)),
            table["post_key"].to_numpy().astype(np.int64),
            table.select(_ABOUT) if about else None,
        )


def incidence(posts: Sequence[Iterable[int]], labels: int) -> sparse.csr_array:
    """Which post has which label: float32 [posts, labels], 1 where it has. No post has a row twice."""
    rows = [np.asarray(post if isinstance(post, np.ndarray) else list(post), dtype=np.int64) for post in posts]
    columns = np.concatenate([np.empty(0, dtype=np.int64), *rows])
    ones = np.ones(len(columns), dtype=np.float32)
    return sparse.csr_array((ones, columns, offsets_of([len(row) for row in rows])), shape=(len(rows), labels))


def by_label(posts: sparse.csr_array) -> sparse.csc_array:
    """The same incidence matrix by its columns, int8 [posts, labels]: which posts have a label."""
    ones = np.ones(len(posts.indices), dtype=np.int8)  # it is as large as the posts, but for this
    return sparse.csr_array((ones, posts.indices, posts.indptr), shape=posts.shape).tocsc()


def releases_of(dataset: Path, split: str) -> npt.NDArray[np.str_]:
    """The release of each post that `load_posts` gives: the latest that lists it."""
    table = open_splits(dataset)[split].data.table
    order = np.argsort(table["post_key"].to_numpy(), kind="stable")
    return np.asarray(table["release"].to_numpy(), dtype=np.str_)[order]


def load_posts(dataset: Path, split: str, *, labels: int | None = None, about: bool = False) -> Posts:
    """Read one split of a tokenized dataset, in random order: by key, whatever files the posts are in.

    Args:
        dataset: A folder that `build_dataset` wrote.
        split: `train`, `validation` or `test`.
        labels: Number of labels in the vocabulary, to check the rows against; None leaves that out.
        about: Whether to say what the posts are about; it is copied along with each post that is taken.

    Raises:
        BooruError: The folder is not such a dataset, the split is not in it, or a row is not a label's, so that the
            dataset was made with another vocabulary.
    """
    splits = open_splits(dataset)
    if split not in splits:
        raise BooruError(f"{dataset} has no split {split!r}. Make it again with `booru run --to tokenized_dataset`.")
    posts = Posts.from_table(splits[split].data.table, about=about)
    if labels is not None and posts.rows.size and not 0 <= posts.rows.min() <= posts.rows.max() < labels:
        raise BooruError(
            f"the {split} split holds a row that is not a label of this vocabulary. Make both again with `booru run`."
        )
    order = np.argsort(posts.keys, kind="stable")
    return posts.take(order) if (np.diff(order) != 1).any() else posts


def open_splits(dataset: Path) -> "DatasetDict":
    """Open a dataset folder; a split without posts is an empty one.

    Raises:
        BooruError: There is none, or it lacks the train or the test split.
    """
    from datasets import DatasetDict
    from datasets.config import DATASETDICT_JSON_FILENAME

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


def _open_split(folder: Path) -> "Dataset":
    from datasets import Dataset, DatasetInfo, load_from_disk

    # A split without rows is saved without a file, and load_from_disk then stumbles over the missing first one.
    if not any(folder.glob("*.arrow")):
        features = DatasetInfo.from_directory(str(folder)).features
        return Dataset(features.arrow_schema.empty_table())
    return load_from_disk(str(folder))
