"""Baselines that are fitted when they are first asked: the large ones need not all be in memory at a time."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.baselines.counting import Baseline
from booru_pipeline.evaluation.scorer import Contexts
from booru_pipeline.progress import step


class Later:
    """A baseline with chosen settings. Once asked it stays fitted as long as it is kept."""

    def __init__(self, name: str, described: str, fit: Callable[[], Baseline]) -> None:
        """Remember how it is fitted.

        Args:
            name: For people.
            described: What it will be and how it is set, for people.
            fit: Fits it.
        """
        self.described = described
        self._name, self._fit = name, fit

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        return self._fitted.scores(contexts, batch_size)

    @cached_property
    def _fitted(self) -> Baseline:
        with step(f"fitting {self._name}"):
            return self._fit()
