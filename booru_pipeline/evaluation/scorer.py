"""The interface that the model and every baseline have: scores of all labels, given some."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Contexts = Sequence[Sequence[int]]

_POSTS_AT_ONCE: Final = 128  # bounds the score matrix: 128 posts of 100,000 labels are 50 MB


class Scorer(Protocol):
    """Anything that ranks labels given the visible ones: the model or a baseline."""

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels], given the visible labels' rows; the visible ones are at -inf."""
        ...


def scores_in_parts(
    scorer: Scorer, given: Sequence[NDArray[np.int64]], batch_size: int = 256
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Score posts without ever holding the scores of all of them.

    Args:
        scorer: What ranks.
        given: The visible labels' rows of each post.
        batch_size: Posts at a time in the scorer.

    Yields:
        Which posts, and their scores, [posts of the part, labels].
    """
    for start in range(0, len(given), _POSTS_AT_ONCE):
        part = slice(start, start + _POSTS_AT_ONCE)
        yield part, scorer.scores([rows.tolist() for rows in given[part]], batch_size)


def hide_visible(scores: NDArray[np.float32], contexts: Contexts) -> NDArray[np.float32]:
    """Set the visible labels' scores to -inf in place, [len(contexts), labels], and give the same array."""
    for row, context in zip(scores, contexts, strict=True):
        row[list(context)] = -np.inf
    return scores


def rows_of(labels: Iterable[int], theirs: NDArray[np.int64]) -> list[int]:
    """The rows of some of our labels in another vocabulary, without those that it lacks.

    Args:
        labels: Our rows.
        theirs: int64 [our labels]: the row of each there, -1 where it lacks the label.
    """
    return [row for row in theirs[list(labels)].tolist() if row >= 0]


class Renumbered:
    """A scorer of another vocabulary as one of ours: it is not told of visible labels that it lacks.

    Args:
        scorer: Answers in rows of its own vocabulary.
        theirs: int64 [our labels]: the row of each there, -1 where it lacks the label.
    """

    def __init__(self, scorer: Scorer, theirs: NDArray[np.int64]) -> None:
        self._scorer = scorer
        self._theirs = theirs
        self.known: NDArray[np.bool_] = theirs >= 0
        """[labels]: which of our labels it has."""

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """As `Scorer.scores`; labels that it lacks are at -inf like visible ones, so that it never guesses them."""
        answers = self._scorer.scores([rows_of(context, self._theirs) for context in contexts], batch_size)
        scores = np.full((len(contexts), len(self._theirs)), -np.inf, dtype=np.float32)
        scores[:, self.known] = answers[:, self._theirs[self.known]]
        return hide_visible(scores, contexts)


class Calibrated(Protocol):
    """What makes scores probabilities."""

    def to_probabilities(self, scores: NDArray[np.floating], visible: NDArray[np.integer]) -> NDArray[np.floating]:
        """Calibrated probabilities by scores [contexts, labels], or those of some labels, and how many are visible."""
        ...


class Model(Scorer, Calibrated, Protocol):
    """A scorer that also gives calibrated probabilities."""

    def probabilities(self, contexts: Contexts) -> NDArray[np.floating]:
        """Probability in [0, 1] that a post with these visible labels has each label: [len(contexts), labels]."""
        ...
