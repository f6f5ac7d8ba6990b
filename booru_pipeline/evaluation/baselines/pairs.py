"""How often labels are seen, alone and two by two: all that most baselines know of the train posts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True)
class PairCounts:
    """Counts over train posts.

    Attributes:
        posts: Train posts, 1 if there are none.
        labels: float64 [labels], posts that have the label.
        together: float32 [labels, labels], posts that have both, in sparse rows; the diagonal is left out.
    """

    posts: int
    labels: NDArray[np.float64]
    together: sparse.csr_array

    @classmethod
    def of(cls, train: sparse.csr_array) -> "PairCounts":
        """Count.

        Args:
            train: Incidence matrix of the train posts, [posts, labels].
        """
        counts = np.asarray(train.sum(axis=0, dtype=np.float64)).ravel()
        together = sparse.csr_array(train.T @ train - sparse.diags_array(counts), dtype=np.float32)
        together.eliminate_zeros()
        together.sort_indices()
        for shared in (together.indices, together.indptr):  # by what `with_values` makes
            shared.setflags(write=False)
        return cls(max(1, train.shape[0]), counts, together)

    @property
    def share(self) -> NDArray[np.float32]:
        """Each label's share of train posts, float32 [labels]."""
        return (self.labels / self.posts).astype(np.float32)

    def rows(self) -> NDArray[np.int32]:
        """The row of each stored entry of `together`, int32 [entries]."""
        return np.repeat(np.arange(len(self.labels), dtype=np.int32), np.diff(self.together.indptr))

    def with_values(self, values: NDArray[np.floating]) -> sparse.csr_array:
        """The pairs that were seen, with other values than their counts, float32 [labels, labels].

        Args:
            values: One for each stored entry of `together`.
        """
        own = (values.astype(np.float32, copy=False), self.together.indices, self.together.indptr)
        return sparse.csr_array(own, shape=self.together.shape)
