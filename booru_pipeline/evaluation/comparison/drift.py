"""Drift: labels that have become more frequent, or rarer, since the parent was trained."""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import chi2, false_discovery_control

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.evaluation.finding import Count, Finding, Share

SIGNIFICANT: Final = 0.05
_EXPECTED: Final = 5  # in each cell, by Cochran's rule, or the chi-squared distribution does not hold

Ints = NDArray[np.int64]


class LabelDrift(Finding):
    """One label."""

    label: str
    pictures_before: Count = Field(description="Pictures of the earlier releases that have it.")
    pictures_now: Count = Field(description="Pictures of the new ones that have it.")
    share_before: Share = Field(description="The former as a share of the earlier releases' pictures.")
    share_now: Share = Field(description="The latter as a share of the new ones'.")
    q: Share = Field(
        description="p of the chi-squared test, corrected over all labels tested (Benjamini and Hochberg 1995)."
    )


class Drift(Finding):
    """How label frequencies have moved."""

    pictures_before: Count = Field(description="Pictures of the earlier releases.")
    pictures_now: Count = Field(description="Pictures of the new ones.")
    tested: Count = Field(description="Labels that are frequent enough to test.")
    significant: Count = Field(description=f"Those of them with q below {SIGNIFICANT}.")
    risen: list[LabelDrift] = Field(description="Of these the ones whose share of pictures rose most, in points.")
    fallen: list[LabelDrift] = Field(description="And fell most.")


def drift(splits: Sequence[Posts], before: Collection[str], labels: Sequence[str], *, shown: int) -> Drift | None:
    """Compare label frequencies of releases: Pearson's chi-squared test of each label, without continuity correction.

    Posts that show one picture count as one, with the labels of all, since they are not independent.

    Args:
        splits: All posts.
        before: The earlier releases; all others are new.
        labels: The vocabulary's labels by row.
        shown: Labels listed at most, of each kind.

    Returns:
        None if all posts are of the one kind or of the other.
    """
    (pictures_before, had), (pictures_now, have) = (
        _count(splits, before, len(labels), inside=inside) for inside in (True, False)
    )
    if not pictures_before or not pictures_now:
        return None
    pictures, total = pictures_before + pictures_now, had + have
    scarcer = min(pictures_before, pictures_now) / pictures
    rows = np.flatnonzero(np.minimum(total, pictures - total) * scarcer >= _EXPECTED)
    a, b, both = had[rows].astype(np.float64), have[rows].astype(np.float64), total[rows].astype(np.float64)
    determinant = a * (pictures_now - b) - b * (pictures_before - a)
    statistic = pictures * determinant**2 / (both * (pictures - both) * pictures_before * float(pictures_now))
    p = chi2.sf(statistic, 1)
    q = false_discovery_control(p, method="bh") if len(rows) else p
    change = b / pictures_now - a / pictures_before
    order = np.argsort(-change, kind="stable")
    moved = [place for place in order.tolist() if q[place] < SIGNIFICANT]
    found = {
        place: LabelDrift(
            label=labels[rows[place]],
            pictures_before=int(a[place]),
            pictures_now=int(b[place]),
            share_before=float(a[place] / pictures_before),
            share_now=float(b[place] / pictures_now),
            q=float(q[place]),
        )
        for place in moved
    }
    return Drift(
        pictures_before=pictures_before,
        pictures_now=pictures_now,
        tested=len(rows),
        significant=len(moved),
        risen=[found[place] for place in moved if change[place] > 0][:shown],
        fallen=[found[place] for place in reversed(moved) if change[place] < 0][:shown],
    )


def _count(splits: Sequence[Posts], releases: Collection[str], labels: int, *, inside: bool) -> tuple[int, Ints]:
    """Pictures of some releases or of the others, and how many of them have each label."""
    chosen = [
        posts.take(np.flatnonzero(np.isin(posts.column("release"), sorted(releases)) == inside)) for posts in splits
    ]
    names, picture = np.unique([group for posts in chosen for group in posts.column("group_md5")], return_inverse=True)
    if not len(names):
        return 0, np.zeros(labels, dtype=np.int64)
    rows = np.concatenate([posts.rows for posts in chosen])
    sizes = np.concatenate([posts.sizes for posts in chosen])
    pairs = np.repeat(picture, sizes) * labels + rows
    return len(names), np.bincount(np.unique(pairs) % labels, minlength=labels)
