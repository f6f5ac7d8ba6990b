"""Masked-label recovery: hide some labels of a held-out post, keep the rest visible, ask for the hidden ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.vocabulary.implied import close

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class RecoveryTask:
    """Test posts in hash order, each with the order in which its labels are hidden.

    Attributes:
        posts: The posts.
        order: For each post its label rows, two or more, the one that is hidden first first.
        available: Posts of the split with two labels or more, from which the task's were drawn.
        too_short: Posts of the split with fewer labels, which have nothing to hide.
    """

    posts: Posts
    order: list[Rows]
    available: int
    too_short: int

    def __len__(self) -> int:
        return len(self.posts)


@dataclass(frozen=True)
class Question:
    """A question to a scorer: labels to recover, given others.

    Attributes:
        posts: int64, ascending: which posts of the task are asked about.
        given: For each of them the label rows that the scorer sees, ascending, at least one.
        asked: For each of them the label rows to recover, ascending, at least one; none of them is given.
    """

    posts: Rows
    given: list[Rows]
    asked: list[Rows]

    def __len__(self) -> int:
        return len(self.posts)


@dataclass(frozen=True)
class Hidden:
    """A task's posts with a share of their labels hidden.

    Attributes:
        share: The share that was asked for.
        visible: For each post the label rows left, at least one, ascending.
        hidden: For each post the others, at least one, ascending.
        closed: The visible ones with all that they imply: what Danbooru makes of the post as soon as it is saved.
    """

    share: float
    visible: list[Rows]
    hidden: list[Rows]
    closed: list[Rows]

    @property
    def derivable(self) -> list[Rows]:
        """For each post the hidden labels that the visible ones imply, ascending; often none."""
        pairs = zip(self.hidden, self.closed, strict=True)
        return [np.intersect1d(hidden, closed, assume_unique=True) for hidden, closed in pairs]

    def all_labels(self) -> Question:
        """All hidden labels, given the visible ones."""
        return Question(np.arange(len(self.hidden)), self.visible, self.hidden)

    def not_derivable(self) -> Question:
        """The hidden labels that no implication gives away, given the closed visible ones; posts with none are out."""
        pairs = zip(self.hidden, self.closed, strict=True)
        asked = [np.setdiff1d(hidden, closed, assume_unique=True) for hidden, closed in pairs]
        posts = np.array([post for post, labels in enumerate(asked) if len(labels)], dtype=np.int64)
        return Question(posts, [self.closed[post] for post in posts], [asked[post] for post in posts])


def recovery_task(posts: Posts, labels: Sequence[str], *, limit: int, seed: int) -> RecoveryTask:
    """Draw the posts, and the order in which each one's labels are hidden.

    Both go by hash of the seed, the post's key and, for labels, the label's name: neither the order of rows nor the
    vocabulary's, nor which other posts are there, changes what is asked of a post.

    Args:
        posts: The split.
        labels: The vocabulary's labels by row.
        limit: Posts at most.
        seed: Another seed, another draw.
    """
    names = [f"{seed}\t{booru}\t{fid}" for booru, fid in zip(posts.column("booru"), posts.column("fid"), strict=True)]
    long_enough = np.flatnonzero(posts.sizes >= 2).tolist()
    drawn = sorted(long_enough, key=lambda row: _digest(names[row]))[:limit]
    chosen = posts.take(drawn)
    order = []
    for row, label_rows in zip(drawn, chosen.labels, strict=True):
        by_digest = {_digest(f"{names[row]}\t{labels[label]}"): label for label in label_rows.tolist()}
        order.append(np.array([by_digest[digest] for digest in sorted(by_digest)], dtype=np.int64))
    return RecoveryTask(chosen, order, available=len(long_enough), too_short=len(posts) - len(long_enough))


def hide(task: RecoveryTask, share: float, implied: sparse.csr_array) -> Hidden:
    """Hide a share of each post's labels, rounded, at least one and never all. What a smaller share hides, a larger
    one hides too. For `implied` see `implied_matrix`.
    """
    counts = [min(max(1, round(share * len(labels))), len(labels) - 1) for labels in task.order]
    visible = [np.sort(labels[count:]) for labels, count in zip(task.order, counts, strict=True)]
    return Hidden(
        share=share,
        visible=visible,
        hidden=[np.sort(labels[:count]) for labels, count in zip(task.order, counts, strict=True)],
        closed=close(visible, implied),
    )


def tuning_pairs(
    task: RecoveryTask, shares: Sequence[float], implied: sparse.csr_array
) -> dict[float, list[tuple[Rows, Rows]]]:
    """Pairs on which a baseline's settings are chosen: by hidden share the headline's question about all of the posts.

    Returns:
        For each post with a label that is not derivable, the closed visible labels and the hidden ones not derivable.
    """
    questions = {share: hide(task, share, implied).not_derivable() for share in shares}
    return {share: list(zip(question.given, question.asked, strict=True)) for share, question in questions.items()}


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
