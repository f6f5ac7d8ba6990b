"""How often labels stand together, and what follows: shares and how sure they are, exclusion, linear weights."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.linalg import lapack

from booru_pipeline.progress import Step, side_by_side, step

_PRODUCT: Final = 2_000_000  # entries of the incidence matrix that are multiplied at a time, about a second
_BLOCK: Final = 512
_DEVIATIONS: Final = 1.96  # of the normal distribution: a 95 % interval
# Two tags exclude each other if they stand together on less than a quarter of the posts that chance would give, and
# chance would give at least 10. At 10, chance alone leaves 2 or fewer once in 360 times. On the sample, what people
# call exclusive lies below: 1girl and 1boy at .20, blue_eyes and red_eyes at .24 (crossovers and heterochromia);
# 1 in 100 pairs of the larger test releases does.
_RARER: Final = 0.25
_EXPECTED: Final = 10.0


def count_together(train: sparse.csr_array) -> sparse.csr_array:
    """Posts that have both labels, float32 [labels, labels] in sparse rows; of a label with itself, those that have it.

    It is made some rows at a time, to tell how far it is. Counts are whole up to 16.7 million.

    Args:
        train: Incidence matrix of the posts, float32 [posts, labels].
    """
    with step("counting pairs of labels", total=train.nnz) as counting:
        blocks = _blocks(train, counting)
        return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _blocks(train: sparse.csr_array, counting: Step) -> list[sparse.csr_array]:
    """Some rows each of `count_together`."""
    posts_of = sparse.csr_array(train.T)
    pieces = max(1, -(-train.nnz // _PRODUCT))
    ends = np.searchsorted(posts_of.indptr, np.linspace(0, train.nnz, pieces + 1)[1:-1])

    def count(rows: tuple[int, int]) -> sparse.csr_array:
        part = posts_of[slice(*rows)]
        together = sparse.csr_array(part @ train)
        counting.advance(part.nnz)
        return together

    return side_by_side(count, pairwise(np.unique([0, *ends.tolist(), train.shape[1]]).tolist())) or [posts_of @ train]


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
        together = count_together(train.astype(np.float32, copy=False))
        together.setdiag(0)
        together.eliminate_zeros()
        return cls(max(1, train.shape[0]), counts, _shared(together))

    def among(self, labels: NDArray[np.int64]) -> "PairCounts":
        """The counts of some labels, whose rows ascend, as if posts had no others."""
        together = sparse.csr_array(self.together[labels][:, labels])
        return PairCounts(self.posts, self.labels[labels], _shared(together))

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
        parts = (values.astype(np.float32, copy=False), self.together.indices, self.together.indptr)
        return sparse.csr_array(parts, shape=self.together.shape)


def _shared(table: sparse.csr_array) -> sparse.csr_array:
    """The table in order, whose places cannot be written to: what `with_values` makes has the same."""
    table.sort_indices()
    for places in (table.indices, table.indptr):
        places.setflags(write=False)
    return table


def wilson_bounds(together: ArrayLike, posts: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both ends of Wilson's 95 % score interval of shares (1927, "Probable inference, the law of succession").

    The lower one is .21 for 1 of 1 and .91 for 181 of 190: few posts speak softly.

    Args:
        together: Posts that have the label, of any shape.
        posts: All that were looked at, likewise; at least 1.
    """
    of, z = np.asarray(posts, dtype=np.float64), _DEVIATIONS
    share = np.asarray(together, dtype=np.float64) / of
    middle = share + z**2 / (2 * of)
    spread = z * np.sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    low, high = ((middle + sign * spread) / (1 + z**2 / of) for sign in (-1, 1))
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def can_tell(expected: ArrayLike) -> NDArray[np.bool_]:
    """Whether so many posts by chance suffice to tell."""
    return np.asarray(np.asarray(expected) >= _EXPECTED)


def exclude_each_other(together: ArrayLike, expected: ArrayLike) -> NDArray[np.bool_]:
    """Which pairs of tags do.

    Args:
        together: Posts that have both, of any shape.
        expected: Posts that would have both if the two had nothing to do with each other, likewise.
    """
    return can_tell(expected) & (np.asarray(together) < _RARER * np.asarray(expected))


def edlae(pairs: PairCounts, *, ridge: float, dropout: float = 0.0) -> NDArray[np.float32]:
    """Linear weights from each label to each other; Steck 2020, "Autoencoders that don't overfit towards
    the identity".

    With G the counts of pairs, each label's own count n on the diagonal, and P = (G + diag(n p / (1 - p)) + λ I)^-1,
    the weight of c for t is -P[c, t] / P[t, t]. Without dropout it is EASE (Steck 2019, "Embarrassingly shallow
    autoencoders for sparse data"). It is made in the memory of G, dense float32: 400 MB for 10,000 labels.

    Args:
        pairs: Counts over train posts.
        ridge: The penalty λ, in posts; above 0.
        dropout: The chance p that a visible label is dropped while the weights are learned; in [0, 1).

    Returns:
        float32 [labels, labels]; the diagonal is 0.

    Raises:
        numpy.linalg.LinAlgError: The penalty is too small for the matrix to be inverted in single precision.
    """
    if not len(pairs.labels):
        return np.empty((0, 0), dtype=np.float32)
    matrix = pairs.together.toarray()
    np.fill_diagonal(matrix, pairs.labels / (1 - dropout) + ridge)
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
    whole *= -1 / np.diagonal(whole)
    np.fill_diagonal(whole, 0)
    return whole
