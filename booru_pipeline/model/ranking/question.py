"""Ranking the whole vocabulary: what a ranker is asked, and the first of what it answers.

Nothing here needs torch until it is asked for the first of many: who asks one question need not wait for its import.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.model.objective_name import ObjectiveName
from booru_pipeline.ragged import IntArray, offsets_of
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import SpecialTokens, Vocabulary


class Ranker(Protocol):
    """Ranks labels for sets of visible ones.

    Attributes:
        few: Whether ranking is so slow that figures on the way are taken from a few posts.
    """

    few: bool

    def scores(self, visible: Posts, shortlist: Posts | None = None) -> npt.NDArray[np.float32]:
        """Score of each label, float32 [posts, labels]: its log-probability as the first answer; -inf where not asked.

        Args:
            visible: The labels that are seen, one set a post.
            shortlist: The labels that are asked for, one set a post; all if None.
        """
        ...

    def scores_of(self, visible: Posts, labels: IntArray) -> npt.NDArray[np.float32]:
        """The score of one label for each post, float32 [posts], among all: what `scores` without a shortlist gives.

        Args:
            visible: The labels that are seen, one set a post.
            labels: int64 [posts], the labels that are asked for; none is visible.
        """
        ...


@dataclass(frozen=True)
class Question:
    """How a model is asked for labels: what it was trained to answer.

    Attributes:
        encoding: Of the captions.
        special: End of sequence, and padding, with which the decoder starts.
        sentinel: Stands in the input for what is asked, and begins the answer, after span corruption; else None.
    """

    encoding: Encoding
    special: SpecialTokens
    sentinel: int | None

    @classmethod
    def of(cls, vocabulary: Vocabulary, encoding: EncodingName, objective: ObjectiveName) -> "Question":
        """The question that an objective teaches to answer."""
        special = vocabulary.special_tokens
        sentinel = special.sentinels[0] if objective is ObjectiveName.SPAN else None
        return cls(Encoding.of(vocabulary, encoding), special, sentinel)

    def source(self, rows: IntArray) -> IntArray:
        """The encoder's input for a set of visible labels."""
        tokens = self.encoding.encode(rows.tolist())
        if self.sentinel is not None:
            gap = [self.encoding.separator] if self.encoding.separator is not None and tokens else []
            tokens = [*tokens, *gap, self.sentinel]
        return np.array([*tokens, self.special.eos], dtype=np.int64)

    @property
    def answer_start(self) -> list[int]:
        """The decoder's input before the first label."""
        return [self.special.pad] if self.sentinel is None else [self.special.pad, self.sentinel]

    def batch(self, visible: Posts) -> dict[str, IntArray]:
        """`input_ids` and `attention_mask`, int64 [posts, longest]."""
        sources = [self.source(part) for part in np.split(visible.rows, visible.offsets[1:-1])]
        mask = np.arange(max(map(len, sources), default=0)) < np.array([len(source) for source in sources])[:, None]
        ids = np.full(mask.shape, self.special.pad, dtype=np.int64)
        ids[mask] = np.concatenate([ids[:0, 0], *sources])
        return {"input_ids": ids, "attention_mask": mask.astype(np.int64)}


def as_posts(contexts: Sequence[Sequence[int]] | Sequence[IntArray]) -> Posts:
    """Sets of labels, as vocabulary rows, in the form in which rankers take them."""
    rows = np.array([row for context in contexts for row in context], dtype=np.int64)
    return Posts(rows, offsets_of([len(context) for context in contexts]))


def best_of(scores: npt.NDArray[np.floating], size: int) -> list[IntArray]:
    """The labels of highest score for each context, the best first, ties by row; fewer where the others have -inf.

    Args:
        scores: [contexts, labels], none NaN.
        size: How many of each.
    """
    size = min(size, scores.shape[1])
    if not scores.size or not size:
        return [np.empty(0, dtype=np.int64)] * len(scores)
    cut = np.partition(scores, -size, axis=1)[:, -size, None]
    row, label = np.nonzero((scores >= cut) & ~np.isneginf(scores))
    order = np.lexsort((-scores[row, label], row))
    starts = np.searchsorted(row, np.arange(len(scores) + 1))
    label = label[order]
    return [label[start:end][:size] for start, end in pairwise(starts.tolist())]
