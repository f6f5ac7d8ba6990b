"""All baselines, fitted on the same train posts, with settings chosen on the same validation pairs."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation import results as names
from booru_pipeline.evaluation.baselines.counting import (
    Baseline,
    CoOccurrence,
    ImplicationClosure,
    ItemKnn,
    NaiveBayes,
    Popularity,
)
from booru_pipeline.evaluation.baselines.ease import Ease
from booru_pipeline.evaluation.baselines.rules import AssociationRules, mine
from booru_pipeline.evaluation.figures.ranks import Ranks, hidden_ranks, recall_at
from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.scorer import Contexts, Renumbered, Scorer, hide_visible, rows_of, scores_in_parts
from booru_pipeline.model.pairs import PairCounts


def most_frequent(counts: NDArray[np.float64], cap: int) -> NDArray[np.int64]:
    """The rows of the `cap` most frequent labels by their counts, ascending; of equally frequent ones the first."""
    return np.sort(np.argsort(-counts, kind="stable")[:cap])


class Capped:
    """A baseline of the known labels, extended to all labels.

    It sees the visible labels that it knows. The labels that it does not know rank below all that it knows, by
    popularity: a score is the post's lowest one, less the label's place among them, 1 for the most frequent; equally
    frequent ones share a place.
    """

    def __init__(self, inner: Baseline, known: NDArray[np.int64], counts: NDArray[np.float64]) -> None:
        """Extend a baseline of the known labels to all labels.

        Args:
            inner: The baseline, with a column for each label that it knows.
            known: The rows of these labels, ascending.
            counts: [labels], train posts that have the label.
        """
        self.described = (
            f"{inner.described}; of the {len(known):,} most frequent labels, the others below by popularity"
        )
        self._inner = Renumbered(inner, column_of(known, len(counts)))
        self._others = np.flatnonzero(~self._inner.known)
        _, place = np.unique(-counts[self._others], return_inverse=True)
        self._place = 1 + place.astype(np.float32)

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        scores = self._inner.scores(contexts, batch_size)
        lowest = scores.min(axis=1, where=np.isfinite(scores), initial=np.inf)
        lowest[np.isinf(lowest)] = 0  # all that it knows is visible
        scores[:, self._others] = lowest[:, None] - self._place
        return hide_visible(scores, contexts)


def column_of(known: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """Each label's column among the known ones, -1 for the others, int64 [labels]."""
    column = np.full(labels, -1, dtype=np.int64)
    column[known] = np.arange(len(known))
    return column


Pair = tuple[Sequence[int], NDArray[np.int64]]
Settings = Mapping[str, Sequence[float]]
S = TypeVar("S", bound=Scorer)


def mean_recall(scorer: Scorer, pairs: Sequence[Pair]) -> float:
    """Recall@10, hidden labels among the first ten over min(10, hidden labels), mean over one pair or more."""
    given, hidden = ([np.asarray(rows, dtype=np.int64) for rows in part] for part in zip(*pairs, strict=True))
    ranks = [rank for part, scores in scores_in_parts(scorer, given) for rank in hidden_ranks(scores, hidden[part])]
    return float(recall_at(Ranks.of(range(len(pairs)), hidden, ranks), HEADLINE_K).mean())


def climb(make: Callable[..., S], grid: Settings, start: Mapping[str, float], pairs: Sequence[Pair]) -> S:
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


def _neighbours(here: tuple[int, ...], grid: Settings, step: int) -> list[tuple[int, ...]]:
    sizes = [len(values) for values in grid.values()]
    moved = [(*here[:axis], at + step, *here[axis + 1 :]) for axis, at in enumerate(here)]
    return [place for place in moved if all(0 <= at < size for at, size in zip(place, sizes, strict=True))]


LABEL_CAP: Final = 10_000


class Tunable(NamedTuple):
    """A baseline that is fitted on pairs or on rules, with settings that are chosen.

    Attributes:
        make: Makes one, from what it is fitted on and one value for each setting.
        grid: The values of each setting that are tried.
        start: Where the search begins.
        count: What it is fitted on, from the incidence matrix of train posts.
    """

    make: Callable[..., Baseline]
    grid: Settings
    start: Mapping[str, float]
    count: Callable[[sparse.csr_array], Any] = PairCounts.of


TUNABLE: Final = {
    names.CO_OCCURRENCE: Tunable(CoOccurrence, {"prior_posts": [0.1, 1, 10, 100]}, {"prior_posts": 1}),
    names.NAIVE_BAYES: Tunable(
        NaiveBayes,
        {"prior_posts": [1, 10, 100, 1000], "weight": [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1]},
        {"prior_posts": 100, "weight": 0.5},
    ),
    names.ASSOCIATION_RULES: Tunable(
        AssociationRules, {"lift_weight": [0, 0.125, 0.25, 0.5, 1]}, {"lift_weight": 0.125}, mine
    ),
    names.ITEM_KNN: Tunable(
        ItemKnn,
        {
            "visible": [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2],
            "target": [0, 0.125, 0.25, 0.375, 0.5],
            "neighbours": [100, 500, 0],
        },
        {"visible": 1.5, "target": 0.25, "neighbours": 0},
    ),
    names.EASE: Tunable(Ease, {"ridge": [1, 3, 10, 30, 100, 300, 1000]}, {"ridge": 10}),
}


def fit_baselines(
    train: sparse.csr_array,
    validation: Sequence[tuple[Sequence[int] | NDArray[np.int64], Sequence[int] | NDArray[np.int64]]],
    implied: sparse.csr_array,
    *,
    label_cap: int = LABEL_CAP,
    only: Sequence[str] = names.BASELINES,
) -> dict[str, Baseline]:
    """Fit every baseline.

    Args:
        train: Incidence matrix of train posts, [posts, labels].
        validation: Visible and hidden rows of validation posts, on which settings are chosen; where there are none,
            the grids' starts stand.
        implied: 1 at [c, t] where label c implies label t, closed transitively, [labels, labels].
        label_cap: Labels that the baselines of pairs know at most, the most frequent ones; see `Capped`. Memory grows
            with its square, and EASE's time with its cube.
        only: Some baselines.

    Returns:
        Baselines by name, in the report's order. Each says what was chosen in `described`.

    Raises:
        ValueError: `implied` is of other labels than `train`.
    """
    counts = np.asarray(train.sum(axis=0, dtype=np.float64)).ravel()
    if implied.shape != (len(counts), len(counts)):
        raise ValueError(f"implications of {implied.shape[0]:,} labels do not fit posts of {len(counts):,}")
    known = most_frequent(counts, label_cap)
    cut = len(known) < len(counts)
    posts = sparse.csr_array(train[:, known]) if cut else train

    count = cache(lambda how: how(posts))  # pairs are counted once
    column = column_of(known, len(counts))
    asked = [(rows_of(given, column), np.array(rows_of(hidden, column))) for given, hidden in validation]
    asked = [(given, hidden) for given, hidden in asked if len(hidden)]  # the others have nothing to find

    fitted: dict[str, Baseline] = {}
    for name in (name for name in names.BASELINES if name in only):
        if name == names.POPULARITY:
            fitted[name] = Popularity(train)
        elif name == names.IMPLICATION_CLOSURE:
            fitted[name] = ImplicationClosure(implied)
        else:
            make, grid, start, how = TUNABLE[name]
            best = climb(partial(make, count(how)), grid, start, asked)
            fitted[name] = Capped(best, known, counts) if cut else best
    return fitted
