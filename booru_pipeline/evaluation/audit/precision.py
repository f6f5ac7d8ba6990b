"""Precision of a list of findings, with intervals by picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.figures.bootstrap import Interval

CUTS: Final = (100, 1000)
_LISTED: Final = 20_000  # findings of a list that are looked at

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Listed:
    """What a method lists, most certain first.

    Attributes:
        at: int64 [findings], position of the post of each.
        right: bool [findings], whether it is the fault of its post.
    """

    at: NDArray[np.int64]
    right: NDArray[np.bool_]

    @classmethod
    def of(
        cls, at: NDArray[np.int64], labels: NDArray[np.int64], certainty: NDArray[np.floating], fault: NDArray[np.int64]
    ) -> "Listed":
        """Sort findings, ties by post and label.

        Args:
            at: [findings], position of the post.
            labels: [findings].
            certainty: [findings], higher comes first.
            fault: [posts], the label that is right.
        """
        order = np.lexsort((labels, at, -certainty))[:_LISTED]
        return cls(at[order], fault[at[order]] == labels[order])


def precisions(
    lists: Mapping[str, Listed], groups: NDArray[np.str_], samples: int, seed: int
) -> dict[str, tuple[list[Interval], list[Interval]]]:
    """Precision at 100 and at 1,000 and average precision of each list, and how far the first is ahead in each.

    Precision at k is the share of the first k that is right; k is at most the number of faults, so that 1 can be
    reached, and what a short list does not fill is wrong. Average precision is the mean over faults of the precision
    at each one's place, 0 for those that are not listed. Pictures are resampled whole, alike for all lists (cluster
    bootstrap: Davison and Hinkley 1997, section 3.8).

    Args:
        lists: By method, over the same posts, of which each has one fault.
        groups: [posts], each one's picture.
        samples: Resamples.
        seed: Of the resampling.
    """
    _, group = np.unique(groups, return_inverse=True)
    size = int(group.max(initial=-1)) + 1
    faults = np.bincount(group, minlength=size).astype(np.float64)
    random = np.random.default_rng(seed)
    draws = np.stack(
        [np.ones(size), *(np.bincount(random.integers(size, size=size), minlength=size) for _ in range(samples))]
    )
    found = {name: _figures(one, group, faults, draws) for name, one in lists.items()}
    first = next(iter(found.values()))
    return {name: (_intervals(values), _intervals(first - values)) for name, values in found.items()}


def _figures(one: Listed, group: NDArray[np.int64], faults: Floats, draws: Floats) -> Floats:
    """Float64 [draws, figures]."""
    of = group[one.at]
    found = np.zeros((len(draws), len(CUTS) + 1))
    for row, draw in enumerate(draws):
        weight = draw[of]
        listed, right = np.cumsum(weight), np.cumsum(weight * one.right)
        total = draw @ faults
        for column, cut in enumerate(CUTS):
            most = min(cut, total)
            last = np.searchsorted(listed, most)
            hits = right[min(last, len(right) - 1)] if len(right) else 0.0
            # A picture that was drawn twice may stand astride the cut.
            over = max(0.0, listed[last] - most) * one.right[last] if last < len(listed) else 0.0
            found[row, column] = (hits - over) / most if most else 0.0
        gained = weight * one.right * right / np.maximum(listed, 1e-9)
        found[row, -1] = gained.sum() / total if total else 0.0
    return found


def _intervals(values: Floats) -> list[Interval]:
    """Of [draws, figures], of which the first is the whole."""
    low, high = np.quantile(values[1:], [0.025, 0.975], axis=0)
    return [Interval(*map(float, ends)) for ends in zip(values[0], low, high, strict=True)]
