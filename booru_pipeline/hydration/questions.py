"""What every arm is asked: the same posts, the same labels hidden, the same labels held out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from booru_pipeline.corpus.relations import Relations
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.derivable import implied_matrix
from booru_pipeline.evaluation.posts import read_posts
from booru_pipeline.evaluation.task import Question, hide, recovery_task
from booru_pipeline.hydration.words import Words
from booru_pipeline.labels.posts import Posts, load_posts
from booru_pipeline.labels.splits import open_splits

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
    test = read_posts(open_splits(dataset), "test", labels=len(words.source))
    row = words.rows
    learned = [np.sort(row[own][row[own] < words.learned]) for own in test.labels]
    task = recovery_task(replace(test, labels=learned), vocabulary.labels, limit=limit, seed=seed)
    question = hide(task, HIDDEN_SHARE, implied_matrix(vocabulary, relations)).not_derivable()
    if not len(question):
        raise BooruError(
            f"no test post of {dataset} has a label to hide that the others do not imply, so nothing can be measured. "
            "Take a larger release."
        )
    whole = words.renumber(ranking_posts(load_posts(dataset, "test"), limit))
    return Questions(question, [task.group[post] for post in question.posts.tolist()], whole)


def ranking_posts(test: Posts, limit: int) -> Posts:
    """The test posts on which held-out labels are ranked: the first ones, in the dataset's order, which is random."""
    return test.take(np.arange(min(limit, len(test))))
