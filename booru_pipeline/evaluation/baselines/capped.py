"""Baselines of pairs know the most frequent labels only, which bounds their memory; the rest go by popularity."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.baselines.baseline import Baseline
from booru_pipeline.evaluation.scorer import Contexts, hide_visible


def most_frequent(counts: NDArray[np.float64], cap: int) -> NDArray[np.int64]:
    """The rows of the `cap` most frequent labels, ascending; of equally frequent ones the first.

    Args:
        counts: [labels], train posts that have the label.
        cap: Labels at most.
    """
    return np.sort(np.argsort(-counts, kind="stable")[:cap])


class Capped:
    """A baseline of some labels, made one of all.

    It sees the visible labels that it knows. The labels that it does not know rank below all that it knows, by
    popularity: a score is the post's lowest one, less the label's place among them, 1 for the most frequent; equally
    frequent ones share a place.
    """

    def __init__(self, inner: Baseline, known: NDArray[np.int64], counts: NDArray[np.float64]) -> None:
        """Wrap.

        Args:
            inner: The baseline, with a column for each label that it knows.
            known: The rows of these labels, ascending.
            counts: [labels], train posts that have the label.
        """
        self.described = (
            f"{inner.described}; of the {len(known):,} most frequent labels, the others below by popularity"
        )
        self._inner = inner
        self._known = known
        self._column = column_of(known, len(counts))
        self._others = np.flatnonzero(self._column < 0)
        _, place = np.unique(-counts[self._others], return_inverse=True)
        self._place = 1 + place.astype(np.float32)

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        scores = np.empty((len(contexts), len(self._column)), dtype=np.float32)
        for start in range(0, len(contexts), batch_size):
            batch = contexts[start : start + batch_size]
            inner = self._inner.scores([columns_of(context, self._column) for context in batch], batch_size)
            part = scores[start : start + len(batch)]
            part[:, self._known] = inner
            lowest = np.where(np.isfinite(inner), inner, np.inf).min(axis=1, initial=np.inf)
            lowest[np.isinf(lowest)] = 0  # all that it knows is visible
            part[:, self._others] = lowest[:, None] - self._place
        return hide_visible(scores, contexts)


def column_of(known: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """Each label's column among the known ones, -1 for the others, int64 [labels]."""
    column = np.full(labels, -1, dtype=np.int64)
    column[known] = np.arange(len(known))
    return column


def columns_of(rows: Sequence[int] | NDArray[np.int64], column: NDArray[np.int64]) -> list[int]:
    """The columns of those rows that are known."""
    columns = column[np.asarray(rows, dtype=np.int64)]
    found: list[int] = columns[columns >= 0].tolist()
    return found
