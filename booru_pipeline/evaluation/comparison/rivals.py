"""Earlier checkpoints: where they lie, what they were trained on, and their answers in our vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.leakage import trained_on
from booru_pipeline.evaluation.scorer import Scorer, hide_visible
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.provenance import Former, read_provenance


@dataclass(frozen=True)
class Rival:
    """An earlier checkpoint, ready to be asked.

    Attributes:
        release: Of which release.
        key: Of its record.
        labels: Its vocabulary.
        scorer: Answers in its own vocabulary's rows.
        releases: The releases whose posts it was trained on.
        seen: Picture groups of test posts that it was trained on all the same; None if that cannot be told.
        is_slow: Whether it should be asked about fewer posts.
    """

    release: str
    key: str
    labels: Sequence[str]
    scorer: Scorer
    releases: frozenset[str]
    seen: frozenset[str] | None
    is_slow: bool = False


class Translated:
    """A scorer of another vocabulary as one of ours: labels go by name, and those it lacks are never guessed.

    Args:
        scorer: Answers in rows of its own vocabulary.
        theirs: Its labels by row.
        ours: Our labels by row.
    """

    def __init__(self, scorer: Scorer, theirs: Sequence[str], ours: Sequence[str]) -> None:
        self._scorer = scorer
        rows = {label: row for row, label in enumerate(theirs)}
        self._theirs = np.array([rows.get(label, -1) for label in ours], dtype=np.int64)

    @property
    def known(self) -> NDArray[np.bool_]:
        """[labels]: which of our labels it has."""
        return self._theirs >= 0

    def scores(self, contexts: Sequence[Sequence[int]], batch_size: int = 256) -> NDArray[np.float32]:
        """As `Scorer.scores`; it is not told of visible labels that it lacks, which are at -inf like hidden ones."""
        theirs = [[row for row in self._theirs[list(context)].tolist() if row >= 0] for context in contexts]
        answers = self._scorer.scores(theirs, batch_size)
        scores = np.full((len(contexts), len(self._theirs)), -np.inf, dtype=np.float32)
        scores[:, self.known] = answers[:, self._theirs[self.known]]
        return hide_visible(scores, contexts)


def load_rival(former: Former, test: Posts) -> Rival:
    """Read an earlier checkpoint.

    Args:
        former: Where it is.
        test: The present test split.

    Raises:
        BooruError: It cannot be read.
    """
    try:
        predictor = Predictor.load(former.checkpoint)
    except BooruError as error:
        raise BooruError(
            f"the checkpoint of {former.release}, which this one is compared with, cannot be read: {error} "
            f"Make it again with `booru run --release {former.release} --to checkpoint`, or remove {former.checkpoint}."
        ) from error
    releases = read_provenance(former.checkpoint).get("releases") or [former.release]
    return Rival(
        release=former.release,
        key=former.key,
        labels=predictor.vocabulary.labels,
        scorer=predictor,
        releases=frozenset(releases),
        seen=trained_on(former.dataset, test) if former.dataset is not None else None,
        is_slow=predictor.is_slow,
    )
