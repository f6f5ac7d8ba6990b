"""Cheap figures on the validation split, and the calibration that is fitted there; the report has the thorough ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from booru_pipeline.dataset.collator import PostBatches
from booru_pipeline.dataset.hiding import Hiding, shuffle
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.model.calibration import Calibration, fit
from booru_pipeline.model.mixture import Mixture, Views, fit_known, fit_mixture, fit_prior
from booru_pipeline.model.pair_table import PairTable, views_of
from booru_pipeline.model.ranking import Ranker, as_posts, best_of

_BATCH = 256
_SCORED_BATCH = 64  # of 40,000 labels what is worked on at a time takes 10 MB a part
_POSTS_DURING_TRAINING = 1000
_POSTS_AT_THE_END = 2000
# Of a model of pieces, each of whose posts takes 0.4 s of CPU with the shared vocabulary's 8,080 labels and `tiny`.
_FEW_POSTS = 256
_CALIBRATION_CELLS = 4_000_000  # posts x labels; 100 MB while fitting
_MIXTURE_POSTS = 2000
_KNOWN = (1, 2, 3, 4, 6, 8, 12, 16, 24)  # labels that are all that is known of a post
_KNOWN_POSTS = 150  # that show so many each
_ALONE = 300  # labels that are given alone
_MOST_PASSES = 12
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
        visible, hidden = Hiding(self._hiding.seed, 0.5, 0.5).split(posts, 0)
        recall, popularity_recall = [], []
        for chosen, scores in self._scored(objective, visible):
            asked = hidden.take(chosen)
            recall += _recall(scores, asked)
            popularity_recall += _recall(np.where(np.isneginf(scores), -np.inf, frequency), asked)
        return Metrics(
            loss=self.loss(objective, _POSTS_AT_THE_END),
            recall_at_10=float(np.mean(recall or [np.nan])),
            popularity_recall_at_10=float(np.mean(popularity_recall or [np.nan])),
            posts=len(posts),
        )

    def calibrate(self, objective: nn.Module, labels: int, *, lifts: bool) -> Calibration:
        """Fit the T5's calibration to labels hidden as in training; for `lifts` see `calibration.fit`."""
        visible, hidden = self._hide(_CALIBRATION_CELLS // labels)
        scores = np.concatenate([part for _, part in self._scored(objective, visible)])
        return fit(scores, visible.sizes, _is_there(hidden, labels), lifts=lifts)

    def mix(self, objective: nn.Module, calibration: Calibration, table: PairTable) -> Mixture:
        """Fit the mixture of T5 and counting to labels hidden as in training, and to labels that are given alone.

        What counting says for certain is given too, as Danbooru gives what a tag implies, and so is no question.
        """
        visible, hidden = table.close(*self._hide(_MIXTURE_POSTS))
        views = self._views(objective, calibration, table, visible)
        seen = ((view, _is_there(hidden.take(chosen), table.labels)) for chosen, view in views)
        mixture = fit_mixture(seen, self._hiding.seed)
        mixture = self._with_known(objective, calibration, table, mixture)
        return self._with_prior(objective, calibration, table, mixture)

    def _with_known(
        self, objective: nn.Module, calibration: Calibration, table: PairTable, mixture: Mixture
    ) -> Mixture:
        """The mixture with its calibration for labels that are all that is known, on posts that show so many each."""
        most = _FEW_POSTS // len(_KNOWN) if self._ranker.few else _KNOWN_POSTS
        seen, left = [], []
        for number in _KNOWN:
            long_enough = np.flatnonzero(self._posts.sizes > number)[:most]
            for rows in shuffle(self._posts.take(long_enough), self._hiding.seed, number).sets:
                seen.append(rows[:number])
                left.append(rows[number:])
        if not seen:
            return mixture
        visible, hidden = table.close(as_posts(seen), as_posts(left))
        views = self._views(objective, calibration, table, visible)
        odds = np.concatenate([mixture.log_odds(view) for _, view in views])
        return fit_known(mixture, odds, visible.sizes, _is_there(hidden, table.labels))

    def _with_prior(
        self, objective: nn.Module, calibration: Calibration, table: PairTable, mixture: Mixture
    ) -> Mixture:
        """The mixture with the prior of one label alone, from up to `_ALONE` labels that held-out posts have."""
        posts = self._posts.matrix(table.labels)
        support = np.asarray(posts.sum(axis=0)).ravel()
        given = np.flatnonzero((support > 0) & (table.counts > 0))
        most = _FEW_POSTS if self._ranker.few else _ALONE
        given = np.sort(np.random.default_rng(self._hiding.seed).permutation(given)[:most])
        if not len(given):
            return mixture
        alone = as_posts([[label] for label in given.tolist()])
        views = self._views(objective, calibration, table, alone)
        mixed = np.concatenate([mixture.log_odds(view) for _, view in views])
        odds = mixture.of_known(mixed, alone.sizes)
        together, known = table.beside_all(given)
        odds[~known | (together >= table.counts[given][:, None])] = -np.inf  # not counted, or certain
        held_out = (posts[:, given].T @ posts).toarray()
        return fit_prior(mixture, odds, (together, table.counts[given]), (held_out, support[given]))

    def _views(
        self, objective: nn.Module, calibration: Calibration, table: PairTable, visible: Posts
    ) -> Iterator[tuple[npt.NDArray[np.int64], Views]]:
        """Positions of some posts at a time, and what T5 and counting say of them."""
        for chosen, scores in self._scored(objective, visible):
            part = visible.take(chosen)
            yield chosen, views_of(calibration.log_odds(scores, part.sizes), table, part)

    def _hide(self, most: int) -> tuple[Posts, Posts]:
        """Visible and hidden labels of about so many posts; with few posts each is asked about several times.

        Else next to none would have a single visible label.
        """
        most = _FEW_POSTS if self._ranker.few else max(1, most)
        posts = self._first(most)
        passes = range(max(1, min(_MOST_PASSES, most // max(len(posts), 1))))
        parts = zip(*(self._hiding.split(posts, epoch) for epoch in passes), strict=True)
        visible, hidden = (as_posts([rows for part in parts_of for rows in part.labels]) for parts_of in parts)
        return visible, hidden

    def _first(self, most: int) -> Posts:
        return self._posts.take(np.arange(min(most, len(self._posts))))

    def _scored(
        self, objective: nn.Module, visible: Posts
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Positions of some posts at a time, and their scores [posts, labels]."""
        for start in range(0, len(visible), _SCORED_BATCH):
            chosen = np.arange(start, min(start + _SCORED_BATCH, len(visible)))
            with _evaluating(objective):
                scores = self._ranker.scores(visible.take(chosen))
            yield chosen, scores


def _is_there(hidden: Posts, labels: int) -> npt.NDArray[np.bool_]:
    """Which labels each post has, bool [posts, labels]."""
    present = np.zeros((len(hidden), labels), dtype=bool)
    present[hidden.owner, hidden.rows] = True
    return present


@contextmanager
def _evaluating(objective: nn.Module) -> Iterator[torch.device]:
    """Dropout and gradients off for a while; gives the device.

    Nothing is compiled for what is done a few times.
    """
    objective.eval()
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"):
        yield next(objective.parameters()).device
    objective.train()


def _recall(scores: npt.NDArray[np.floating], hidden: Posts) -> list[float]:
    """Of each post's hidden labels those among the first ten guesses, over at most ten possible ones."""
    pairs = zip(best_of(scores, _TOP), hidden.sets, strict=True)
    return [np.isin(best, rows).sum() / min(_TOP, scores.shape[1], len(rows)) for best, rows in pairs]
