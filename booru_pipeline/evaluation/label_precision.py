"""Average precision of labels: which posts have this label? Other than the ranks of a post, this compares posts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class LabelPrecision(NamedTuple):
    """Average precision as scikit-learn's `average_precision_score` has it.

    Attributes:
        micro: Of all cells (post, label) in one ranking by score; None without a label that counts.
        macro: Of each label's posts in a ranking of their own, mean over labels; None likewise.
        labels: Labels that count.
    """

    micro: float | None
    macro: float | None
    labels: int


def label_precision(
    scores: NDArray[np.floating], hidden: NDArray[np.bool_], asked: NDArray[np.bool_], *, support: int
) -> LabelPrecision:
    """Sum over thresholds of (recall's rise x precision): the mean over hidden cells of the precision at their score.

    Cells of one score are passed by one threshold, so a constant scorer has the share of cells that are hidden.

    Args:
        scores: [posts, labels], none NaN.
        hidden: [posts, labels], which cells are right.
        asked: [posts, labels], which cells count at all: not the labels that are given.
        support: Hidden cells that a label needs to count.
    """
    counts = np.flatnonzero((hidden & asked).sum(axis=0) >= support)
    if not len(counts):
        return LabelPrecision(None, None, 0)
    scores, hidden, asked = scores[:, counts], hidden[:, counts] & asked[:, counts], asked[:, counts]
    each = [_average_precision(scores[own, label], hidden[own, label]) for label, own in enumerate(asked.T)]
    return LabelPrecision(_average_precision(scores[asked], hidden[asked]), float(np.mean(each)), len(counts))


def _average_precision(scores: NDArray[np.floating], hidden: NDArray[np.bool_]) -> float:
    everything, right = np.sort(scores), np.sort(scores[hidden])
    at_least = len(everything) - np.searchsorted(everything, right, side="left")
    right_at_least = len(right) - np.searchsorted(right, right, side="left")
    return float((right_at_least / at_least).mean())
