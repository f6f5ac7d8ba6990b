"""All baselines, fitted on the same train posts, with settings chosen on the same validation posts."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

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
from booru_pipeline.evaluation.baselines.ease import Ease, Edlae
from booru_pipeline.evaluation.baselines.later import Later, Place
from booru_pipeline.evaluation.baselines.rules import AssociationRules, mine
from booru_pipeline.evaluation.baselines.tuning import Pair, Settings, climb
from booru_pipeline.evaluation.scorer import Contexts, hide_visible, rows_of
from booru_pipeline.model.pairs import PairCounts
from booru_pipeline.progress import side_by_side, step


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
        self._inner, self._known = inner, known
        self._column = column_of(known, len(counts))
        self._others = np.flatnonzero(self._column < 0)
        _, place = np.unique(-counts[self._others], return_inverse=True)
        self._place = 1 + place.astype(np.float32)

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        answers = self._inner.scores([rows_of(context, self._column) for context in contexts], batch_size)
        scores = np.empty((len(contexts), len(self._column)), dtype=np.float32)
        for row, answer in zip(scores, answers, strict=True):  # post by post: what is at hand then fits the cache
            lowest = answer.min(where=np.isfinite(answer), initial=np.inf)
            row[self._known] = answer
            row[self._others] = (lowest if np.isfinite(lowest) else 0) - self._place  # or all that it knows is visible
        return hide_visible(scores, contexts)


def column_of(known: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """Each label's column among the known ones, -1 for the others, int64 [labels]."""
    column = np.full(labels, -1, dtype=np.int64)
    column[known] = np.arange(len(known))
    return column


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
        {"visible": [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2], "target": [0, 0.125, 0.25, 0.375, 0.5]},
        {"visible": 1.5, "target": 0.25},
    ),
    names.EASE: Tunable(Ease, {"ridge": [3, 10, 30, 100, 1000]}, {"ridge": 10}),
    # Its ridge stays: dropout already is a penalty of each label's own. Where both were chosen, of 30 settings on four
    # sets of posts, recall@10 of validation posts rose by .001 and that of test posts fell by .002.
    names.EDLAE: Tunable(Edlae, {"dropout": [0.1, 0.3, 0.5, 0.9]}, {"dropout": 0.3}),
}
_DENSE: Final = (names.EASE, names.EDLAE)  # a weight for each pair of labels


def fit_baselines(
    train: sparse.csr_array,
    validation: Mapping[float, Sequence[Pair]],
    implied: sparse.csr_array,
    *,
    label_cap: int = LABEL_CAP,
    only: Sequence[str] = names.BASELINES,
) -> dict[float, dict[str, Baseline]]:
    """Fit every baseline, with settings of its own for each hidden share.

    A model that learns from posts of which now few and now many labels are hidden knows the shares; baselines that had
    to do with one setting for all of them would not be its equals.

    Args:
        train: Incidence matrix of train posts, [posts, labels].
        validation: By hidden share visible and hidden rows of validation posts, on which its settings are chosen; where
            there are none, the grids' starts stand.
        implied: 1 at [c, t] where label c implies label t, closed transitively, [labels, labels].
        label_cap: Labels that the baselines of pairs know at most, the most frequent ones; see `Capped`. Memory grows
            with its square, and EASE's and EDLAE's time with its cube.
        only: Some baselines.

    Returns:
        By hidden share the baselines by name, in the report's order. Each says what was chosen in `described`; shares
        with the same choice share one. Those with settings are fitted when they are asked, and one of each name is in
        memory at a time.

    Raises:
        ValueError: `implied` is of other labels than `train`.
    """
    counts = np.asarray(train.sum(axis=0, dtype=np.float64)).ravel()
    if implied.shape != (len(counts), len(counts)):
        raise ValueError(f"implications of {implied.shape[0]:,} labels do not fit posts of {len(counts):,}")
    known = most_frequent(counts, label_cap)
    cut = len(known) < len(counts)
    posts = sparse.csr_array(train[:, known]) if cut else train
    with step("counting for the baselines"):
        counted = {how: how(posts) for how in dict.fromkeys(TUNABLE[name].count for name in only if name in TUNABLE)}
    del posts  # it is as large as `train`
    questions = [_among(pairs, column_of(known, len(counts))) for pairs in validation.values()]

    def choose(name: str) -> list[Baseline]:
        """The best for each hidden share."""
        if name == names.POPULARITY:
            return [Popularity(train)] * len(questions)
        if name == names.IMPLICATION_CLOSURE:
            return [ImplicationClosure(implied)] * len(questions)
        make, grid, start, how = TUNABLE[name]
        with step(f"choosing the settings of {name}"):
            chosen = climb(partial(make, counted[how]), grid, start, questions)
        made: dict[str, Baseline] = {}
        place = Place()
        for settings, described in chosen:
            later = Later(name, described, partial(make, counted[how], **settings), place)
            made.setdefault(described, Capped(later, known, counts) if cut else later)
        return [made[described] for _, described in chosen]

    # Dense ones one after another: each is as large as all else, and LAPACK uses every core and holds Python's lock.
    in_order = [name for name in names.BASELINES if name in only]
    dense, others = ([name for name in in_order if (name in _DENSE) == is_dense] for is_dense in (True, False))
    best = {name: choose(name) for name in dense} | dict(zip(others, side_by_side(choose, others), strict=True))
    return {share: {name: best[name][number] for name in in_order} for number, share in enumerate(validation)}


def _among(pairs: Sequence[Pair], column: NDArray[np.int64]) -> list[Pair]:
    """The pairs in columns of the known labels, without those that hide none of these: they have nothing to find."""
    known = [(rows_of(given, column), rows_of(hidden, column)) for given, hidden in pairs]
    return [(given, hidden) for given, hidden in known if hidden]


def describe(fitted: Mapping[float, Mapping[str, Baseline]]) -> dict[str, str]:
    """What each baseline is and how it is set, in words; where settings differ by hidden share, at which shares.

    Args:
        fitted: By hidden share and name, as `fit_baselines` gives them.
    """
    described: dict[str, str] = {}
    for name in next(iter(fitted.values())):
        shares: dict[str, list[float]] = {}
        for share, baselines in fitted.items():
            shares.setdefault(baselines[name].described, []).append(share)
        described[name] = (
            next(iter(shares))
            if len(shares) == 1
            else "; ".join(f"{names.shares_in_words(at)} hidden: {words}" for words, at in shares.items())
        )
    return described
