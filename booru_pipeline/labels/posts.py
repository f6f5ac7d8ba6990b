"""The labels of many posts as two flat arrays, so that a batch is cut with numpy and not post by post."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from booru_pipeline.errors import BooruError

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Posts:
    """Sets of labels, one set a post.

    Attributes:
        rows: int64 [total labels], the posts' labels one after another, each as its row in the vocabulary.
        offsets: int64 [posts + 1]; post i has `rows[offsets[i]:offsets[i + 1]]`.
    """

    rows: IntArray
    offsets: IntArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> IntArray:
        """int64 [posts]: how many labels each post has."""
        return np.diff(self.offsets)

    def take(self, index: npt.ArrayLike) -> "Posts":
        """The posts at these positions, in this order."""
        chosen = np.asarray(index, dtype=np.int64)
        sizes = self.sizes[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
        return Posts(self.rows[np.repeat(self.offsets[chosen], sizes) + within], offsets)


def load_posts(dataset: Path, split: str, first_token_id: int) -> Posts:
    """Read one split of a tokenized dataset; posts with fewer than two labels are left out (nothing to hide there).

    Args:
        dataset: A folder written by `DatasetDict.save_to_disk`, with a column `input_ids` of label tokens.
        split: `train`, `validation` or `test`.
        first_token_id: Token id of the vocabulary's first label.

    Raises:
        BooruError: The folder is not such a dataset, or the split is not in it.
    """
    from booru_pipeline.labels.splits import open_splits

    splits = open_splits(dataset)
    if split not in splits:
        raise BooruError(f"{dataset} has no split {split!r}. Make it again with `booru run --to tokenized_dataset`.")
    ids = splits[split].data.column("input_ids").combine_chunks()
    rows = ids.flatten().to_numpy(zero_copy_only=False).astype(np.int64) - first_token_id
    sizes = ids.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    posts = Posts(rows, np.concatenate([[0], np.cumsum(sizes)]))
    return posts.take(np.flatnonzero(posts.sizes >= 2))
