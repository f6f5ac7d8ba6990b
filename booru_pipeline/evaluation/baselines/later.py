"""Baselines that are fitted when they are asked: the large ones need not all be in memory at a time."""

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.baselines.counting import Baseline
from booru_pipeline.evaluation.scorer import Contexts
from booru_pipeline.progress import step


class Place:
    """Where one fitted baseline is kept at a time, whoever asks for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[str, Baseline] | None = None

    def fitted(self, described: str, fit: Callable[[], Baseline]) -> Baseline:
        """What is kept under this description; else the other one goes, and it is fitted."""
        with self._lock:  # two that are asked side by side may both want it
            if self._kept is None or self._kept[0] != described:
                self._kept = None
                self._kept = described, fit()
            return self._kept[1]


class Later:
    """A baseline with chosen settings, fitted when it is asked and kept until one with others takes its place."""

    def __init__(self, name: str, described: str, fit: Callable[[], Baseline], place: Place | None = None) -> None:
        """Remember how it is fitted.

        Args:
            name: For people.
            described: What it will be and how it is set, for people.
            fit: Fits it.
            place: Where it is kept; of its own if None.
        """
        self.described = described
        self._name, self._fit = name, fit
        self._place = place or Place()

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        return self._place.fitted(self.described, self._fit_now).scores(contexts, batch_size)

    def _fit_now(self) -> Baseline:
        with step(f"fitting {self._name}"):
            return self._fit()
