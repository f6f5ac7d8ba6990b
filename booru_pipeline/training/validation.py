"""Cheap figures on the validation split, and the calibration that is fitted there; the report has the thorough ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from booru_pipeline.dataset.collator import PostBatches
from booru_pipeline.dataset.hiding import Hiding
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.model.calibration import Calibration, fit
from booru_pipeline.model.ranking import Ranker

_BATCH = 256
_POSTS_DURING_TRAINING = 1000
_POSTS_AT_THE_END = 2000
# Of a model of pieces, each of whose posts takes 0.4 s of CPU with the shared vocabulary's 8,080 labels and `tiny`.
_FEW_POSTS = 256
_CALIBRATION_CELLS = 4_000_000  # posts x labels; 100 MB while fitting
_MOST_PASSES = 4
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


class Validation:
    """The validation split, with what is hidden fixed once and for all.

    Args:
        posts: Posts of the split, in the dataset's order, which is random.
        hiding: What is hidden, with a seed that no training has.
        ranker: Ranks the labels.
        loss_batches: Makes the batches whose loss is the validation loss.
    """

    def __init__(
        self, posts: Posts, hiding: Hiding, ranker: Ranker, loss_batches: Callable[[Posts], PostBatches]
    ) -> None:
        self._posts = posts
        self._hiding = hiding
        self._ranker = ranker
        self._loss_batches = loss_batches

    def loss(self, objective: nn.Module, most: int = _POSTS_DURING_TRAINING) -> float:
        """The objective's loss on the first posts."""
        batches = self._loss_batches(self._first(most))
        total = 0.0
        with _evaluating(objective) as device:
            for batch in batches.in_order(_BATCH):
                loss = objective(**{name: part.to(device) for name, part in batch.items()})["loss"]
                total += float(loss) * len(batch["input_ids"])
        return total / max(len(batches), 1)

    def metrics(self, objective: nn.Module, frequency: npt.NDArray[np.int64]) -> Metrics:
        """The figures for the checkpoint, given how often each label occurs in the train split, int64 [labels]."""
        posts = self._first(_FEW_POSTS if self._ranker.few else _POSTS_AT_THE_END)
        scores, _, present = self._answers(objective, posts, Hiding(self._hiding.seed, 0.5, 0.5), len(frequency))
        popular = np.where(np.isneginf(scores), -np.inf, frequency.astype(np.float64))
        return Metrics(
            loss=self.loss(objective, _POSTS_AT_THE_END),
            recall_at_10=_recall(scores, present),
            popularity_recall_at_10=_recall(popular, present),
            posts=len(posts),
        )

    def calibrate(self, objective: nn.Module, labels: int) -> Calibration:
        """Fit the calibration to labels hidden as in training."""
        most = _FEW_POSTS if self._ranker.few else max(1, _CALIBRATION_CELLS // labels)
        posts = self._first(most)
        # With few posts each is asked about several times, or next to none would have a single visible label.
        passes = [
            self._answers(objective, posts, self._hiding, labels, epoch)
            for epoch in range(max(1, min(_MOST_PASSES, most // max(len(posts), 1))))
        ]
        scores, visible, present = (np.concatenate(parts) for parts in zip(*passes, strict=True))
        return fit(scores, visible, present)

    def _first(self, most: int) -> Posts:
        return self._posts.take(np.arange(min(most, len(self._posts))))

    def _answers(
        self, objective: nn.Module, posts: Posts, hiding: Hiding, labels: int, epoch: int = 0
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Scores [posts, labels], number of visible labels [posts], which labels are hidden [posts, labels]."""
        visible, hidden = hiding.split(posts, epoch)
        scores = np.empty((len(posts), labels), dtype=np.float32)
        with _evaluating(objective):
            for start in range(0, len(posts), _BATCH):
                chosen = np.arange(start, min(start + _BATCH, len(posts)))
                scores[chosen] = self._ranker.scores(visible.take(chosen))
        present = np.zeros(scores.shape, dtype=bool)
        present[hidden.owner, hidden.rows] = True
        return scores, visible.sizes, present


@contextmanager
def _evaluating(objective: nn.Module) -> Iterator[torch.device]:
    """Dropout and gradients off for a while; gives the device.

    Nothing is compiled for what is done a few times.
    """
    objective.eval()
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"):
        yield next(objective.parameters()).device
    objective.train()


def _recall(scores: npt.NDArray[np.floating], present: npt.NDArray[np.bool_]) -> float:
    top = min(_TOP, scores.shape[1])
    if not len(scores):
        return float("nan")
    best = np.argpartition(-scores, top - 1, axis=1)[:, :top]
    found = np.take_along_axis(present, best, axis=1).sum(1)
    return float((found / np.minimum(present.sum(1), top)).mean())
