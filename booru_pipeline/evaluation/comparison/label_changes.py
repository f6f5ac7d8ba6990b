"""Which labels the model finds more often than its parent did, and which less often."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import binom, false_discovery_control

from booru_pipeline.evaluation.figures.ranks import Ranks
from booru_pipeline.evaluation.finding import AtShare, Count, Finding, Share
from booru_pipeline.evaluation.options import HEADLINE_K

Ints = NDArray[np.int64]


class LabelChange(Finding):
    """One label."""

    label: str
    posts: Count = Field(description="Posts that hide it.")
    found_before: Count = Field(description="On how many of them it was among the parent's first ten guesses.")
    found_now: Count = Field(description="On how many it is among the model's.")
    gained: Count = Field(description="On how many it is now and was not before.")
    lost: Count = Field(description="On how many it was and is no longer.")
    q: Share = Field(
        description="McNemar's exact p of these two, corrected over all labels with support (Benjamini and Hochberg "
        "1995)."
    )

    @property
    def difference(self) -> float:
        """In recall@10 of this label alone."""
        return (self.found_now - self.found_before) / self.posts


class LabelChanges(AtShare):
    """Labels that got better and labels that got worse."""

    labels: Count = Field(description="Labels with support that both checkpoints have.")
    support: Count = Field(description="Posts that hide a label, at least.")
    significant: Count = Field(description="Labels of q below 0.05.")
    better: list[LabelChange] = Field(description="The largest gains, the largest first.")
    worse: list[LabelChange] = Field(description="The largest losses, the largest first.")


def label_changes(
    share: float,
    now: Ranks,
    before: Ranks,
    known: NDArray[np.bool_],
    labels: Sequence[str],
    *,
    support: int,
    shown: int,
) -> LabelChanges:
    """Compare two checkpoints label by label, on the same posts.

    A label counts as found if at most nine labels that are not hidden rank ahead of it.

    Args:
        share: The hidden share.
        now: The model's ranks.
        before: The parent's, of the same hidden labels.
        known: [labels]: which labels the parent has; the others are new, not better.
        labels: Their names by row.
        support: Posts that must hide a label.
        shown: Labels listed at most, of each kind.
    """
    label, found_now = _found(now)
    _, found_before = _found(before)
    posts = np.bincount(label, minlength=len(labels))
    gained = np.bincount(label[found_now & ~found_before], minlength=len(labels))
    lost = np.bincount(label[found_before & ~found_now], minlength=len(labels))
    both = np.bincount(label[found_before & found_now], minlength=len(labels))
    rows = np.flatnonzero((posts >= support) & known)
    discordant, fewer = (gained + lost)[rows], np.minimum(gained, lost)[rows]
    p = np.minimum(1.0, 2 * binom.cdf(fewer, discordant, 0.5))
    q = false_discovery_control(p, method="bh") if len(rows) else p
    net = (gained - lost)[rows]
    difference = net / posts[rows]
    changes = [
        LabelChange(
            label=labels[row],
            posts=int(posts[row]),
            found_before=int(both[row] + lost[row]),
            found_now=int(both[row] + gained[row]),
            gained=int(gained[row]),
            lost=int(lost[row]),
            q=float(corrected),
        )
        for row, corrected in zip(rows.tolist(), q.tolist(), strict=True)
    ]
    best_first = np.lexsort((-net, -difference))
    worst_first = np.lexsort((net, difference))
    return LabelChanges(
        hidden_share=share,
        labels=len(rows),
        support=support,
        significant=int((q < 0.05).sum()),
        better=[changes[place] for place in best_first[:shown] if net[place] > 0],
        worse=[changes[place] for place in worst_first[:shown] if net[place] < 0],
    )


def _found(ranks: Ranks) -> tuple[Ints, NDArray[np.bool_]]:
    """Label, and whether it is found, in the order of posts and labels, which is that of no method."""
    order = np.lexsort((ranks.label, ranks.post))
    alone = ranks.rank - ranks.place + 1
    return ranks.label[order], (alone <= HEADLINE_K)[order]
