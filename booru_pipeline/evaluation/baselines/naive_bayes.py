"""The baseline that takes each visible label for independent evidence."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.baselines.baseline import Batched
from booru_pipeline.evaluation.baselines.pairs import PairCounts


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
