"""All baselines, fitted on the same train posts, with settings chosen on the same validation pairs."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.baselines import names
from booru_pipeline.evaluation.baselines.baseline import Baseline
from booru_pipeline.evaluation.baselines.capped import Capped, column_of, columns_of, most_frequent
from booru_pipeline.evaluation.baselines.closure import ImplicationClosure
from booru_pipeline.evaluation.baselines.cooccurrence import CoOccurrence
from booru_pipeline.evaluation.baselines.ease import Ease
from booru_pipeline.evaluation.baselines.item_knn import ItemKnn
from booru_pipeline.evaluation.baselines.naive_bayes import NaiveBayes
from booru_pipeline.evaluation.baselines.pairs import PairCounts
from booru_pipeline.evaluation.baselines.popularity import Popularity
from booru_pipeline.evaluation.baselines.rules import AssociationRules, mine
from booru_pipeline.evaluation.baselines.tuning import Pair, climb

LABEL_CAP: Final = 10_000

_Made = tuple[Callable[..., Baseline], Mapping[str, Sequence[float]], Mapping[str, float]]


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

    @cache
    def pairs() -> PairCounts:
        return PairCounts.of(posts)

    asked = _of_known(validation, column_of(known, len(counts)))

    fitted: dict[str, Baseline] = {}
    for name in (name for name in names.BASELINES if name in only):
        if name == names.POPULARITY:
            fitted[name] = Popularity(train)
        elif name == names.IMPLICATION_CLOSURE:
            fitted[name] = ImplicationClosure(implied)
        else:
            make, grid, start = _tunable(name, posts, pairs())
            best = climb(make, grid, start, asked)
            fitted[name] = Capped(best, known, counts) if cut else best
    return fitted


def _tunable(name: str, posts: sparse.csr_array, pairs: PairCounts) -> _Made:
    """How to make a baseline, the values that are tried, and where to start among them."""
    if name == names.CO_OCCURRENCE:
        return partial(CoOccurrence, pairs), {"prior_posts": [0.1, 1, 10, 100]}, {"prior_posts": 1}
    if name == names.NAIVE_BAYES:
        return (
            partial(NaiveBayes, pairs),
            {"prior_posts": [1, 10, 100, 1000], "weight": [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1]},
            {"prior_posts": 100, "weight": 0.5},
        )
    if name == names.ASSOCIATION_RULES:
        return partial(AssociationRules, mine(posts)), {"lift_weight": [0, 0.125, 0.25, 0.5, 1]}, {"lift_weight": 0.125}
    if name == names.ITEM_KNN:
        return (
            partial(ItemKnn, pairs),
            {
                "visible": [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2],
                "target": [0, 0.125, 0.25, 0.375, 0.5],
                "neighbours": [100, 500, 0],
            },
            {"visible": 1.5, "target": 0.25, "neighbours": 0},
        )
    return partial(Ease, pairs), {"ridge": [1, 3, 10, 30, 100, 300, 1000]}, {"ridge": 10}


def _of_known(
    validation: Sequence[tuple[Sequence[int] | NDArray[np.int64], Sequence[int] | NDArray[np.int64]]],
    column: NDArray[np.int64],
) -> list[Pair]:
    """The pairs in columns of known labels, without those that then have nothing to find."""
    pairs = [
        (columns_of(visible, column), np.array(columns_of(hidden, column), dtype=np.int64))
        for visible, hidden in validation
    ]
    return [(visible, hidden) for visible, hidden in pairs if len(hidden)]
