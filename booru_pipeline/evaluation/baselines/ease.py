"""The baseline that is hard to beat: ridge regression of every label on all others."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from booru_pipeline.evaluation.baselines.counting import Batched, PairCounts

_BLOCK = 512


class Ease(Batched):
    """Steck 2019, "Embarrassingly shallow autoencoders for sparse data".

    With G the counts of pairs, each label's own count on the diagonal, and P = (G + λ I)^-1, the weight of c for t is
    -P[c, t] / P[t, t]. P is made in the memory of G, dense float32: 400 MB for 10,000 labels.
    """

    def __init__(self, pairs: PairCounts, *, ridge: float = 10.0) -> None:
        """Invert.

        Args:
            pairs: Counts over train posts.
            ridge: The penalty λ, in posts; above 0.

        Raises:
            numpy.linalg.LinAlgError: The penalty is too small for the matrix to be inverted in single precision.
        """
        super().__init__(pairs.share, f"ridge regression of each label on all others, λ = {ridge:g}")
        self._inverse = _inverse(pairs, ridge)
        self._scale = -1 / np.diagonal(self._inverse)

    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = visible @ self._inverse
        scores *= self._scale
        return scores


def _inverse(pairs: PairCounts, ridge: float) -> NDArray[np.float32]:
    """(G + λ I)^-1 by Cholesky factors, C order."""
    if not len(pairs.labels):
        return np.empty((0, 0), dtype=np.float32)
    matrix = pairs.together.toarray()
    np.fill_diagonal(matrix, pairs.labels + ridge)
    # LAPACK counts by columns: its upper triangle is our lower one.
    factor, failed = lapack.spotrf(matrix.T, lower=0, clean=0, overwrite_a=1)
    if not failed:
        inverse, failed = lapack.spotri(factor, lower=0, overwrite_c=1)
    if failed:
        raise np.linalg.LinAlgError(f"a ridge of {ridge:g} is too small for single precision")
    whole: NDArray[np.float32] = inverse.T
    for start in range(0, len(whole), _BLOCK):
        end = start + _BLOCK
        corner = whole[start:end, start:end]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
        whole[:start, start:end] = whole[start:end, :start].T
    return whole
