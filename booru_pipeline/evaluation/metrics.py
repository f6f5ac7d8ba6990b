"""Recall@k and mean reciprocal rank of hidden labels, and the paired bootstrap over picture groups.

Every metric is a function of the hidden labels' ranks, so the scores are read once and then dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ranks = Sequence[NDArray[np.int64]]


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def hidden_ranks(scores: NDArray[np.floating], hidden: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Rank each hidden label among all labels, 1 is best.

    A hidden label comes after every other label with the same score, so that a constant scorer earns nothing; hidden
    labels that tie with each other share out successive ranks. Visible labels, at -inf, come last by themselves.

    Args:
        scores: [posts, labels], higher is likelier.
        hidden: For each post the columns of its hidden labels, none twice.

    Returns:
        For each post its hidden labels' ranks, in the order of `hidden`.

    Raises:
        ValueError: A score is not a number; it would sort as the largest and so pass for knowledge.
    """
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    ranks = []
    for row, columns in zip(scores, hidden, strict=True):
        others = np.sort(np.delete(row, columns))
        order = np.argsort(-row[columns], kind="stable")
        ahead = len(others) - np.searchsorted(others, row[columns][order], side="left")
        own = np.empty(len(columns), dtype=np.int64)
        own[order] = ahead + np.arange(1, len(columns) + 1)
        ranks.append(own)
    return ranks


def recall_at(ranks: Ranks, k: int) -> NDArray[np.float64]:
    """Recall@k of each post: hidden labels among the first k, over the most that could be there, min(k, hidden)."""
    return np.array([np.count_nonzero(own <= k) / min(k, len(own)) for own in ranks], dtype=np.float64)


def reciprocal_rank(ranks: Ranks) -> NDArray[np.float64]:
    """1 / rank of each post's first hidden label; the mean over posts is MRR."""
    return np.array([1.0 / own.min() for own in ranks], dtype=np.float64)


def paired_bootstrap(difference: NDArray[np.float64], groups: Sequence[str], *, samples: int, seed: int) -> Interval:
    """Mean difference between two methods on the same posts, with a 95 % percentile interval.

    Whole picture groups are resampled, because a picture posted on three boorus is one observation, not three
    (cluster bootstrap: Davison and Hinkley 1997, section 3.8).

    Args:
        difference: One number a post.
        groups: Each post's picture group.
        samples: Number of resamples.
        seed: Seed of the resampling.
    """
    _, group = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    sums = np.bincount(group, weights=difference)
    sizes = np.bincount(group)
    generator = np.random.default_rng(seed)
    means = np.empty(samples)
    for sample in range(samples):
        drawn = generator.integers(len(sums), size=len(sums))
        means[sample] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(difference.mean()), float(low), float(high))
