"""Batches of a tokenized dataset: labels are hidden, put in random order and padded here, anew each epoch.

`CaptionCollator` serves a plain `DataLoader` or `Seq2SeqTrainer` over the dataset as `load_from_disk` gives it; the
`…Batches` are datasets that make a whole batch at a time out of arrays. Imports torch; import this module lazily.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import TrainerCallback

from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.hiding import Hiding
from booru_pipeline.dataset.masking import Example, Kind, Masking
from booru_pipeline.dataset.options import MaskingOptions
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.ragged import IntArray, offsets_of, places
from booru_pipeline.vocabulary.vocabulary import SpecialTokens, Vocabulary

PAD_ROW: Final = -1
IGNORED: Final = -100  # what torch's cross entropy and transformers leave out of the loss

Batch = dict[str, torch.Tensor]


def pad(posts: Posts, fill: int, extra: int = 0) -> npt.NDArray[np.int64]:
    """Lay sets out as a matrix, int64 [posts, longest + `extra`], empty places holding `fill`."""
    matrix = np.full((len(posts), int(posts.sizes.max(initial=0)) + extra), fill, dtype=np.int64)
    matrix[posts.owner, places(posts.offsets)] = posts.rows
    return matrix


def encode(visible: Posts, first_token_id: int, eos_token_id: int, pad_token_id: int) -> Batch:
    """Encoder input for sets of visible labels: their tokens, then end of sequence.

    Returns:
        `input_ids` and `attention_mask`, int64 [posts, longest + 1].
    """
    ids = pad(replace(visible, rows=visible.rows + first_token_id), pad_token_id, extra=1)
    ids[np.arange(len(ids)), visible.sizes] = eos_token_id
    mask = np.arange(ids.shape[1]) <= visible.sizes[:, None]
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}


def collate(examples: Sequence[Example], special: SpecialTokens) -> Batch:
    """Examples as a batch for a sequence-to-sequence model.

    Returns:
        `input_ids` and `attention_mask`, int64 [examples, longest source]; `labels`, int64 [examples, longest target],
        filled up with -100. The decoder's input is the model's to make of the labels.
    """
    sources = [torch.from_numpy(example.source) for example in examples]
    targets = [torch.from_numpy(example.target) for example in examples]
    return {
        "input_ids": pad_sequence(sources, batch_first=True, padding_value=special.pad),
        "attention_mask": pad_sequence([torch.ones_like(source) for source in sources], batch_first=True),
        "labels": pad_sequence(targets, batch_first=True, padding_value=IGNORED),
    }


class CaptionCollator:
    """`collate_fn` or `data_collator` over rows of the tokenized dataset, for any sequence-to-sequence model.

    What is hidden depends on (seed, epoch, post) alone: not on the batch, nor on the number of workers. The epoch is in
    shared memory, so that `set_epoch` reaches workers that live on.

    A `Seq2SeqTrainer` needs `remove_unused_columns=False`, `EpochOf(collator)` among its callbacks, and, to have
    captions of like length together, `train_sampling_strategy="group_by_length"`.
    """

    def __init__(self, masking: Masking) -> None:
        self.masking = masking
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    @classmethod
    def from_folders(cls, dataset: Path, vocabulary: Path, masking: MaskingOptions, seed: int = 0) -> "CaptionCollator":
        """A collator with the caption options that a dataset was made with."""
        from booru_pipeline.dataset.build import DatasetSummary

        labels = Vocabulary.load(vocabulary)
        choice = CaptionChoice.of(labels, DatasetSummary.read(dataset).captions, seed)
        return cls(Masking(choice, masking, labels.special_tokens, seed))

    def set_epoch(self, epoch: int) -> None:
        """Hide other labels from now on."""
        self._epoch[0] = epoch

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> Batch:
        """Make a batch of dataset rows: their `label_rows` and `post_key`. See `collate` for what it is."""
        rows = [np.asarray(feature["label_rows"], dtype=np.int64) for feature in features]
        posts = Posts(
            np.concatenate(rows),
            offsets_of([len(of_post) for of_post in rows]),
            np.array([feature["post_key"] for feature in features], dtype=np.int64),
        )
        return collate(self.masking.examples(posts, int(self._epoch)), self.masking.special)


class EpochOf(TrainerCallback):
    """Tells a collator which epoch a trainer is in."""

    def __init__(self, collator: CaptionCollator) -> None:
        self._collator = collator

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Hide other labels from now on."""
        self._collator.set_epoch(round(state.epoch or 0))


