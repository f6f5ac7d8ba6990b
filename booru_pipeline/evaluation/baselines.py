"""What a table of counts predicts: the two baselines that a model has to beat to have learned anything.

Both have the model's own interface, `scores(contexts)`, and see the train split only.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.posts import incidence

Contexts = Sequence[Sequence[int]]


class Scorer(Protocol):
    """Anything that ranks labels given the visible ones: the model or a baseline."""

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels], given the visible labels' rows; the visible ones are at -inf."""
        ...


class Popularity:
    """Each label's share of train posts, whatever is visible."""

    def __init__(self, train: sparse.csr_array) -> None:
        """Count the labels of train posts, an incidence matrix [posts, labels]."""
        self._share = (np.asarray(train.sum(axis=0)).ravel() / max(1, train.shape[0])).astype(np.float32)

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        scores = np.tile(self._share, (len(contexts), 1))
        return _hide_visible(scores, contexts)


class CoOccurrence:
    """The mean over visible labels c of P(t | c), smoothed towards t's share of all posts.

    P(t | c) = (n(t, c) + a * p(t)) / (n(c) + a): a Dirichlet prior worth `a` posts (Zhai and Lafferty 2004, for
    language models), without which a label seen once would be as sure as one seen a thousand times.
    """

    def __init__(self, train: sparse.csr_array, *, prior_posts: float = 10.0) -> None:
        """Count the pairs of labels on train posts.

        Args:
            train: Incidence matrix [posts, labels].
            prior_posts: The prior's weight `a`, in posts; above 0.
        """
        counts = np.asarray(train.sum(axis=0)).ravel().astype(np.float64)
        self._share = (counts / max(1, train.shape[0])).astype(np.float32)
        self._prior = (prior_posts / (counts + prior_posts)).astype(np.float32)
        scale = sparse.diags_array(1.0 / (counts + prior_posts), dtype=np.float32)
        self._given = sparse.csr_array(scale @ (train.T @ train))  # [c, t]: n(t, c) / (n(c) + a)

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf. No visible label: popularity."""
        scores = np.empty((len(contexts), len(self._share)), dtype=np.float32)
        for start in range(0, len(contexts), batch_size):
            batch = contexts[start : start + batch_size]
            visible = incidence(batch, len(self._share))
            size = np.maximum(1, visible.sum(axis=1)).reshape(-1, 1)
            prior = (visible @ self._prior).reshape(-1, 1)
            prior[[not context for context in map(list, batch)]] = 1.0
            scores[start : start + len(batch)] = ((visible @ self._given).toarray() + prior * self._share) / size
        return _hide_visible(scores, contexts)


def _hide_visible(scores: NDArray[np.float32], contexts: Contexts) -> NDArray[np.float32]:
    for row, context in zip(scores, contexts, strict=True):
        row[list(context)] = -np.inf
    return scores
