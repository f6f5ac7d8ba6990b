"""Figures of ranked labels: recall, MRR, nDCG, precision by label."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def hidden_ranks(scores: NDArray[np.floating], hidden: Sequence[Ints]) -> list[Ints]:
    """Rank each hidden label among all labels, 1 is best.

    A hidden label comes after every other label with the same score, so that a constant scorer earns nothing; hidden
    labels that tie with each other share out successive ranks. Visible labels, at -inf, come last by themselves.

    Args:
        scores: [posts, labels], higher is likelier.
        hidden: For each post the columns of its hidden labels, none twice.

    Returns:
        For each post its hidden labels' ranks, in the order of `hidden`.

    Raises:
        ValueError: A score is not a number; it would sort as the largest and so pass for knowledge.
    """
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    ranks = []
    for row, columns in zip(scores, hidden, strict=True):
        asked = row[columns]
        order = np.argsort(-asked, kind="stable")
        best_first = asked[order]
        at_least = np.array([np.count_nonzero(row >= score) for score in best_first], dtype=np.int64)
        hidden_at_least = np.searchsorted(-best_first, -best_first, side="right")
        places = np.empty(len(columns), dtype=np.int64)
        places[order] = at_least - hidden_at_least + np.arange(1, len(columns) + 1)
        ranks.append(places)
    return ranks


@dataclass(frozen=True)
class Ranks:
    """Where a method ranks the labels that it is asked for, all posts' in one, best first within a post.

    Attributes:
        post: int64 [labels], ascending: the post that each label is hidden in.
        label: int64 [labels]: its row in the vocabulary.
        rank: int64 [labels]: its rank there, 1 is best; ascending within a post, none twice.
    """

    post: Ints
    label: Ints
    rank: Ints

    @classmethod
    def of(cls, posts: Sequence[int] | Ints, labels: Sequence[Ints], ranks: Sequence[Ints]) -> "Ranks":
        """Put together what `hidden_ranks` gives.

        Args:
            posts: The posts' numbers, ascending.
            labels: Each post's hidden labels.
            ranks: Their ranks.
        """
        post = np.repeat(np.asarray(posts, dtype=np.int64), np.array([len(rows) for rows in labels], dtype=np.int64))
        label, rank = (np.concatenate([np.empty(0, dtype=np.int64), *parts]) for parts in (labels, ranks))
        order = np.lexsort((rank, post))
        return cls(post[order], label[order], rank[order])

    @cached_property
    def posts(self) -> Ints:
        """int64 [posts], ascending: the posts that are asked about. Figures by post are in this order."""
        return np.unique(self.post)

    @cached_property
    def owner(self) -> Ints:
        """int64 [labels]: place of each label's post in `posts`."""
        return np.searchsorted(self.posts, self.post)

    @cached_property
    def sizes(self) -> Ints:
        """int64 [posts]: how many labels are asked for."""
        return np.bincount(self.owner, minlength=len(self.posts))

    @cached_property
    def place(self) -> Ints:
        """int64 [labels]: 1 for the best ranked label of a post, 2 for the next."""
        starts = np.cumsum(self.sizes) - self.sizes
        return np.arange(1, len(self.rank) + 1) - np.repeat(starts, self.sizes)

    def only(self, chosen: NDArray[np.bool_]) -> "Ranks":
        """As if only some of the labels had been asked for and the others were no answers at all.

        Args:
            chosen: [labels], which remain. Posts without one are left out.
        """
        kept = np.cumsum(chosen)
        before = np.concatenate([[0], kept])[np.cumsum(self.sizes) - self.sizes]  # kept in the posts before
        others_ahead = self.place - (kept - np.repeat(before, self.sizes))
        return Ranks(self.post[chosen], self.label[chosen], (self.rank - others_ahead)[chosen])


def recall_at(ranks: Ranks, k: int) -> Floats:
    """Recall@k of each post: hits among the first k / min(k, hidden), so that 1 can be reached at every k."""
    return _by_post(ranks, ranks.rank <= k) / np.minimum(k, ranks.sizes)


def reciprocal_rank(ranks: Ranks) -> Floats:
    """1 / rank of each post's best ranked label; the mean is MRR (Voorhees 1999, TREC-8 question answering)."""
    return 1.0 / ranks.rank[ranks.place == 1]


def r_precision(ranks: Ranks) -> Floats:
    """Hits among the first R / R of each post, R its hidden labels (Manning, Raghavan and Schütze 2008, 8.4)."""
    return _by_post(ranks, ranks.rank <= ranks.sizes[ranks.owner]) / ranks.sizes


def average_precision(ranks: Ranks) -> Floats:
    """Mean over each post's hidden labels of the precision at its rank: i / rank of the i-th best ranked.

    The mean over posts is MAP (Manning, Raghavan and Schütze 2008, 8.4), scikit-learn's `average="samples"`.
    """
    return _by_post(ranks, ranks.place / ranks.rank) / ranks.sizes


