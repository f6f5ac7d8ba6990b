"""Whether a probability of 0.7 comes true 7 times out of 10."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.evaluation.finding import Finding, Share

BINS: Final = 15


class Bin(Finding):
    """Guesses of like probability."""

    guesses: int = Field(ge=1)
    probability: Share = Field(description="Their mean.")
    found: Share = Field(description="The share that was right.")


class Reliability(Finding):
    """A reliability plot and its summary."""

    error: Share = Field(
        description="Expected calibration error: mean over guesses of |probability - found| of their bin."
    )
    noise: Share = Field(
        description="The error that exact probabilities would have on so many guesses by chance: mean over guesses of "
        "E|found - probability| of their bin, sqrt(2 / pi sum p (1 - p)) / guesses, as if guesses were independent."
    )
    bins: list[Bin] = Field(
        min_length=1,
        description="By probability, from the lowest; as many guesses in each, but for one more or less.",
    )


def reliability(probability: NDArray[np.floating], right: NDArray[np.bool_]) -> Reliability:
    """Expected calibration error with bins of equal mass (Nixon et al. 2019; the error, Naeini et al. 2015).

    Args:
        probability: [guesses], at least one, in [0, 1].
        right: [guesses], whether each was right.
    """
    order = np.lexsort((right, probability))  # ties by outcome: the order of the guesses must not matter
    parts = np.array_split(order, min(BINS, len(order)))
    bins = [
        Bin(
            guesses=len(part),
            probability=float(np.mean(probability[part], dtype=np.float64)),
            found=float(right[part].mean()),
        )
        for part in parts
    ]
    error = sum(one.guesses * abs(one.probability - one.found) for one in bins) / len(order)
    spread = sum(np.sqrt(2 / np.pi * np.sum(probability[part] * (1 - probability[part]))) for part in parts)
    return Reliability(error=error, noise=float(spread) / len(order), bins=bins)
