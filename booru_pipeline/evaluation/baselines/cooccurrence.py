"""The baseline that counts pairs, and takes their mean."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.baselines.baseline import Batched
from booru_pipeline.evaluation.baselines.pairs import PairCounts


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
        self._prior = (prior_posts / (pairs.labels + prior_posts)).astype(np.float32)
        self._given = pairs.with_values(pairs.together.data / (pairs.labels + prior_posts)[pairs.rows()])

    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        size = np.maximum(1, visible.sum(axis=1)).reshape(-1, 1)
        prior = (visible @ self._prior).reshape(-1, 1)
        return ((visible @ self._given).toarray() + prior * self._share) / size