def ndcg_at(ranks: Ranks, k: int) -> Floats:
    """NDCG@k of each post with gains of 1: the sum over its hidden labels of rank k or better of 1 / log2(1 + rank),
    over that of an order in which they come first (Jaervelin and Kekaelaeinen 2002, with the discount that later became
    usual; scikit-learn's `ndcg_score` where no scores are equal).
    """
    discount = 1 / np.log2(1 + np.arange(1, k + 1))
    first = ranks.rank <= k
    gained = _by_post(ranks, np.where(first, discount[np.where(first, ranks.rank, 1) - 1], 0.0))
    ideal: Floats = np.cumsum(discount)[np.minimum(k, ranks.sizes) - 1]
    return gained / ideal


def _by_post(ranks: Ranks, values: NDArray[Any]) -> Floats:
    """Sum over each post's labels."""
    return np.bincount(ranks.owner, values, len(ranks.posts)).astype(np.float64)


class Metric(NamedTuple):
    """A figure of a method.

    Attributes:
        heading: Its name in tables.
        definition: What it is.
        by_post: Its value for each post, of which the mean is given; None if it is one of labels.
    """

    heading: str
    definition: str
    by_post: Callable[[Ranks], Floats] | None = None


def _ndcg(k: int) -> Metric:
    return Metric(
        f"nDCG@{k}",
        f"Sum over a post's hidden labels among the first {k} guesses of 1 / log2(1 + rank), over the largest sum "
        "that there could be; mean over posts.",
        partial(ndcg_at, k=k),
    )


METRICS: Final = {
    "mrr": Metric("MRR", "1 / rank of a post's best ranked hidden label, mean over posts.", reciprocal_rank),
    "ndcg@10": _ndcg(10),
    "ndcg@20": _ndcg(20),
    "r_precision": Metric(
        "R-precision",
        "Hidden labels among the first R guesses over R, the number of hidden labels; mean over posts.",
        r_precision,
    ),
    "map": Metric(
        "MAP",
        "Mean over a post's hidden labels of the precision at the label's rank; mean over posts.",
        average_precision,
    ),
    "micro_ap": Metric(
        "micro AP",
        "Average precision of all cells (post, label) in one ranking by score, over the labels with support; the "
        "model's score is its calibrated probability. Given labels are no cells.",
    ),
    "macro_ap": Metric("macro AP", "The same of each label's posts in a ranking of their own, mean over these labels."),
}
"""All metrics but recall@k."""


def heading(metric: str) -> str:
    """A metric's name in tables and sentences."""
    return METRICS[metric].heading if metric in METRICS else metric


def post_metrics(ks: Iterable[int]) -> dict[str, Callable[[Ranks], Floats]]:
    """Recall at each cut-off and the other metrics of ranks, each the value for every post."""
    recall = {f"recall@{k}": partial(recall_at, k=k) for k in ks}
    return {**recall, **{name: metric.by_post for name, metric in METRICS.items() if metric.by_post}}


def ranking_metrics(
    scores: NDArray[np.floating], hidden: Sequence[Ints], ks: Iterable[int] = (1, 5, 10, 20)
) -> dict[str, float]:
    """Recall@k, MRR, nDCG, R-precision and MAP of a ranking as the evaluation report has them: means over posts.

    Args:
        scores: [posts, labels], higher is likelier; -inf for what is given.
        hidden: For each post the columns of its hidden labels, none twice; a post without one is left out.
        ks: Cut-offs of recall.

    Raises:
        ValueError: A score is not a number, or nothing is hidden.
    """
    ranks = Ranks.of(range(len(hidden)), hidden, hidden_ranks(scores, hidden))
    if not len(ranks.posts):
        raise ValueError("no post has a hidden label")
    return {name: float(of_posts(ranks).mean()) for name, of_posts in post_metrics(ks).items()}


class LabelPrecision(NamedTuple):
    """Average precision as scikit-learn's `average_precision_score` has it.

    Attributes:
        micro: Of all cells (post, label) in one ranking by score; None without a label that counts.
        macro: Of each label's posts in a ranking of their own, mean over labels; None likewise.
        labels: Labels that count.
    """

    micro: float | None
    macro: float | None
    labels: int


def label_precision(
    scores: NDArray[np.floating], hidden: NDArray[np.bool_], asked: NDArray[np.bool_], *, support: int
) -> LabelPrecision:
    """Sum over thresholds of (recall's rise x precision): the mean over hidden cells of the precision at their score.

    Cells of one score are passed by one threshold, so a constant scorer has the share of cells that are hidden.

    Args:
        scores: [posts, labels], none NaN.
        hidden: [posts, labels], which cells are right.
        asked: [posts, labels], which cells count at all: not the labels that are given.
        support: Hidden cells that a label needs to count.
    """
    counts = np.flatnonzero((hidden & asked).sum(axis=0) >= support)
    if not len(counts):
        return LabelPrecision(None, None, 0)
    scores, hidden, asked = scores[:, counts], hidden[:, counts] & asked[:, counts], asked[:, counts]
    each = [_average_precision(scores[cells, label], hidden[cells, label]) for label, cells in enumerate(asked.T)]
    return LabelPrecision(_average_precision(scores[asked], hidden[asked]), float(np.mean(each)), len(counts))


def _average_precision(scores: NDArray[np.floating], hidden: NDArray[np.bool_]) -> float:
    everything, right = np.sort(scores), np.sort(scores[hidden])
    at_least = len(everything) - np.searchsorted(everything, right, side="left")
    right_at_least = len(right) - np.searchsorted(right, right, side="left")
    return float((right_at_least / at_least).mean())
