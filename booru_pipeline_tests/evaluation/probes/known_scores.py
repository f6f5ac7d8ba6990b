"""Hand-made posts, and scorers whose figures are known beforehand."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.counts import Exam, Split
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary


def vocabulary_of(*labels: str, characters=(), copyrights=()) -> Vocabulary:
    def category(label):
        if label in characters:
            return Category.CHARACTER
        return Category.COPYRIGHT if label in copyrights else Category.GENERAL

    categories = pa.array([int(category(label)) for label in labels], pa.int8())
    return Vocabulary(Path("none"), pa.table({"label": pa.array(labels), "category": categories}))


def relations_of(implications=None, aliases=None) -> Relations:
    implied = {tag: frozenset(tags) for tag, tags in (implications or {}).items()}
    return Relations(aliases or {}, implied, "a test")


def split_of(vocabulary, *posts) -> Split:
    """Posts as sets of labels; (number, labels) stands for so many alike."""
    rows = []
    for post in posts:
        number, labels = post if isinstance(post, tuple) else (1, post)
        rows += [sorted(vocabulary.index[label] for label in labels.split())] * number
    return Split(incidence(rows, len(vocabulary)))


def exam_of(methods, known, train, test, *, relations=None, options=None, **others) -> Exam:
    """The first method is the model."""
    model = next(iter(methods.values()))
    return Exam(methods, model, known, train, test, relations or relations_of(), options or ProbeOptions(), **others)


def hide(scores, contexts):
    for row, context in zip(scores, contexts, strict=True):
        row[list(context)] = -np.inf
    return scores


class Oracle:
    """Has seen the posts that it is asked about."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def probabilities(self, contexts, batch_size=256):
        return np.maximum(self.scores(contexts), 0)

    def scores(self, contexts, batch_size=256):
        shares = [counts / max(1, posts) for posts, counts in (self.split.counts(*context) for context in contexts)]
        return hide(np.array(shares, dtype=np.float32), contexts)


class Reversed(Oracle):
    """Says the opposite."""

    def scores(self, contexts, batch_size=256):
        return hide(-np.abs(super().scores(contexts)), contexts)


class Forgetful(Oracle):
    """Looks at the first label only."""

    def scores(self, contexts, batch_size=256):
        return hide(super().scores([context[:1] for context in contexts]), contexts)

    def probabilities(self, contexts, batch_size=256):
        return np.maximum(self.scores(contexts), 0)


class Constant:
    """Knows nothing."""

    def __init__(self, labels: int) -> None:
        self.labels = labels

    def scores(self, contexts, batch_size=256):
        return hide(np.full((len(contexts), self.labels), 0.5, dtype=np.float32), contexts)


class Asked:
    """A scorer that keeps what it was asked."""

    def __init__(self, scorer) -> None:
        self.scorer = scorer
        self.contexts = []

    def scores(self, contexts, batch_size=256):
        self.contexts += [tuple(context) for context in contexts]
        return self.scorer.scores(contexts)
