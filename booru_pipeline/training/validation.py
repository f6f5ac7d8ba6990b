"""Cheap figures on the validation split, and the calibration that is fitted there; the report has the thorough ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch

from booru_pipeline.labels.hiding import Hiding
from booru_pipeline.labels.posts import Posts
from booru_pipeline.training.calibration import Calibration, fit
from booru_pipeline.labels.collator import SetBatches
from booru_pipeline.training.objective import SetObjective

_BATCH = 256
_POSTS_DURING_TRAINING = 1000
_POSTS_AT_THE_END = 2000
_CALIBRATION_CELLS = 4_000_000  # posts x labels; 100 MB while fitting
_MOST_LOOKS = 4
_TOP = 10


@dataclass(frozen=True)
class Metrics:
    """Figures on the validation split.

    Attributes:
        loss: The objective in nats, with the same hidden labels every time.
        recall_at_10: With half of the labels hidden: those among the first ten guesses, over at most ten possible ones.
        popularity_recall_at_10: The same, always guessing the most frequent labels.
        posts: How many the figures are from.
    """

    loss: float
    recall_at_10: float
    popularity_recall_at_10: float
    posts: int

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


class Validation:
    """The validation split, with what is hidden fixed once and for all.

    Args:
        posts: Posts of the split, in the dataset's order, which is random.
        tokens: Token ids as `SetBatches` takes them.
        seed: Of what is hidden.
    """

    def __init__(self, posts: Posts, tokens: dict[str, int], hiding: Hiding) -> None:
        self._posts = posts
        self._tokens = tokens
        self._hiding = hiding

    def loss(self, objective: SetObjective, most: int = _POSTS_DURING_TRAINING) -> float:
        """The objective's loss on the first posts."""
        batches = self._batches(self._hiding, most)
        total = 0.0
        with _evaluating(objective) as device:
            for batch in batches.in_order(_BATCH):
                total += float(objective(**_to(batch, device))["loss"]) * len(batch["hidden"])
        return total / max(len(batches), 1)

    def metrics(self, objective: SetObjective, frequency: npt.NDArray[np.int64]) -> Metrics:
        """The figures for the checkpoint.

        Args:
            objective: The trained model.
            frequency: int64 [labels], how often each occurs in the train split.
        """
        half = Hiding(self._hiding.seed, 0.5, 0.5)
        batches = self._batches(half, _POSTS_AT_THE_END)
        scores, _, present = _answers(objective, batches)
        popular = np.where(np.isneginf(scores), -np.inf, frequency.astype(np.float64))
        return Metrics(
            loss=self.loss(objective, _POSTS_AT_THE_END),
            recall_at_10=_recall(scores, present),
            popularity_recall_at_10=_recall(popular, present),
            posts=len(batches),
        )

    def calibrate(self, objective: SetObjective) -> Calibration:
        """Fit the calibration to labels hidden as in training."""
        most = max(1, _CALIBRATION_CELLS // objective.labels)
        batches = self._batches(self._hiding, most)
        # A few posts are looked at several times, or next to none of them would have a single visible label.
        looks = []
        for epoch in range(max(1, min(_MOST_LOOKS, most // max(len(batches), 1)))):
            batches.set_epoch(epoch)
            looks.append(_answers(objective, batches))
        scores, visible, present = (np.concatenate(parts) for parts in zip(*looks, strict=True))
        return fit(scores, visible, present)

    def _batches(self, hiding: Hiding, most: int) -> SetBatches:
        posts = self._posts.take(np.arange(min(most, len(self._posts))))
        return SetBatches(posts, hiding, choice=None, **self._tokens)


@contextmanager
def _evaluating(objective: SetObjective) -> Iterator[torch.device]:
    """Dropout and gradients off for a while; gives the device."""
    objective.eval()
    with torch.inference_mode():
        yield next(objective.parameters()).device
    objective.train()


def _answers(
    objective: SetObjective, batches: SetBatches
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Scores [posts, labels], number of visible labels [posts], which labels are hidden [posts, labels]."""
    scores = np.empty((len(batches), objective.labels), dtype=np.float32)
    present = np.zeros(scores.shape, dtype=bool)
    visible = np.empty(len(batches), dtype=np.int64)
    done = 0
    with _evaluating(objective) as device:
        for batch in batches.in_order(_BATCH):
            rows = slice(done, done + len(batch["hidden"]))
            hidden = batch.pop("hidden").numpy()
            scores[rows] = objective.log_probabilities(**_to(batch, device)).cpu().numpy()
            post, place = np.nonzero(hidden >= 0)
            present[done + post, hidden[post, place]] = True
            visible[rows] = batch["attention_mask"].sum(1).numpy() - 1
            done = rows.stop
    return scores, visible, present


def _recall(scores: npt.NDArray[np.floating], present: npt.NDArray[np.bool_]) -> float:
    top = min(_TOP, scores.shape[1])
    if not len(scores):
        return float("nan")
    best = np.argpartition(-scores, top - 1, axis=1)[:, :top]
    found = np.take_along_axis(present, best, axis=1).sum(1)
    return float((found / np.minimum(present.sum(1), top)).mean())


def _to(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {name: part.to(device) for name, part in batch.items()}
