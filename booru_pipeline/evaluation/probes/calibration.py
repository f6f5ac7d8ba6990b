"""Whether probabilities come true, by how many labels are visible."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.dataset.chance import uniform
from booru_pipeline.evaluation.figures.reliability import Reliability, reliability
from booru_pipeline.evaluation.finding import Count, Finding, definitions
from booru_pipeline.evaluation.probes.counts import Exam, Split
from booru_pipeline.evaluation.scorer import Model
from booru_pipeline.model.ranking import best_of
from booru_pipeline.progress import side_by_side
from booru_pipeline.vocabulary.implied import close

_AT_ONCE: Final = 64
"""Posts; bounds the probabilities: those of 64 posts and 100,000 labels are 50 MB."""

_ROUNDS: Final = 4
"""Sets of so many labels at most that are drawn of one post."""

Rows = NDArray[np.int64]


class Bucket(NamedTuple):
    """Numbers of visible labels that are looked at together, from `least` to `most`."""

    name: str
    least: int
    most: int


BUCKETS: Final = (Bucket("1", 1, 1), Bucket("2 to 3", 2, 3), Bucket("4 to 8", 4, 8), Bucket("9 and more", 9, 24))


class VisibleCalibration(Finding):
    """How probabilities come true where so many labels are visible."""

    visible: str = Field(description="How many labels are visible, in words.")
    least: Count = Field(description="The smallest number of visible labels.")
    most: Count = Field(description="The largest; each number between the two is asked as often.")
    questions: Count = Field(
        description="Sets of visible labels asked about. Exactly so many labels of a test post are visible, however "
        "many it has: of posts with at least one more, it goes by hash which posts and which labels. With one label "
        "visible each pair of a post and one of its labels is as likely to be drawn, so that the posts that show a "
        f"label are all alike; with more, each post, and up to {_ROUNDS} times if there are few. The visible labels "
        "are closed under Danbooru's implications; right is every other label of the post."
    )
    model: Reliability = Field(description="Of the model's first `top` guesses for each set.")
    t5: Reliability | None = Field(
        description="Of the first `top` guesses of the T5 alone; null if counting takes no part in the model's answer."
    )


@dataclass(frozen=True)
class Questions:
    """Sets of visible labels.

    Attributes:
        given: For each the visible label rows, closed, ascending.
        hidden: For each the post's other label rows, none of them given; possibly none.
    """

    given: list[Rows]
    hidden: list[Rows]


def probe_calibration(exam: Exam) -> list[VisibleCalibration]:
    """Ask with each number of labels visible, and see what comes true; numbers too large for every post are out."""
    keys = _label_keys(exam.vocabulary.labels)
    found = []
    for bucket in BUCKETS:
        questions = draw(exam, bucket, keys)
        if not questions.given:
            continue
        models = [exam.model] if exam.t5 is None else [exam.model, exam.t5]
        told = side_by_side(partial(reliability_of, questions=questions, top=exam.options.top), models)
        found.append(
            VisibleCalibration(
                visible=bucket.name,
                least=bucket.least,
                most=bucket.most,
                questions=len(questions.given),
                model=told[0],
                t5=None if exam.t5 is None else told[1],
            )
        )
    return found


def draw(exam: Exam, bucket: Bucket, label_keys: Rows | None = None) -> Questions:
    """Draw the questions of a bucket: `exam.questions` at most, as many of each number of visible labels.

    Args:
        exam: Its test posts are drawn from.
        bucket: The numbers.
        label_keys: int64 [labels], what a label is known by to chance; from the labels' names if None.
    """
    keys = _label_keys(exam.vocabulary.labels) if label_keys is None else label_keys
    numbers = range(bucket.least, bucket.most + 1)
    visible: list[Rows] = []
    others: list[Rows] = []
    for place, number in enumerate(numbers):
        quota = exam.questions * (place + 1) // len(numbers) - exam.questions * place // len(numbers)
        for post, chosen in _drawn(exam.test, number, quota, exam.options.seed, keys):
            visible.append(np.sort(chosen))
            others.append(post)
    given = close(visible, exam.implied)
    return Questions(given, [np.setdiff1d(post, known) for post, known in zip(others, given, strict=True)])


def _drawn(test: Split, number: int, quota: int, seed: int, label_keys: Rows) -> list[tuple[Rows, Rows]]:
    """For each question the post's label rows, and those of them that are visible."""
    rows, starts = test.posts.indices.astype(np.int64), test.posts.indptr
    sizes = np.diff(starts)
    if number == 1:  # pairs of post and label
        owner = np.repeat(np.arange(len(sizes)), sizes)
        chance = np.where(sizes[owner] > 1, uniform(seed, 1, test.keys[owner], label_keys[rows]), np.inf)
        pairs = np.argsort(chance, kind="stable")[: min(quota, np.count_nonzero(np.isfinite(chance)))]
        return [(rows[starts[owner[pair]] : starts[owner[pair] + 1]], rows[[pair]]) for pair in pairs.tolist()]
    large = np.flatnonzero(sizes > number)
    in_turn = large[np.argsort(uniform(seed, number, test.keys[large]), kind="stable")]
    questions = []
    for place, post in enumerate(np.tile(in_turn, _ROUNDS)[:quota].tolist()):
        labels = rows[starts[post] : starts[post + 1]]
        turn = place // len(in_turn)
        order = np.argsort(uniform(seed, number, turn, test.keys[post], label_keys[labels]), kind="stable")
        questions.append((labels, labels[order[:number]]))
    return questions


def reliability_of(model: Model, questions: Questions, top: int) -> Reliability:
    """How the probabilities of a model's first guesses come true, see `reliability`.

    Args:
        model: Is asked `questions.given`, some at a time.
        questions: At least one.
        top: Guesses of each question.
    """
    probability: list[NDArray[np.floating]] = []
    right: list[NDArray[np.bool_]] = []
    for start in range(0, len(questions.given), _AT_ONCE):
        given = questions.given[start : start + _AT_ONCE]
        chances = model.probabilities([rows.tolist() for rows in given])
        guesses = best_of(_open(chances, given), top)
        for chance, best, hidden in zip(chances, guesses, questions.hidden[start : start + _AT_ONCE], strict=True):
            probability.append(chance[best])
            right.append(np.isin(best, hidden))
    return reliability(np.concatenate(probability), np.concatenate(right))


def first(chance: NDArray[np.floating], known: Sequence[int] | Rows, top: int) -> Rows:
    """The `top` most probable labels but the known ones, the most probable first; ties in vocabulary order."""
    return best_of(_open(chance[None], [np.asarray(known, dtype=np.int64)]), top)[0]


def _open(chances: NDArray[np.floating], known: Sequence[Rows]) -> NDArray[np.floating]:
    """The chances of labels that may be guessed, [contexts, labels]; -inf for each context's known ones."""
    open_to_guess = chances.copy()
    for row, labels in zip(open_to_guess, known, strict=True):
        row[labels] = -np.inf
    return open_to_guess


def _label_keys(labels: Sequence[str]) -> Rows:
    """By name, so that a label's place in the vocabulary does not change what is drawn."""
    digests = (hashlib.blake2b(label.encode(), digest_size=8).digest() for label in labels)
    return np.array([int.from_bytes(digest, "little") >> 1 for digest in digests], dtype=np.int64)


DEFINITIONS: Final = definitions(VisibleCalibration, calibration_by_visible_labels="questions")
