"""Exact ranking of a few labels that something fast proposes, for a model that takes long to rank all.

What is not proposed cannot come first, however sure the model is of it, so each such ranking has a ceiling, which is to
be given with its figures.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.ranking import best_of
from booru_pipeline.model.t5_alone import T5Alone

_GAP: Final = 100.0  # nats between the last label of the shortlist and the first other one: nothing in probability

Contexts = Sequence[Sequence[int]]


class Proposer(Protocol):
    """Scores all labels, fast; such as co-occurrence."""

    def scores(self, contexts: Contexts, batch_size: int = 256) -> npt.NDArray[np.float32]:
        """Scores, float32 [contexts, labels], higher is better; the visible labels have -inf."""
        ...


class ShortlistScorer:
    """A proposer's best labels in the model's order, then the others in the proposer's own.

    Scores of the shortlist differ by what the model's exact log-probabilities differ by.

    Args:
        predictor: The model, or its T5 alone, made faster by this if it `is_slow`.
        proposer: Names the labels that the model ranks.
        size: How many for each context.
    """

    def __init__(self, predictor: Predictor | T5Alone, proposer: Proposer, size: int) -> None:
        self._predictor = predictor
        self._proposer = proposer
        self._size = size

    def scores(self, contexts: Contexts, batch_size: int = 256) -> npt.NDArray[np.float32]:
        """Scores of all labels, float32 [contexts, labels]; see `Predictor.scores`.

        The visible labels have -inf. In the shortlist log-probabilities, whose exp sums to 1 over it; the others are at
        least 100 below, 1 apart.
        """
        proposed = self._proposer.scores(contexts, batch_size)
        shortlist = best_of(proposed, self._size)
        exact = self._predictor.scores(contexts, batch_size, shortlist)
        for scores, fast in zip(exact, proposed, strict=True):
            ranked = np.isfinite(scores)
            others = np.flatnonzero(~ranked & ~np.isneginf(fast))
            order = others[np.argsort(-fast[others], kind="stable")]
            lowest = scores[ranked].min(initial=0.0)
            scores[order] = lowest - _GAP - np.arange(len(order))
        return exact

    def ceiling(self, contexts: Contexts, hidden: Contexts, batch_size: int = 256) -> float:
        """The highest recall that any order of the shortlist can reach.

        It is the share of hidden labels (vocabulary rows, one sequence a context) that are in the shortlist; the mean
        over contexts that hide any, NaN if none does.
        """
        shortlist = best_of(self._proposer.scores(contexts, batch_size), self._size)
        pairs = zip(shortlist, hidden, strict=True)
        return float(np.mean([np.isin(asked, short).mean() for short, asked in pairs if len(asked)] or [np.nan]))
