"""What ranks labels given some: the model and every baseline have this one interface."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Contexts = Sequence[Sequence[int]]


class Scorer(Protocol):
    """Anything that ranks labels given the visible ones: the model or a baseline."""

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels], given the visible labels' rows; the visible ones are at -inf."""
        ...


def hide_visible(scores: NDArray[np.float32], contexts: Contexts) -> NDArray[np.float32]:
    """Set the visible labels' scores to -inf, in place.

    Args:
        scores: Score of each label, [len(contexts), labels].
        contexts: The visible labels' rows.

    Returns:
        The same array.
    """
    for row, context in zip(scores, contexts, strict=True):
        row[list(context)] = -np.inf
    return scores
