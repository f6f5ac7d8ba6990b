"""Settings of baselines, chosen on the validation split by the figure that the report leads with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.metrics import hidden_ranks
from booru_pipeline.evaluation.scorer import Scorer

Pair = tuple[Sequence[int], NDArray[np.int64]]
S = TypeVar("S", bound=Scorer)

_K: Final = 10
_AT_ONCE: Final = 256


def mean_recall(scorer: Scorer, pairs: Sequence[Pair]) -> float:
    """Recall@10, hidden labels among the first ten over min(10, hidden labels), mean over posts.

    Args:
        scorer: What ranks.
        pairs: Visible rows and hidden rows of each post, one or more.
    """
    recall = []
    for start in range(0, len(pairs), _AT_ONCE):
        part = pairs[start : start + _AT_ONCE]
        ranks = hidden_ranks(scorer.scores([visible for visible, _ in part], _AT_ONCE), [hidden for _, hidden in part])
        recall += [float((own <= _K).sum()) / min(_K, len(own)) for own in ranks]
    return float(np.mean(recall))


def climb(
    make: Callable[..., S], grid: Mapping[str, Sequence[float]], start: Mapping[str, float], pairs: Sequence[Pair]
) -> S:
    """Make the scorer with the best mean recall@10: from the start to the best of its neighbours on the grid, and on.

    A neighbour is one step away in one setting. A setting that cannot be fitted counts as the worst; as long as none
    could be, the way leads to later values of the last setting.

    Args:
        make: Makes a scorer from one value for each setting; may raise LinAlgError.
        grid: The values of each setting, in order.
        start: One value of each, from the grid; the answer if there are no pairs.
        pairs: Visible rows and hidden rows of validation posts.

    Returns:
        The best scorer on the way; of equal ones the first.

    Raises:
        numpy.linalg.LinAlgError: No setting could be fitted.
    """
    names = list(grid)
    here = tuple(grid[name].index(start[name]) for name in names)
    if not pairs:
        return make(**start)
    reached: dict[tuple[int, ...], float] = {}
    best: tuple[float, S] | None = None

    def visit(place: tuple[int, ...]) -> float:
        nonlocal best
        if place not in reached:
            try:
                scorer = make(**{name: grid[name][at] for name, at in zip(names, place, strict=True)})
            except np.linalg.LinAlgError:
                reached[place] = -np.inf
            else:
                reached[place] = mean_recall(scorer, pairs)
                if best is None or reached[place] > best[0]:
                    best = reached[place], scorer
        return reached[place]

    visit(here)
    while True:
        up, down = (_neighbours(here, grid, step) for step in (1, -1))
        if reached[here] == -np.inf and best is None and up:
            here = up[-1]
            visit(here)
            continue
        there = max(up + down, key=visit, default=here)
        if reached[there] <= reached[here]:
            break
        here = there
    if best is None:
        raise np.linalg.LinAlgError("no setting on the grid could be fitted")
    return best[1]


def _neighbours(here: tuple[int, ...], grid: Mapping[str, Sequence[float]], step: int) -> list[tuple[int, ...]]:
    sizes = [len(values) for values in grid.values()]
    moved = [(*here[:axis], at + step, *here[axis + 1 :]) for axis, at in enumerate(here)]
    return [place for place in moved if all(0 <= at < size for at, size in zip(place, sizes, strict=True))]
