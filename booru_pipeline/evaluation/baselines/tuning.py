"""The choice of a baseline's settings, for each hidden share, on validation posts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.baselines.counting import Baseline
from booru_pipeline.evaluation.figures.ranks import Ranks, hidden_ranks, recall_at, reciprocal_rank
from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.scorer import Scorer, scores_in_parts

Pair = tuple[Sequence[int] | NDArray[np.int64], Sequence[int] | NDArray[np.int64]]
"""Visible rows and hidden rows of a post."""
Settings = Mapping[str, Sequence[float]]
"""The values of each setting that are tried, in order."""
Place = tuple[int, ...]


class Chosen(NamedTuple):
    """Settings, and what a baseline that has them says of itself."""

    settings: dict[str, Any]
    described: str


class Standing(NamedTuple):
    """How a scorer does on validation posts; as tuples compare: by recall@10, of equal ones by MRR."""

    recall: float
    mrr: float


_NOWHERE: Final = Standing(-np.inf, -np.inf)
_UNASKED: Final = Standing(0.0, 0.0)


def standing(scorer: Scorer, pairs: Sequence[Pair]) -> Standing:
    """Mean recall@10 and MRR over one pair or more, as the report measures them."""
    given, hidden = ([np.asarray(rows, dtype=np.int64) for rows in part] for part in zip(*pairs, strict=True))
    found = [rank for part, scores in scores_in_parts(scorer, given) for rank in hidden_ranks(scores, hidden[part])]
    ranks = Ranks.of(range(len(pairs)), hidden, found)
    return Standing(float(recall_at(ranks, HEADLINE_K).mean()), float(reciprocal_rank(ranks).mean()))


def climb(
    make: Callable[..., Baseline], grid: Settings, start: Mapping[str, float], questions: Sequence[Sequence[Pair]]
) -> list[Chosen]:
    """For each question find the settings with the best mean recall@10, of equal ones with the best MRR.

    From the best that was tried so far, the start for the first question, to the best of its neighbours on the grid,
    and on. A neighbour is one step away in one setting. What is made is measured on all questions at once, so that each
    setting is made once at most, and is not kept, so that one is in memory at a time. A setting that cannot be fitted
    counts as the worst; as long as none could be, the way leads to later values of the last setting.

    Args:
        make: Makes a baseline from one value for each setting; may raise LinAlgError.
        grid: The values of each setting, in order.
        start: One value of each, from the grid; the answer to a question without pairs.
        questions: The validation pairs of each.

    Returns:
        The best settings for each question, among all that were tried; of equal ones the first. Where they are best for
        several, these have the same object.

    Raises:
        numpy.linalg.LinAlgError: No setting could be fitted.
    """
    trials = _Trials(make, grid, questions)
    origin = tuple(list(grid[name]).index(start[name]) for name in grid)
    for number, pairs in enumerate(questions):
        trials.climb(number, origin, stay=not pairs)
    if not all(trials.best):
        raise np.linalg.LinAlgError("no setting on the grid could be fitted")
    return [best[1] for best in trials.best if best is not None]


class _Trials:
    """What was tried, how it stood at each question, and the best of it.

    Attributes:
        best: For each question the best standing and its settings; None as long as nothing could be fitted.
    """

    def __init__(self, make: Callable[..., Baseline], grid: Settings, questions: Sequence[Sequence[Pair]]) -> None:
        self._make, self._grid, self._questions = make, grid, questions
        self._reached: dict[Place, list[Standing]] = {}
        self.best: list[tuple[Standing, Chosen] | None] = [None] * len(questions)

    def climb(self, question: int, origin: Place, *, stay: bool) -> None:
        """Go up from the best place so far; with `stay` no further than to the first that can be fitted."""

        def height(place: Place) -> Standing:
            return self._visit(place)[question]

        here = max(self._reached or [origin], key=height)
        height(here)
        while self.best[question] is None:
            up = self._neighbours(here, 1)
            if not up:
                return
            here = up[-1]
            height(here)
        while not stay:
            there = max(self._neighbours(here, 1) + self._neighbours(here, -1), key=height, default=here)
            if height(there) <= height(here):
                return
            here = there

    def _visit(self, place: Place) -> list[Standing]:
        if place not in self._reached:
            values: dict[str, Any] = {name: self._grid[name][at] for name, at in zip(self._grid, place, strict=True)}
            try:
                baseline = self._make(**values)
            except np.linalg.LinAlgError:
                self._reached[place] = [_NOWHERE] * len(self._questions)
            else:
                found = [standing(baseline, pairs) if pairs else _UNASKED for pairs in self._questions]
                self._reached[place] = found
                chosen = Chosen(values, baseline.described)
                self.best = [
                    (own, chosen) if best is None or own > best[0] else best
                    for own, best in zip(found, self.best, strict=True)
                ]
        return self._reached[place]

    def _neighbours(self, here: Place, step: int) -> list[Place]:
        sizes = [len(values) for values in self._grid.values()]
        moved = [(*here[:axis], at + step, *here[axis + 1 :]) for axis, at in enumerate(here)]
        return [place for place in moved if all(0 <= at < size for at, size in zip(place, sizes, strict=True))]
