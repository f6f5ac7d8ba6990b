"""Baselines that count: popularity, closure, co-occurrence, naive Bayes, item-kNN."""

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.evaluation.scorer import Contexts, Scorer, hide_visible
from booru_pipeline.model.pairs import PairCounts


class Baseline(Scorer, Protocol):
    """A scorer that is fitted on train posts.

    Attributes:
        described: What it is and how it is set, for people.
    """

    described: str


class Batched(ABC):
    """A baseline that scores a sparse batch of posts at a time, which bounds its memory."""

    def __init__(self, share: NDArray[np.float32], described: str) -> None:
        """Start from popularity: each label's share of train posts, float32 [labels]."""
        self._share = share
        self.described = described

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf.

        Where no visible label was ever seen in training, the scores are each label's share of train posts.
        """
        scores = np.empty((len(contexts), len(self._share)), dtype=np.float32)
        for start in range(0, len(contexts), batch_size):
            batch = contexts[start : start + batch_size]
            visible = incidence(batch, len(self._share))
            found = self._batch(visible)
            found[(visible @ self._share) == 0] = self._share
            scores[start : start + len(batch)] = found
        return hide_visible(scores, contexts)

    @abstractmethod
    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        """Score each label, float32 [posts, labels], given which are visible, float32 [posts, labels]."""


class ImplicationClosure:
    """1 for what a visible label implies, 0 for everything else, so that all else is a tie."""

    described = "1 for what the visible labels imply, 0 for all else"

    def __init__(self, implied: sparse.csr_array) -> None:
        """Remember the implications, 1 at [c, t] where label c implies label t, closed transitively."""
        self._implied = implied

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        scores = np.zeros((len(contexts), self._implied.shape[0]), dtype=np.float32)
        for start in range(0, len(contexts), batch_size):
            batch = contexts[start : start + batch_size]
            post, label = (incidence(batch, self._implied.shape[0]) @ self._implied).nonzero()
            scores[start + post, label] = 1
        return hide_visible(scores, contexts)


class CoOccurrence(Batched):
    """The mean over visible labels c of P(t | c), smoothed towards t's share of all posts.

    P(t | c) = (n(t, c) + a * p(t)) / (n(c) + a): a Dirichlet prior worth `a` posts (Zhai and Lafferty 2004, for
    language models), without which a label seen once would be as sure as one seen a thousand times.
    """

    def __init__(self, pairs: PairCounts, *, prior_posts: float = 10.0) -> None:
        """Turn counts into conditional shares.

        Args:
            pairs: Counts over train posts.
            prior_posts: The prior's weight `a`, in posts; above 0.
        """
        super().__init__(pairs.share, f"mean of P(t | c) over the visible labels, prior worth {prior_posts:g} posts")
        self._together = pairs.together
        self._prior_posts = np.float32(prior_posts)
        self._weight = (1 / (pairs.labels + prior_posts)).astype(np.float32)

    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        size = np.maximum(1, visible.sum(axis=1)).reshape(-1, 1)
        prior = self._prior_posts * (visible @ self._weight).reshape(-1, 1)
        scores: NDArray[np.float32] = (_weighed(visible, self._weight) @ self._together).toarray()
        scores += prior * self._share
        scores /= size
        return scores


class ItemKnn(Batched):
    """The sum over visible labels c of their likeness to t, n(c, t) / (n(c)^x n(t)^y); all labels are neighbours.

    x = y = 1/2 is the cosine, x = 1 the conditional probability of Deshpande and Karypis (2004, "Item-based top-N
    recommendation algorithms") with their y against frequent labels. x above 1 trusts rare visible labels more, as
    inverse document frequency does.
    """

    def __init__(self, pairs: PairCounts, *, visible: float = 1.5, target: float = 0.25) -> None:
        """Weigh the labels.

        Args:
            pairs: Counts over train posts.
            visible: The power x of the visible label's count.
            target: The power y of the count of the label that is scored.
        """
        super().__init__(
            pairs.share, f"sum of n(c, t) / (n(c)^{visible:g} n(t)^{target:g}) over the visible labels c, for each t"
        )
        counts = np.maximum(1, pairs.labels)
        self._together = pairs.together
        self._visible, self._target = ((counts**-power).astype(np.float32) for power in (visible, target))

    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = (_weighed(visible, self._visible) @ self._together).toarray()
        scores *= self._target
        return scores


def _weighed(visible: sparse.csr_array, weight: NDArray[np.float32]) -> sparse.csr_array:
    """The visible labels of some posts, each with its weight, [posts, labels]."""
    return sparse.csr_array((weight[visible.indices], visible.indices, visible.indptr), shape=visible.shape)


class NaiveBayes(Batched):
    """log P(t) + w * sum over visible labels c of log P(c | t), less what is the same for every t.

    P(c | t) = (n(c, t) + a * p(c)) / (n(t) + a). The labels of a post are far from independent, so that the plain sum,
    w = 1, is too sure of itself; w < 1 is the usual mend.
    """

    def __init__(self, pairs: PairCounts, *, prior_posts: float = 100.0, weight: float = 0.5) -> None:
        """Turn counts into logarithms.

        Args:
            pairs: Counts over train posts.
            prior_posts: The prior's weight `a`, in posts; above 0.
            weight: The sum's weight `w`.
        """
        super().__init__(
            pairs.share,
            f"log P(t) + {weight:g} x sum of log P(c | t) over the visible labels, prior worth {prior_posts:g} posts",
        )
        # log P(c | t) = log(1 + n(c, t) / (a p(c))) - log(n(t) + a) + what is the same for every t; the first is sparse
        odds = pairs.together.data / (prior_posts * pairs.labels[pairs.rows()] / pairs.posts)
        self._evidence = pairs.with_values(weight * np.log1p(odds))
        self._cost = (weight * np.log(pairs.labels + prior_posts)).astype(np.float32)
        # Half a post more than was seen, so that a label that never was has a number too.
        self._start = np.log((pairs.labels + 0.5) / (pairs.posts + 1)).astype(np.float32)
        self._seen = (pairs.labels > 0).astype(np.float32)

    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        known = (visible @ self._seen).reshape(-1, 1)
        scores: NDArray[np.float32] = self._start + (visible @ self._evidence).toarray() - known * self._cost
        return scores


class Popularity(Batched):
    """Each label's share of train posts, whatever is visible."""

    def __init__(self, train: sparse.csr_array) -> None:
        """Count the labels of train posts, an incidence matrix [posts, labels]."""
        share = (np.asarray(train.sum(axis=0)).ravel() / max(1, train.shape[0])).astype(np.float32)
        super().__init__(share, "share of train posts that have the label")

    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        return np.tile(self._share, (visible.shape[0], 1))
