"""Labels that no arm ever sees, and test posts that tell whether their text is enough."""

import hashlib
from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.category import Category
from booru_pipeline.errors import BooruError
from booru_pipeline.hydration.auc import auc
from booru_pipeline.labels.posts import IntArray, Posts
from booru_pipeline.labels.vocabulary import Vocabulary

_LEAST: Final = 2


def choose_held_out(
    vocabulary: Vocabulary, test: Posts, *, share: float, min_positives: int, keep: Collection[str], seed: int
) -> list[int]:
    """Choose general labels by hash, one of each run of 1 / share labels that are about as frequent.

    Args:
        vocabulary: The labels, the most frequent first.
        test: The posts that will rank them.
        share: Of the labels that can be held out.
        min_positives: Test posts that a label must have, and that must lack it.
        keep: Labels that are needed in training.
        seed: Another seed, another choice.

    Returns:
        Vocabulary rows, ascending.

    Raises:
        BooruError: Too few labels are on enough test posts.
    """
    has = np.bincount(test.rows, minlength=len(vocabulary))
    able = (vocabulary.categories == Category.GENERAL) & (has >= min_positives) & (len(test) - has >= min_positives)
    rows = [row for row in np.flatnonzero(able).tolist() if vocabulary.labels[row] not in keep]
    run = max(1, round(1 / share))
    chosen = [
        min(rows[start : start + run], key=lambda row: _digest(vocabulary.labels[row], seed))
        for start in range(0, len(rows) - run + 1, run)
    ]
    if len(chosen) < _LEAST:
        raise BooruError(
            f"only {len(rows)} general labels are on {min_positives} of {len(test)} test posts, too few to hold "
            f"{share:.0%} of them out. Take a larger release, or raise held_out_share or lower min_positives."
        )
    return sorted(chosen)


def _digest(label: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\t{label}".encode(), digest_size=16).digest()


def held_out_auc(scores: NDArray[np.floating], posts: Posts, first: int) -> list[float]:
    """How well each held-out label's score tells posts that have it from posts that have not.

    Args:
        scores: [posts, held-out labels].
        posts: The posts with all their labels.
        first: Row of the first held-out label; they are the vocabulary's last labels.
    """
    has = np.zeros(scores.shape, dtype=bool)
    held = posts.rows >= first
    has[posts.owner[held], posts.rows[held] - first] = True
    return [auc(scores[:, column], has[:, column]) for column in range(scores.shape[1])]


def without(posts: Posts, first: int) -> Posts:
    """The posts without labels from a row on."""
    return posts.keep(posts.rows < first)


def long_enough(posts: Posts) -> IntArray:
    """Positions of posts with two labels or more: one to see and one to hide."""
    return np.flatnonzero(posts.sizes >= _LEAST)
