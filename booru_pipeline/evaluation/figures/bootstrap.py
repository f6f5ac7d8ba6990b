"""The paired bootstrap over picture groups: how far a difference between two methods may be chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict


@dataclass(frozen=True)
class Interval:
    """A mean, or the mean of differences, and the ends of its 95 % interval."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    mean: float
    low: float
    high: float


def paired_bootstrap(
    differences: NDArray[np.float64], groups: Sequence[str] | NDArray[np.str_], *, samples: int, seed: int
) -> list[Interval]:
    """Mean differences between methods on the same posts, with 95 % percentile intervals.

    Whole picture groups are resampled, because a picture posted on three boorus is one observation, not three
    (cluster bootstrap: Davison and Hinkley 1997, section 3.8). All comparisons see the same resamples.

    Args:
        differences: [posts, comparisons].
        groups: Each post's picture group.
        samples: Number of resamples.
        seed: Seed of the resampling.

    Returns:
        One interval a comparison.
    """
    _, group = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    sizes = np.bincount(group)
    # Sums over a group's posts, and last its size: the mean of a resample is a ratio of two.
    sums = np.column_stack([*(np.bincount(group, weights=column) for column in differences.T), sizes])
    generator = np.random.default_rng(seed)
    totals = np.empty((samples, sums.shape[1]))
    for sample in range(samples):
        drawn = generator.integers(len(sizes), size=len(sizes))
        totals[sample] = np.bincount(drawn, minlength=len(sizes)) @ sums
    low, high = np.quantile(totals[:, :-1] / totals[:, -1:], [0.025, 0.975], axis=0)
    means = differences.mean(axis=0)
    return [Interval(*map(float, values)) for values in zip(means, low, high, strict=True)]
