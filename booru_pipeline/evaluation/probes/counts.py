"""Counting labels on a split's posts, and choosing what is on enough of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

LEAST_SUPPORT: Final = 3
"""On fewer test posts nothing is probed, whatever the options."""
FEWEST: Final = 5
"""If fewer than this have the support that is asked for, the best supported are taken instead."""


@dataclass(frozen=True)
class Split:
    """A split's posts.

    Attributes:
        posts: Which post has which label, [posts, labels], 1 where it has (`posts.incidence`).
    """

    posts: sparse.csr_array

    @cached_property
    def support(self) -> NDArray[np.int64]:
        """[labels]: how many posts have each label."""
        return np.diff(self._columns.indptr).astype(np.int64)

    def showing(self, *labels: int) -> sparse.csr_array:
        """The posts that have all of these labels, [posts, labels]."""
        rows = [self._rows(label) for label in labels]
        common = rows[0]
        for other in rows[1:]:
            common = np.intersect1d(common, other, assume_unique=True)
        return self.posts[common]

    def counts(self, *labels: int) -> tuple[int, NDArray[np.int64]]:
        """How many posts have all of these labels, and [labels]: how many of them have each label too."""
        showing = self.showing(*labels)
        return showing.shape[0], np.bincount(showing.indices, minlength=showing.shape[1]).astype(np.int64)

    @cached_property
    def _columns(self) -> sparse.csc_array:
        return self.posts.tocsc()

    def _rows(self, label: int) -> NDArray[np.int64]:
        rows: NDArray[np.int64] = self._columns.indices[self._columns.indptr[label] : self._columns.indptr[label + 1]]
        return rows


@dataclass(frozen=True)
class Supported:
    """How well what was probed is supported.

    Attributes:
        min_support: Test posts that were asked for.
        eligible: Candidates on so many test posts.
        supported: Whether all that were probed are. If not, too few were eligible, and the best supported were probed.
    """

    min_support: int
    eligible: int
    supported: bool


def choose(supports: Sequence[int], *, least: int, limit: int) -> tuple[list[int], bool]:
    """The positions of the best supported, the best first.

    Args:
        supports: Test posts of each candidate.
        least: The support asked for.
        limit: How many at most.

    Returns:
        The positions, ties in the candidates' order, and whether all have the support asked for. If fewer than FEWEST
        candidates have, others with LEAST_SUPPORT or more are taken as well.
    """
    order: list[int] = np.argsort(-np.asarray(supports, dtype=np.int64), kind="stable").tolist()
    enough = [place for place in order if supports[place] >= least]
    if len(enough) >= FEWEST:
        return enough[:limit], True
    chosen = [place for place in order if supports[place] >= LEAST_SUPPORT][:limit]
    return chosen, all(supports[place] >= least for place in chosen)
