"""Masked-label recovery: hide some labels of a held-out post, keep the rest visible, ask for the hidden ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.posts import Posts


@dataclass(frozen=True)
class RecoveryTask:
    """Test posts with their labels parted in two, in hash order.

    Attributes:
        booru: Site of each post.
        fid: The post's id there, int64.
        group: The picture that the post shows.
        visible: For each post the label rows that are given, at least one, ascending.
        hidden: For each post the label rows to recover, at least one, ascending.
        available: Posts of the split with two labels or more, from which the task's were drawn.
        too_short: Posts of the split with fewer labels, which have nothing to hide.
    """

    booru: list[str]
    fid: NDArray[np.int64]
    group: list[str]
    visible: list[NDArray[np.int64]]
    hidden: list[NDArray[np.int64]]
    available: int
    too_short: int

    def __len__(self) -> int:
        return len(self.booru)


def recovery_task(posts: Posts, labels: Sequence[str], *, limit: int, hidden_share: float, seed: int) -> RecoveryTask:
    """Draw the posts, and hide whole labels of each.

    Both choices go by hash of the seed, the post's key and, for labels, the label's name: neither the order of rows
    nor the vocabulary's, nor which other posts are there, changes what is asked of a post.

    Args:
        posts: The test split.
        labels: The vocabulary's labels by row.
        limit: Posts at most.
        hidden_share: Share of a post's labels to hide, rounded, at least one and never all.
        seed: Another seed, another draw.
    """
    long_enough = [row for row, own in enumerate(posts.labels) if len(own) >= 2]
    keys = {row: f"{seed}\t{posts.booru[row]}\t{posts.fid[row]}" for row in long_enough}
    drawn = sorted(long_enough, key=lambda row: _digest(keys[row]))[:limit]
    visible, hidden = [], []
    for row in drawn:
        order = {_digest(f"{keys[row]}\t{labels[label]}"): label for label in posts.labels[row].tolist()}
        own = [order[digest] for digest in sorted(order)]
        count = min(max(1, round(hidden_share * len(own))), len(own) - 1)
        hidden.append(np.sort(np.array(own[:count], dtype=np.int64)))
        visible.append(np.sort(np.array(own[count:], dtype=np.int64)))
    return RecoveryTask(
        booru=[posts.booru[row] for row in drawn],
        fid=posts.fid[drawn] if drawn else np.empty(0, dtype=np.int64),
        group=[posts.group[row] for row in drawn],
        visible=visible,
        hidden=hidden,
        available=len(long_enough),
        too_short=len(posts) - len(long_enough),
    )


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
