"""What the T5 of a checkpoint says by itself, without counting."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.ranking import Ranker, as_posts

Contexts = Sequence[Sequence[int]]


class T5Alone:
    """What the T5 says by itself: scores and probabilities of all labels for sets of visible ones; all by row."""

    def __init__(self, ranker: Ranker, labels: int, calibration: Calibration) -> None:
        """Put a ranker of so many labels and its calibration together."""
        self._ranker = ranker
        self._labels = labels
        self.calibration = calibration

    @property
    def is_slow(self) -> bool:
        """Whether a context takes long, a good part of a second on a CPU, so that fewer of them should be scored."""
        return self._ranker.few

    def scores(
        self,
        contexts: Contexts,
        batch_size: int = 256,
        shortlist: Sequence[Sequence[int]] | Sequence[npt.NDArray[np.int64]] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Scores as the objective gives them; see `Ranker.scores`.

        Args:
            contexts: Vocabulary rows of the visible labels, one sequence a context; their order hardly matters.
            batch_size: Contexts at a time.
            shortlist: Vocabulary rows of the labels that are asked for, one sequence a context; all if None. Fewer are
                faster if `is_slow`; see `model.shortlist` for where they come from.

        Returns:
            float32 [contexts, labels]. What is visible or not asked for has -inf.
        """
        posts = as_posts(contexts)
        asked = None if shortlist is None else as_posts(shortlist)
        scores = np.empty((len(posts), self._labels), dtype=np.float32)
        order = np.argsort(posts.sizes, kind="stable")  # batches of like length have little padding
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            asked_of = None if asked is None else asked.take(chosen)
            scores[chosen] = self._ranker.scores(posts.take(chosen), asked_of)
        return scores

    def log_odds_of(self, contexts: Contexts, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Calibrated log-odds of one label for each context, float64 [contexts].

        Args:
            contexts: As `scores` takes them.
            labels: int64 [contexts], rows; none is visible.
        """
        posts = as_posts(contexts)
        return self.calibration.log_odds(self._ranker.scores_of(posts, labels)[:, None], posts.sizes)[:, 0]

    def to_probabilities(
        self, scores: npt.NDArray[np.floating], visible: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.float64]:
        """Calibrated probabilities by scores [contexts, labels], or those of some labels, and how many are visible."""
        return self.calibration.probabilities(scores, visible)

    def probabilities(self, contexts: Contexts) -> npt.NDArray[np.float64]:
        """Calibrated probability that a post with these visible labels has the label too.

        Returns:
            [contexts, labels] in [0, 1]; 0 for the visible labels themselves.
        """
        return self.to_probabilities(self.scores(contexts), sizes_of(contexts))


def sizes_of(contexts: Contexts) -> npt.NDArray[np.int64]:
    """int64 [contexts]: how many labels each has."""
    return np.array([len(context) for context in contexts], dtype=np.int64)
