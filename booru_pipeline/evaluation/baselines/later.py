"""Baselines that are fitted when they are asked: the large ones need not all be in memory at a time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.baselines.counting import Baseline
from booru_pipeline.evaluation.scorer import Contexts
from booru_pipeline.progress import step


class Later:
    """A baseline with chosen settings, fitted when it is asked and kept until one with others takes its place."""

    def __init__(
        self, name: str, described: str, fit: Callable[[], Baseline], place: dict[str, Baseline] | None = None
    ) -> None:
        """Remember how it is fitted.

        Args:
            name: For people.
            described: What it will be and how it is set, for people.
            fit: Fits it.
            place: Where it is kept. Of those that share a place one is kept at a time.
        """
        self.described = described
        self._name, self._fit = name, fit
        self._place: dict[str, Baseline] = {} if place is None else place

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        if self.described not in self._place:
            self._place.clear()
            with step(f"fitting {self._name}"):
                self._place[self.described] = self._fit()
        return self._place[self.described].scores(contexts, batch_size)
