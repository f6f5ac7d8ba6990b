"""The baseline that ranks by likeness to the visible labels."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.baselines.baseline import Batched
from booru_pipeline.evaluation.baselines.pairs import PairCounts


class ItemKnn(Batched):
    """The sum over visible labels c of their likeness to t, n(c, t) / (n(c)^x n(t)^y), over t's nearest neighbours.

    x = y = 1/2 is the cosine, x = 1 the conditional probability of Deshpande and Karypis (2004, "Item-based top-N
    recommendation algorithms") with their y against frequent labels. x above 1 trusts rare visible labels more, as
    inverse document frequency does.
    """

    def __init__(self, pairs: PairCounts, *, visible: float = 1.5, target: float = 0.25, neighbours: int = 0) -> None:
        """Turn counts into likenesses.

        Args:
            pairs: Counts over train posts.
            visible: The power x of the visible label's count.
            target: The power y of the count of the label that is scored.
            neighbours: Labels nearest to each label, by cosine, that count for it, and ties; 0 is all.
        """
        kept = f"{neighbours:,} nearest" if neighbours else "all"
        super().__init__(
            pairs.share,
            f"sum of n(c, t) / (n(c)^{visible:g} n(t)^{target:g}) over the visible labels, {kept} neighbours",
        )
        counts = np.maximum(1, pairs.labels)
        rows, columns, together = pairs.rows(), pairs.together.indices, pairs.together.data
        alike = together * (counts**-visible)[rows] * (counts**-target)[columns]
        alike /= alike.max(initial=0) or 1  # powers of large counts are near the smallest float32
        if neighbours:
            alike[~_nearest(pairs.with_values(together / np.sqrt(counts)[rows]), neighbours)] = 0
        self._likeness = pairs.with_values(alike).copy()
        self._likeness.eliminate_zeros()

    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = (visible @ self._likeness).toarray()
        return scores


def _nearest(closeness: sparse.csr_array, neighbours: int) -> NDArray[np.bool_]:
    """Whether each entry is among the `neighbours` largest of its column, in the order of the matrix's own entries."""
    entry = np.arange(1, closeness.nnz + 1)
    columns = sparse.csc_array(sparse.csr_array((entry, closeness.indices, closeness.indptr), shape=closeness.shape))
    near = np.ones(closeness.nnz, dtype=np.bool_)
    for start, end in zip(columns.indptr[:-1], columns.indptr[1:], strict=True):
        if end - start > neighbours:
            own = columns.data[start:end] - 1
            values = closeness.data[own]
            near[own] = values >= np.partition(values, -neighbours)[-neighbours]
    return near