class PostBatches(Dataset[Batch], ABC):
    """Posts of which labels are hidden anew each epoch; `__getitems__` makes a whole batch, no collation is left to do.

    A trainer's epoch reaches it through `set_epoch`, which accelerate calls on the dataset.
    """

    def __init__(self, posts: Posts) -> None:
        self.posts = posts
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.posts)

    def set_epoch(self, epoch: int) -> None:
        """Hide other labels from now on."""
        self.epoch = epoch

    def __getitem__(self, index: int) -> Batch:
        return self.batch([index])

    def __getitems__(self, index: Sequence[int]) -> Batch:
        return self.batch(index)

    @abstractmethod
    def batch(self, index: npt.ArrayLike) -> Batch:
        """The batch of the posts at these positions."""

    @abstractmethod
    def lengths(self, index: npt.ArrayLike) -> IntArray:
        """About how long the encoder's input of each of these posts will be, int64 [posts]: what to sort batches by."""

    def in_order(self, size: int) -> Iterator[Batch]:
        """All posts in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))


class SetBatches(PostBatches):
    """Batches of the `set` objective: visible labels as encoder input, hidden labels as the answer.

    Its tokens are those of `encode`.
    """

    def __init__(self, posts: Posts, hiding: Hiding, *, choice: CaptionChoice | None = None, **tokens: int) -> None:
        super().__init__(posts)
        self.hiding = hiding
        self._choice = choice
        self._tokens = tokens

    def batch(self, index: npt.ArrayLike) -> Batch:
        """One batch.

        Returns:
            `input_ids` and `attention_mask`, int64 [posts, longest visible + 1]; `hidden`, int64 [posts, most hidden],
            vocabulary rows filled up with -1.
        """
        posts = self.posts.take(index)
        if self._choice is not None:
            posts = self._choice.choose(posts, self.epoch)
        visible, hidden = self.hiding.split(posts, self.epoch)
        return {**encode(visible, **self._tokens), "hidden": torch.from_numpy(pad(hidden, PAD_ROW))}

    def lengths(self, index: npt.ArrayLike) -> IntArray:
        """The visible labels of each post, int64 [posts]."""
        chosen = np.asarray(index, dtype=np.int64)
        sizes = self.posts.sizes[chosen]
        if self._choice is not None:
            sizes = np.minimum(sizes, self._choice.most_tokens)  # one token a label
        return sizes - self.hiding.hidden_counts(sizes, self.posts.keys[chosen], self.epoch)


class SequenceBatches(PostBatches):
    """Batches of the `sequence` and `span` objectives: `collate` of examples."""

    def __init__(self, posts: Posts, masking: Masking, kind: Kind | None = None) -> None:
        super().__init__(posts)
        self._masking = masking
        self._kind = kind

    def batch(self, index: npt.ArrayLike) -> Batch:
        """One batch, see `collate`."""
        examples = self._masking.examples(self.posts.take(index), self.epoch, self._kind)
        return collate(examples, self._masking.special)

    def lengths(self, index: npt.ArrayLike) -> IntArray:
        """The tokens of each post's caption, int64 [posts]; how many are hidden is not counted."""
        posts = self.posts.take(index)
        whole = self._masking.choice.encoding.caption_lengths(posts.rows, posts.offsets)
        return np.minimum(whole, self._masking.choice.most_tokens)
