"""What every arm is asked: the same posts, the same labels hidden, the same labels held out."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.dataset.posts import Posts, load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.figures.probing import auc
from booru_pipeline.evaluation.task import Question, hide, implied_matrix, recovery_task
from booru_pipeline.hydration.words import Words
from booru_pipeline.ragged import IntArray
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary

HIDDEN_SHARE: Final = 0.5


@dataclass(frozen=True)
class Questions:
    """What every arm is asked.

    Attributes:
        recovery: Learned labels of test posts to recover, none of which Danbooru derives from those that are given.
        groups: The picture that each of its posts shows.
        whole: Test posts with all their labels, held-out ones included.
    """

    recovery: Question
    groups: list[str]
    whole: Posts


def pose(dataset: Path, words: Words, relations: Relations, *, limit: int, seed: int) -> Questions:
    """Hide half of the learned labels of test posts.

    Args:
        dataset: The release's tokenized dataset.
        words: The labels.
        relations: What Danbooru derives.
        limit: Posts at most.
        seed: Of which posts, and of what is hidden.

    Raises:
        BooruError: There is nothing to ask.
    """
    vocabulary = words.training
    test = words.renumber(load_posts(dataset, "test", labels=len(words.source), about=True))
    task = recovery_task(without(test, words.learned), vocabulary.labels, limit=limit, seed=seed)
    question = hide(task, HIDDEN_SHARE, implied_matrix(vocabulary, relations)).not_derivable()
    if not len(question):
        raise BooruError(
            f"no test post of {dataset} has a label to hide that the others do not imply, so nothing can be measured. "
            "Take a larger release."
        )
    whole = ranking_posts(test, limit)
    return Questions(question, task.posts.take(question.posts).column("group_md5"), whole)


def ranking_posts(test: Posts, limit: int) -> Posts:
    """The test posts on which held-out labels are ranked: the first ones, in the dataset's order, which is random."""
    return test.take(np.arange(min(limit, len(test))))


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
