"""Batches of the `set` objective: visible labels as encoder input, hidden labels as the answer."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from booru_pipeline.labels.hiding import Hiding
from booru_pipeline.labels.posts import Posts

PAD_ROW = -1


def pad(posts: Posts, fill: int, extra: int = 0) -> npt.NDArray[np.int64]:
    """Lay sets out as a matrix, int64 [posts, longest + `extra`], empty places holding `fill`."""
    sizes = posts.sizes
    matrix = np.full((len(posts), int(sizes.max(initial=0)) + extra), fill, dtype=np.int64)
    owner = np.repeat(np.arange(len(posts)), sizes)
    matrix[owner, np.arange(len(posts.rows)) - posts.offsets[owner]] = posts.rows
    return matrix


def encode(visible: Posts, first_token_id: int, eos_token_id: int, pad_token_id: int) -> dict[str, torch.Tensor]:
    """Encoder input for sets of visible labels: their tokens, then end of sequence.

    Returns:
        `input_ids` and `attention_mask`, int64 [posts, longest + 1].
    """
    ids = pad(visible, PAD_ROW, extra=1)
    used = np.arange(ids.shape[1]) < visible.sizes[:, None]
    ids = np.where(used, ids + first_token_id, pad_token_id)
    ids[np.arange(len(ids)), visible.sizes] = eos_token_id
    mask = np.arange(ids.shape[1]) <= visible.sizes[:, None]
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}


class SetBatches(Dataset[dict[str, torch.Tensor]]):
    """Posts with labels hidden anew each epoch; `__getitems__` makes a whole batch, so no collation is left to do.

    The `datasets` loader's epoch reaches it through `set_epoch`, which accelerate calls on the dataset.
    """

    def __init__(
        self, posts: Posts, hiding: Hiding, *, first_token_id: int, eos_token_id: int, pad_token_id: int
    ) -> None:
        self.posts = posts
        self.hiding = hiding
        self.epoch = 0
        self._tokens = {"first_token_id": first_token_id, "eos_token_id": eos_token_id, "pad_token_id": pad_token_id}

    def __len__(self) -> int:
        return len(self.posts)

    def set_epoch(self, epoch: int) -> None:
        """Hide other labels from now on."""
        self.epoch = epoch

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return self.batch([index])

    def __getitems__(self, index: Sequence[int]) -> dict[str, torch.Tensor]:
        return self.batch(index)

    def batch(self, index: npt.ArrayLike) -> dict[str, torch.Tensor]:
        """One batch.

        Returns:
            `input_ids` and `attention_mask`, int64 [posts, longest visible + 1]; `hidden`, int64 [posts, most hidden],
            vocabulary rows filled up with -1.
        """
        visible, hidden = self.hiding.split(self.posts, index, self.epoch)
        return {**encode(visible, **self._tokens), "hidden": torch.from_numpy(pad(hidden, PAD_ROW))}

    def in_order(self, size: int) -> Iterator[dict[str, torch.Tensor]]:
        """All posts in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))
