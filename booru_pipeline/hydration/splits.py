"""The posts: shares of the train posts that arms learn from, and test posts that they are all asked about."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from booru_pipeline.dataset.build import DatasetSummary
from booru_pipeline.dataset.chance import mix
from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.dataset.posts import Posts, load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.figures.probing import auc
from booru_pipeline.evaluation.task import Question, hide, recovery_task
from booru_pipeline.hydration.arms import Words
from booru_pipeline.ragged import IntArray
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import implied_matrix
from booru_pipeline.vocabulary.vocabulary import Vocabulary

HIDDEN_SHARE: Final = 0.5
VALIDATION_POSTS: Final = 500  # for the payload's own figures, which the experiment does not use
_LEAST: Final = 2  # held-out labels, posts of a share, and labels of a post: one to see and one to hide
_SALT: Final = 0x48594452  # another order than that of anything else that hashes a post's key


def share_of(posts: Posts, share: float, seed: int) -> IntArray:
    """Positions of a share (up to 1) of the posts, ascending, chosen by hash of their keys and the seed.

    A smaller share is part of a larger one with the same seed.
    """
    order = np.argsort(mix(_SALT, seed, posts.keys), kind="stable")
    return np.sort(order[: round(share * len(posts))])


def write_subset(dataset: Path, words: Words, captions: CaptionOptions, share: float, folder: Path, seed: int) -> None:
    """Write a share of a tokenized dataset's train posts as a dataset for the training program.

    Raises:
        BooruError: The share is next to nothing.
    """
    datasets.disable_progress_bars()
    train, validation = (_learnable(dataset, split, words) for split in ("train", "validation"))
    chosen = share_of(train, share, seed)
    if len(chosen) < _LEAST:
        raise BooruError(
            f"{share:g} of {len(train):,} train posts is {len(chosen)}, too few to train on. Raise the smallest of "
            "the shares, or take a larger release."
        )
    first = np.arange(min(VALIDATION_POSTS, len(validation)))
    splits = {
        "train": _split(train, chosen),
        "validation": _split(validation, first),
        "test": _split(validation, first[:0]),
    }
    datasets.DatasetDict(splits).save_to_disk(str(folder))
    DatasetSummary(posts={name: len(split) for name, split in splits.items()}, captions=captions).write(folder)


def _learnable(dataset: Path, split: str, words: Words) -> Posts:
    """Posts of a split without held-out labels, those with less than two labels left out."""
    posts = words.learnable(words.renumber(load_posts(dataset, split, about=True)))
    return posts.take(np.flatnonzero(posts.sizes >= _LEAST))


def _split(posts: Posts, index: IntArray) -> datasets.Dataset:
    posts = posts.take(index)
    labels = pa.ListArray.from_arrays(posts.offsets.astype(np.int32), posts.rows.astype(np.int32))
    columns = {"release": posts.column("release"), "post_key": posts.keys, "label_rows": labels}
    schema = pa.schema({"release": pa.string(), "post_key": pa.int64(), "label_rows": labels.type})
    return datasets.Dataset(pa.table(columns, schema))


@dataclass(frozen=True)
class Questions:
    """The test posts that every arm is measured on.

    Attributes:
        recovery: Learned labels of test posts to recover, none of which Danbooru derives from those that are given.
        groups: The picture that each of its posts shows.
        whole: Test posts with all their labels, held-out ones included.
    """

    recovery: Question
    groups: list[str]
    whole: Posts


def pose(dataset: Path, words: Words, relations: Relations, *, limit: int, seed: int) -> Questions:
    """Draw test posts, `limit` at most, and hide half of their learned labels.

    Raises:
        BooruError: There is nothing to ask.
    """
    test = words.renumber(load_posts(dataset, "test", labels=len(words.source), about=True))
    task = recovery_task(words.learnable(test), words.training.labels, limit=limit, seed=seed)
    question = hide(task, HIDDEN_SHARE, implied_matrix(words.training, relations)).not_derivable()
    if not len(question):
        raise BooruError(
            f"no test post of {dataset} has a label to hide that the others do not imply, so nothing can be measured. "
            "Take a larger release."
        )
    return Questions(question, task.posts.take(question.posts).column("group_md5"), ranking_posts(test, limit))


def ranking_posts(test: Posts, limit: int) -> Posts:
    """The test posts on which held-out labels are ranked: the first ones, in the dataset's order, which is random."""
    return test.take(np.arange(min(limit, len(test))))


def choose_held_out(
    vocabulary: Vocabulary, test: Posts, *, share: float, min_positives: int, keep: Collection[str], seed: int
) -> list[int]:
    """Choose general labels by hash, one of each run of 1 / share labels that are about as frequent.

    Args:
        vocabulary: The labels.
        test: The posts that will rank them.
        share: Of the labels that can be held out.
        min_positives: Test posts that a label must have, and that must lack it.
        keep: Labels that are needed in training.
        seed: Of the choice.

    Returns:
        Vocabulary rows, ascending.

    Raises:
        BooruError: Too few labels are on enough test posts.
    """
    has = np.bincount(test.rows, minlength=len(vocabulary))
    able = (vocabulary.categories == Category.GENERAL) & (has >= min_positives) & (len(test) - has >= min_positives)
    rows = [row for row in vocabulary.by_posts.tolist() if able[row] and vocabulary.labels[row] not in keep]
    run = max(1, round(1 / share))

    def digest(row: int) -> bytes:
        return hashlib.blake2b(f"{seed}\t{vocabulary.labels[row]}".encode(), digest_size=16).digest()

    chosen = [min(rows[start : start + run], key=digest) for start in range(0, len(rows) - run + 1, run)]
    if len(chosen) < _LEAST:
        raise BooruError(
            f"only {len(rows)} general labels are on {min_positives} of {len(test)} test posts, too few to hold "
            f"{share:.0%} of them out. Take a larger release, or raise held_out_share or lower min_positives."
        )
    return sorted(chosen)


def held_out_auc(scores: NDArray[np.floating], posts: Posts, first: int) -> list[float]:
    """AUC of each held-out label: its score on posts that have it against posts that have not.

    Args:
        scores: [posts, held-out labels].
        posts: The posts with all their labels.
        first: Row of the first held-out label; they are the vocabulary's last labels.
    """
    has = np.zeros(scores.shape, dtype=bool)
    held = posts.rows >= first
    has[posts.owner[held], posts.rows[held] - first] = True
    return [auc(scores[:, column], has[:, column]) for column in range(scores.shape[1])]
