"""Earlier checkpoints: where they lie, what they were trained on, and their answers in our vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.leakage import trained_on
from booru_pipeline.evaluation.posts import Posts
from booru_pipeline.evaluation.scorer import Scorer, hide_visible
from booru_pipeline.lake import Lake
from booru_pipeline.release.key import release_order
from booru_pipeline.stages import Stage
from booru_pipeline.training.predictor import Predictor
from booru_pipeline.training.provenance import read_provenance


@dataclass(frozen=True)
class Former:
    """An earlier checkpoint.

    Attributes:
        release: Of which release.
        key: Of its record.
        checkpoint: Its folder.
        dataset: The dataset that it was trained on; None if that is gone or was made anew since.
    """

    release: str
    key: str
    checkpoint: Path
    dataset: Path | None


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


def find_former(lake: Lake, release: str) -> Former | None:
    """A release's checkpoint, or None if it has none with a record."""
    folder = lake.checkpoint(release)
    record = lake.record(folder)
    if record is None:
        return None
    dataset = lake.tokenized_dataset(release)
    made = lake.record(dataset)
    is_its_own = made is not None and made.key == record.inputs.get(Stage.CHECKPOINT.upstream)
    return Former(release, record.key, lake.bring(folder), lake.bring(dataset) if is_its_own else None)


def find_parent(lake: Lake, release: str) -> Former | None:
    """The checkpoint that a release's went on from, or else the newest of the earlier ones; None for the first."""
    earlier = [key for key in lake.releases_with(lake.checkpoint) if release_order(key) < release_order(release)]
    went_on_from = (read_provenance(lake.bring(lake.checkpoint(release))).get("parent") or {}).get("release")
    candidates = [went_on_from, *reversed(earlier)] if went_on_from in earlier else list(reversed(earlier))
    return next((former for key in candidates if (former := find_former(lake, key))), None)


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
