"""Whether a probability of 0.7 comes true 7 times out of 10."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 15


@dataclass(frozen=True)
class Bin:
    """Guesses of like probability: how many, their mean probability, and the share that was right."""

    guesses: int
    probability: float
    found: float


@dataclass(frozen=True)
class Reliability:
    """A reliability plot and its summary.

    Attributes:
        error: Expected calibration error: mean over guesses of |probability - found| of their bin.
        bins: By probability, from the lowest; as many guesses in each, but for one more or less.
    """

    error: float
    bins: list[Bin]


def reliability(probability: NDArray[np.floating], right: NDArray[np.bool_]) -> Reliability:
    """Expected calibration error with bins of equal mass (Nixon et al. 2019; the error, Naeini et al. 2015).

    Args:
        probability: [guesses], at least one, in [0, 1].
        right: [guesses], whether each was right.
    """
    order = np.lexsort((right, probability))  # ties by outcome: the order of the guesses must not matter
    parts = np.array_split(order, min(BINS, len(order)))
    bins = [
        Bin(len(own), float(np.mean(probability[own], dtype=np.float64)), float(right[own].mean())) for own in parts
    ]
    return Reliability(sum(own.guesses * abs(own.probability - own.found) for own in bins) / len(order), bins)
