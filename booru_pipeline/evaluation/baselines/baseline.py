"""What all baselines have in common: they say what they are, and score posts in batches."""

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.posts import incidence
from booru_pipeline.evaluation.scorer import Contexts, Scorer, hide_visible


class Baseline(Scorer, Protocol):
    """A scorer that is fitted on train posts.

    Attributes:
        described: What it is and how it is set, for people.
    """

    described: str


class Batched(ABC):
    """A baseline that scores a sparse batch of posts at a time, which bounds its memory.

    Attributes:
        described: What it is and how it is set, for people.
    """

    described: str

    def __init__(self, share: NDArray[np.float32], described: str) -> None:
        """Start from popularity.

        Args:
            share: Each label's share of train posts, float32 [labels].
            described: What it is and how it is set.
        """
        self._share = share
        self.described = described

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf.

        Where no visible label was ever seen in training, the scores are each label's share of train posts.
        """
        scores = np.empty((len(contexts), len(self._share)), dtype=np.float32)
        for start in range(0, len(contexts), batch_size):
            batch = contexts[start : start + batch_size]
            visible = incidence(batch, len(self._share))
            own = self._batch(visible)
            own[(visible @ self._share) == 0] = self._share
            scores[start : start + len(batch)] = own
        return hide_visible(scores, contexts)

    @abstractmethod
    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        """Score each label, float32 [posts, labels], given which are visible, float32 [posts, labels]."""
