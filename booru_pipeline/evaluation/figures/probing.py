"""Figures of probes: how surely a model tells one kind of label from another."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from booru_pipeline.evaluation.figures.bootstrap import Interval, paired_bootstrap
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.model.pairs import wilson_bounds

NDCG_K: Final = 20


def ndcg(scores: NDArray[np.floating], gains: NDArray[Any], k: int = NDCG_K) -> float:
    """Normalised discounted cumulative gain of a ranking's first k.

    DCG@k = sum over ranks i <= k of gain(i) / log2(1 + i), over the DCG@k of the gains in descending order (Jaervelin
    and Kekaelaeinen 2002, with linear gains and the discount that later became usual). Labels of equal score get the
    mean gain of their group (McSherry and Najork 2008), so that the order of the vocabulary earns nothing.

    Args:
        scores: [labels], higher is likelier.
        gains: [labels], 0 or more, one of them above 0.
        k: Where the ranking is cut.
    """
    discounts = np.zeros(len(scores))
    discounts[:k] = 1.0 / np.log2(np.arange(2, min(k, len(scores)) + 2))
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    sizes = np.diff(np.append(starts, len(scores)))
    mean_gain = np.add.reduceat(gains[order].astype(np.float64), starts) / sizes
    best = np.sort(gains.astype(np.float64))[::-1]
    return float((mean_gain * np.add.reduceat(discounts, starts)).sum() / (best * discounts).sum())


def rank_correlation(predicted: NDArray[np.floating], observed: NDArray[Any]) -> float | None:
    """Spearman's rank correlation.

    Returns:
        None with fewer than three values or where all observed ones are equal: nothing can be told. 0 where all
        predicted ones are equal: they tell nothing.
    """
    if len(observed) < 3 or len(np.unique(observed)) < 2:
        return None
    return float(spearmanr(predicted, observed).statistic) if len(np.unique(predicted)) > 1 else 0.0


def wilson(hits: int, posts: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    low, high = wilson_bounds(hits, posts)
    return float(low), float(high)


def sampling_error(share: NDArray[np.floating], posts: NDArray[np.integer]) -> NDArray[np.float64]:
    """How far an observed share is off the true one by chance, on average.

    The mean absolute deviation of X / n, X binomial, in the normal approximation: sqrt(2 p (1 - p) / (pi n)). The
    observed share's own p (1 - p) is (n - 1) / n of it on average, so n - 1 takes the place of n. Of shares
    near 0 or 1 on few posts it is too small by up to an eighth: an observed 0 seems to have no error.

    Args:
        share: [pairs], observed.
        posts: [pairs], on how many posts each.
    """
    return np.sqrt(2 * share * (1 - share) / (np.pi * np.maximum(posts - 1, 1)))


def mean_intervals(
    columns: Sequence[Sequence[float]] | NDArray[np.float64], groups: Sequence[str], options: ProbeOptions
) -> list[Interval | None]:
    """The mean of each column with its 95 % interval, by one bootstrap over groups.

    Args:
        columns: [columns][rows].
        groups: Each row's group.
        options: Number of resamples and seed.

    Returns:
        None for every column with fewer than two groups, which show no spread.
    """
    if len(set(groups)) < 2:
        return [None] * len(columns)
    rows = np.array(columns, dtype=np.float64).T
    return list(paired_bootstrap(rows, groups, samples=options.bootstrap_samples, seed=options.seed))


class PairedAuc:
    """The area under the ROC curve: the chance that a true edge scores above a false one, ties counting half.

    Its interval is that of a bootstrap over the true edges' children, since the edges of one child are scored in one
    context. Each true edge stands with its false one, and every method sees the same resamples.
    """

    def __init__(self, children: NDArray[np.int64], options: ProbeOptions) -> None:
        """Prepare to resample children; `areas` draws.

        Args:
            children: [edges], whose edge each is.
            options: Number of resamples and seed.
        """
        names, self._child = np.unique(children, return_inverse=True)
        self._children = len(names)
        self._options = options

    def areas(self, true: NDArray[np.floating], false: NDArray[np.floating]) -> NDArray[np.float64]:
        """The area, from the scores of true and of false edges, each [edges].

        Returns:
            [1 + bootstrap_samples]: that of all edges, and that of each resample.
        """
        order = np.argsort(false, kind="stable")
        first = np.searchsorted(false[order], true, side="left")
        last = np.searchsorted(false[order], true, side="right")
        generator = np.random.default_rng(self._options.seed)
        drawn = np.ones(self._children, dtype=np.int64)
        areas = np.empty(1 + self._options.bootstrap_samples)
        for sample in range(len(areas)):
            if sample:
                picked = generator.integers(self._children, size=self._children)
                drawn = np.bincount(picked, minlength=self._children)
            weights = drawn[self._child].astype(np.float64)
            below = np.concatenate([[0.0], np.cumsum(weights[order])])
            areas[sample] = (weights * (below[first] + below[last])).sum() / (2 * weights.sum() ** 2)
        return areas

    def interval(self, areas: NDArray[np.float64]) -> Interval | None:
        """The 95 % percentile interval of `areas`, or of a difference of two; None with fewer than two children."""
        if self._children < 2:
            return None
        low, high = np.quantile(areas[1:], [0.025, 0.975])
        return Interval(float(areas[0]), float(low), float(high))


def auc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Probability that a positive has a higher score than a negative; a tie counts half.

    Args:
        scores: [items], higher is likelier.
        positive: [items]; some are and some are not.
    """
    wins = rankdata(scores)[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(wins / (positive.sum() * (~positive).sum()))
