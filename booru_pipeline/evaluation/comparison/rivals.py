"""Earlier checkpoints: where they lie, what they were trained on, and their answers in our vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.leakage import trained_on
from booru_pipeline.evaluation.scorer import Renumbered, Scorer
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.provenance import EarlierCheckpoint, read_provenance


def by_name(scorer: Scorer, theirs: Sequence[str], ours: Sequence[str]) -> Renumbered:
    """A scorer of another vocabulary as one of ours, labels going by name.

    Args:
        scorer: Answers in rows of its own vocabulary.
        theirs: Its labels by row.
        ours: Our labels by row.
    """
    rows = {label: row for row, label in enumerate(theirs)}
    return Renumbered(scorer, np.array([rows.get(label, -1) for label in ours], dtype=np.int64))


@dataclass(frozen=True)
class Rival:
    """An earlier checkpoint, ready to be asked.

    Attributes:
        release: Of which release.
        key: Of its record.
        labels: How many it knows, those that we lack included.
        scorer: Answers in our vocabulary.
        releases: The releases whose posts it was trained on.
        seen: Picture groups of test posts that it was trained on all the same; None if that cannot be told.
        is_slow: Whether it should be asked about fewer posts.
    """

    release: str
    key: str
    labels: int
    scorer: Renumbered
    releases: frozenset[str]
    seen: frozenset[str] | None
    is_slow: bool = False


def load_rival(earlier: EarlierCheckpoint, test: Posts, labels: Sequence[str]) -> Rival:
    """Read an earlier checkpoint.

    Args:
        earlier: Where it is.
        test: The present test split.
        labels: Our labels by row.

    Raises:
        BooruError: It cannot be read.
    """
    try:
        predictor = Predictor.load(earlier.checkpoint)
    except BooruError as error:
        raise BooruError(
            f"the checkpoint of {earlier.release}, which this one is compared with, cannot be read: {error} "
            f"Make it again with `booru run --release {earlier.release} --to checkpoint`, "
            f"or remove {earlier.checkpoint}."
        ) from error
    releases = read_provenance(earlier.checkpoint).get("releases") or [earlier.release]
    return Rival(
        release=earlier.release,
        key=earlier.key,
        labels=len(predictor.vocabulary),
        scorer=by_name(predictor, predictor.vocabulary.labels, labels),
        releases=frozenset(releases),
        seen=trained_on(earlier.dataset, test) if earlier.dataset is not None else None,
        is_slow=predictor.is_slow,
    )
