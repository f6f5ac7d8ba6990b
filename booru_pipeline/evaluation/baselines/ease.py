"""The baselines that are hard to beat: linear regression of every label on all others."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.baselines.counting import Batched
from booru_pipeline.model.pairs import PairCounts, edlae


class _Linear(Batched):
    """Scores are sums of the visible labels' weights for each label, float32 [labels, labels]."""

    def __init__(self, pairs: PairCounts, described: str, weights: NDArray[np.float32]) -> None:
        super().__init__(pairs.share, described)
        self._weights = weights

    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = visible @ self._weights
        return scores


class Ease(_Linear):
    """Steck 2019, "Embarrassingly shallow autoencoders for sparse data"; see `edlae`."""

    def __init__(self, pairs: PairCounts, *, ridge: float = 10.0) -> None:
        """Learn the weights; `ridge` is the penalty λ, in posts, above 0.

        Raises:
            numpy.linalg.LinAlgError: The penalty is too small for the matrix to be inverted in single precision.
        """
        described = f"ridge regression of each label on all others, λ = {ridge:g}"
        super().__init__(pairs, described, edlae(pairs, ridge=ridge))


class Edlae(_Linear):
    """Steck 2020, "Autoencoders that don't overfit towards the identity": EASE learned with dropout; see `edlae`."""

    def __init__(self, pairs: PairCounts, *, ridge: float = 10.0, dropout: float = 0.3) -> None:
        """Learn the weights, with penalty λ in posts and the chance p that a visible label is dropped.

        Raises:
            numpy.linalg.LinAlgError: The penalty is too small for the matrix to be inverted in single precision.
        """
        described = f"ridge regression of each label on all others under dropout, λ = {ridge:g}, p = {dropout:g}"
        super().__init__(pairs, described, edlae(pairs, ridge=ridge, dropout=dropout))
