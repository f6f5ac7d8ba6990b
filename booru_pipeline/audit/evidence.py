"""Why: the tags of a post that speak most for a label that it lacks, or against one that it has."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.audit.tables import EVIDENCE
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.model.pairs import wilson_bounds
from booru_pipeline.ragged import gather, offsets_of, places

SHOWN: Final = 3
_FEWER: Final = 1.0  # deviations: less is no word against a tag
_AT_ONCE: Final = 100_000  # findings whose evidence is in memory at a time

Rows = NDArray[np.int64]


def speaks_for(
    posts: Posts, at: Rows, labels: Rows, counts: PostCounts, names: pa.Array, implied: sparse.csr_array
) -> pa.ChunkedArray:
    """The tags that speak for labels: those that imply it, then those whose share of posts with it is surely highest,
    by Wilson's lower bound, and higher than elsewhere.

    Args:
        posts: All posts.
        at: int64 [findings], position of the post of each.
        labels: int64 [findings], the labels that it lacks.
        counts: What is counted.
        names: The labels' names by row.
        implied: The known implications.

    Returns:
        A list a finding, see `tables.EVIDENCE`.
    """

    def strength(tag: Rows, label: Rows, together: Rows) -> NDArray[np.float64]:
        low, _ = wilson_bounds(together, np.maximum(counts.labels[tag], 1))
        certain = np.zeros(len(tag), dtype=bool)
        if implied.nnz:
            certain = np.asarray(implied[tag, label]).ravel() > 0
        return np.where(certain, 1 + low, np.where(low > counts.share[label], low, -np.inf))

    return _evidence(posts, at, labels, counts, names, strength)


def speaks_against(posts: Posts, at: Rows, labels: Rows, counts: PostCounts, names: pa.Array) -> pa.ChunkedArray:
    """The tags that speak against labels of their posts: those that are the most seldom with it, beside chance.

    For the arguments see `speaks_for`.
    """

    def strength(tag: Rows, label: Rows, together: Rows) -> NDArray[np.float64]:
        expected = counts.labels[tag] * counts.share[label]
        # As many deviations below what chance gives as a Poisson count of it has.
        fewer = (expected - together) / np.sqrt(np.maximum(expected, 1e-9))
        return np.where((fewer >= _FEWER) & (tag != label), fewer, -np.inf)

    return _evidence(posts, at, labels, counts, names, strength)


Strength = Callable[[Rows, Rows, Rows], NDArray[np.float64]]
"""How strongly a tag of a post speaks, given the tags, the labels and the posts that have both; -inf if not at all."""


def _evidence(
    posts: Posts, at: Rows, labels: Rows, counts: PostCounts, names: pa.Array, strength: Strength
) -> pa.ChunkedArray:
    parts = [
        _some(posts, at[start : start + _AT_ONCE], labels[start : start + _AT_ONCE], counts, names, strength)
        for start in range(0, len(at), _AT_ONCE)
    ]
    return pa.chunked_array(parts, EVIDENCE)


def _some(posts: Posts, at: Rows, labels: Rows, counts: PostCounts, names: pa.Array, strength: Strength) -> pa.Array:
    tag, ends = gather(posts.rows, posts.offsets, at)
    finding = np.repeat(np.arange(len(at)), np.diff(ends))
    together = counts.both(tag, labels[finding])
    strong = strength(tag, labels[finding], together)
    order = np.lexsort((tag, -strong, finding))
    order = order[(places(ends) < SHOWN) & np.isfinite(strong[order])]  # findings are in order, so places hold
    tag, label = tag[order], labels[finding[order]]
    structs = pa.StructArray.from_arrays(
        [
            names.take(pa.array(tag)),
            pa.array(together[order], pa.int64()),
            pa.array(counts.labels[tag], pa.int64()),
            pa.array((counts.labels[tag] * counts.share[label]).astype(np.float32), pa.float32()),
        ],
        fields=list(EVIDENCE.value_type),
    )
    sizes = np.bincount(finding[order], minlength=len(at))
    return pa.ListArray.from_arrays(pa.array(offsets_of(sizes), pa.int32()), structs)
