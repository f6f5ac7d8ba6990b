"""Tags that exclude each other, by counts of all posts."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.model.pairs import can_tell, exclude_each_other

_BLOCK: Final = 256  # rows of counts of all labels in memory at a time

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Exclusions:
    """Pairs of labels that exclude each other, those first that chance would bring together the most.

    Attributes:
        first: int64 [pairs], rows; the smaller one of each.
        second: int64 [pairs], rows.
        together: int64 [pairs], posts that have both.
        expected: float32 [pairs], posts that would have both by chance.
    """

    first: Rows
    second: Rows
    together: Rows
    expected: NDArray[np.float32]


def find_exclusions(counts: PostCounts) -> Exclusions:
    """All of them, by `exclude_each_other`."""
    # Of a pair, the more frequent label is on enough posts to be expected with itself, and few labels are.
    ranked = np.argsort(-counts.labels, kind="stable")
    posts, total = counts.labels[ranked], max(1, counts.total)
    found = []
    for start in range(0, int(can_tell(posts * (posts / total)).sum()), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(ranked)))
        columns = np.flatnonzero(can_tell(posts * (posts[start] / total)))
        together = counts.together[ranked[rows]].toarray()[:, ranked[columns]]
        expected = posts[rows, None] * (posts[columns] / total)
        row, column = np.nonzero(exclude_each_other(together, expected) & (rows[:, None] < columns))
        pair = np.sort(np.stack([ranked[rows[row]], ranked[columns[column]]]), axis=0)
        found.append((*pair, together[row, column], expected[row, column]))
    first, second, together, expected = (
        np.concatenate([np.empty(0), *(part[number] for part in found)]) for number in range(4)
    )
    order = np.lexsort((second, first, -expected))
    whole = [part[order].astype(np.int64) for part in (first, second, together)]
    return Exclusions(whole[0], whole[1], whole[2], expected[order].astype(np.float32))
