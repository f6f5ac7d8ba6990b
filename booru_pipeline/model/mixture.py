"""T5 and counting in one answer: a logistic mixture whose weights depend on how many labels are visible."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from booru_pipeline.lake.document import Document
from booru_pipeline.model.logistic import fit_logistic
from booru_pipeline.model.ranking import best_of

KNOTS: Final = (1, 2, 4, 8, 16, 32)
"""Numbers of visible labels that have weights of their own; between two of them they are mixed by log n."""
T5: Final = "t5"
_BIAS: Final = "bias"
_RIDGE: Final = 1.0  # pulls the weights towards the T5 alone
_SMOOTH: Final = 10.0  # and the weights of neighbouring knots towards each other: few posts are seen with some numbers
_PRIORS: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_SEEN: Final = 20  # guesses of each context that people look at
_HIGHEST: Final = 30.0  # log-odds: no feature is so sure that a logarithm overflows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Views:
    """What each part says of all labels, given some: the inputs of the mixture.

    Attributes:
        t5: [contexts, labels], the T5's calibrated log-odds; -inf for visible labels.
        counted: By name [contexts, labels], what counting says; see `PairTable.says`.
        visible: [contexts], how many labels are visible.
    """

    t5: npt.NDArray[np.floating]
    counted: Mapping[str, npt.NDArray[np.floating]]
    visible: npt.NDArray[np.integer]

    @property
    def parts(self) -> dict[str, npt.NDArray[np.floating]]:
        """By name, the T5 first."""
        return {T5: self.t5, **self.counted}


class Mixture(Document):
    """log-odds = bias(n) + sum over parts of weight(n) x what the part says, with n labels visible.

    A logistic regression on what each part says (stacking, Wolpert 1992), fitted on held-out posts: on the posts that
    the counts are from, counting would know too much. The weights are piecewise linear in log n.

    It answers what is missing from a caption of which a share is hidden. Tags that are all that is known of a picture
    are another question: two labels of a caption with 90 % hidden are a sign of few labels in all. `of_known` answers
    that one, by a calibration of these log-odds (Platt 1999) whose two numbers depend on n likewise.

    Attributes:
        knots: Values of n that have weights; outside them those of the nearest hold.
        bias: By knot.
        weights: By part, by knot.
        known_bias: By knot, of the other question.
        known_slope: By knot, likewise.
        prior_posts: How many posts the mixture is worth beside the observed share, where one label alone is given.
    """

    FILE: ClassVar[str] = "mixture.json"
    REMEDY: ClassVar[str] = "Make it with `booru run --to checkpoint`."

    knots: tuple[int, ...] = KNOTS
    bias: tuple[float, ...]
    weights: dict[str, tuple[float, ...]]
    known_bias: tuple[float, ...] = (0.0,) * len(KNOTS)
    known_slope: tuple[float, ...] = (1.0,) * len(KNOTS)
    prior_posts: float

    def log_odds(self, views: Views) -> npt.NDArray[np.float32]:
        """Log-odds that a post has each label, float32 [contexts, labels]; -inf where the T5's are."""
        at = _between(views.visible, self.knots)
        mixed = np.repeat((at @ np.array(self.bias))[:, None], views.t5.shape[1], axis=1)
        for name, says in views.parts.items():
            mixed += (at @ np.array(self.weights[name]))[:, None] * _bounded(says)
        return np.where(np.isneginf(views.t5), -np.inf, mixed).astype(np.float32)

    def of_known(self, odds: npt.NDArray[np.floating], visible: npt.NDArray[np.integer]) -> Floats:
        """Log-odds that a picture of which just these labels are known has each label, by `log_odds` and their number.

        Args:
            odds: [contexts, labels], or those of some labels; -inf stays.
            visible: [contexts], how many labels are known.
        """
        at = _between(visible, self.knots)
        bias, slope = ((at @ np.array(part))[:, None] for part in (self.known_bias, self.known_slope))
        return np.where(np.isneginf(odds), -np.inf, bias + slope * _bounded(odds))

    def posterior(
        self, odds: npt.NDArray[np.floating], together: npt.NDArray[np.integer], posts: npt.NDArray[np.integer]
    ) -> Floats:
        """The probability that a post with one label has another, by the mixture and by how often it was so.

        (k + a q) / (m + a): the mean of a beta distribution, with the mixture's probability q as the prior, worth `a` =
        `prior_posts` posts.

        Args:
            odds: Those of `of_known`.
            together: k, train posts that have both labels.
            posts: m, train posts that have the given one.
        """
        found: Floats = (together + self.prior_posts * expit(np.asarray(odds, dtype=np.float64))) / (
            posts + self.prior_posts
        )
        return found


def fit_mixture(seen: Iterable[tuple[Views, npt.NDArray[np.bool_]]], seed: int = 0) -> Mixture:
    """Maximum likelihood with a little ridge, by Newton's method; the prior of one label alone is left at its start.

    Not all cells are looked at where the labels are many: of each context those that are present, the 100 that each
    part puts first, and 200 others by lot, which stand for all the others by their weight.

    Args:
        seen: Of held-out posts, some posts at a time and at least one: what is said of them, by the same parts, and
            bool [contexts, labels], whether the label is among the hidden ones. One is in memory at a time.
        seed: Of the lot.
    """
    random = np.random.default_rng(seed)
    features, targets, weights = [], [], []
    names: list[str] = []
    for view, right in seen:
        names = [_BIAS, *view.parts]
        row, label, weight = _cells(view, right, random)
        at = _between(view.visible, KNOTS)[row]
        parts = [np.ones(len(row)), *(_bounded(says[row, label]) for says in view.parts.values())]
        features.append(np.concatenate([at * part[:, None] for part in parts], axis=1))
        targets.append(right[row, label].astype(np.float64))
        weights.append(weight)
    start = np.repeat([float(name == T5) for name in names], len(KNOTS))
    step = np.diff(np.eye(len(KNOTS)), axis=0)
    penalty = _RIDGE * np.eye(len(start)) + np.kron(np.eye(len(names)), _SMOOTH * step.T @ step)
    found = fit_logistic(*map(np.concatenate, (features, targets, weights)), start=start, penalty=penalty)
    by_name = dict(zip(names, found.reshape(len(names), len(KNOTS)).tolist(), strict=True))
    return Mixture(bias=by_name.pop(_BIAS), weights=by_name, prior_posts=_PRIORS[2])


def fit_known(
    mixture: Mixture,
    odds: npt.NDArray[np.floating],
    visible: npt.NDArray[np.integer],
    present: npt.NDArray[np.bool_],
) -> Mixture:
    """The mixture with the calibration of `of_known`, fitted on the first guesses of each context, which people see.

    Args:
        mixture: As fitted.
        odds: [contexts, labels], its log-odds where so many labels of a post are all that is known.
        visible: [contexts], how many.
        present: bool [contexts, labels], whether the post has the label too.
    """
    best = best_of(odds, _SEEN)
    row = np.repeat(np.arange(len(best)), [len(labels) for labels in best])
    label = np.concatenate([np.empty(0, dtype=np.int64), *best])
    at = _between(visible, KNOTS)[row]
    features = np.concatenate([at, at * _bounded(odds[row, label])[:, None]], axis=1)
    target = present[row, label].astype(np.float64)
    start = np.repeat([0.0, 1.0], len(KNOTS))
    step = np.diff(np.eye(len(KNOTS)), axis=0)
    penalty = _RIDGE * (np.eye(len(start)) + np.kron(np.eye(2), step.T @ step))
    found = fit_logistic(features, target, np.ones(len(target)), start=start, penalty=penalty).reshape(2, -1).tolist()
    return mixture.model_copy(update={"known_bias": tuple(found[0]), "known_slope": tuple(found[1])})


def fit_prior(
    mixture: Mixture,
    odds: npt.NDArray[np.floating],
    train: tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]],
    held_out: tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]],
) -> Mixture:
    """The mixture with the prior, of seven, that held-out posts are likeliest by; each given label counts the same.

    Of each the labels count that the mixture or the train posts put first, which are those that people see.

    Args:
        mixture: As fitted.
        odds: [given labels, labels], those of `of_known` with one label given; -inf where nothing is asked.
        train: Posts that have both labels, [given labels, labels], and the given one, [given labels].
        held_out: The same of held-out posts; every given label is on one.
    """
    asked = np.zeros(odds.shape, dtype=bool)
    for said in (odds, np.where(np.isneginf(odds), -np.inf, train[0])):
        for context, labels in enumerate(best_of(said, _SEEN)):
            asked[context, labels] = True
    together, posts = (np.asarray(part, dtype=np.float64) for part in held_out)

    def likelihood(prior: float) -> float:
        tried = mixture.model_copy(update={"prior_posts": prior})
        chance = np.clip(tried.posterior(odds, train[0], train[1][:, None]), 1e-9, 1 - 1e-9)
        share = together / posts[:, None]
        cells = share * np.log(chance) + (1 - share) * np.log1p(-chance)
        return float(cells[asked].sum())

    return mixture.model_copy(update={"prior_posts": max(_PRIORS, key=likelihood)})


def _cells(
    view: Views, right: npt.NDArray[np.bool_], random: np.random.Generator, first: int = 100, others: int = 200
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Cells to fit on: rows, labels, and how many cells each stands for."""
    asked = ~np.isneginf(view.t5)
    kept = right & asked
    if asked.shape[1] > 3 * first + others:
        for part in view.parts.values():
            for context, labels in enumerate(best_of(np.where(asked, part, -np.inf), first)):
                kept[context, labels] = True
        rest = asked & ~kept
        chance = np.minimum(1.0, others / np.maximum(rest.sum(axis=1), 1))
        drawn = rest & (random.random(rest.shape) < chance[:, None])
    else:
        kept, drawn, chance = asked, np.zeros_like(asked), np.ones(len(asked))
    row, label = np.nonzero(kept | drawn)
    return row, label, np.where(kept[row, label], 1.0, 1.0 / chance[row])


def _between(visible: npt.NDArray[np.integer], knots: Sequence[int]) -> Floats:
    """How much of each knot's weight holds for each number of visible labels, [contexts, knots]; rows sum to 1."""
    at = np.log(np.clip(visible, knots[0], knots[-1]).astype(np.float64))
    return np.stack([np.interp(at, np.log(knots), one) for one in np.eye(len(knots))], axis=1)


def _bounded(odds: npt.NDArray[np.floating]) -> Floats:
    return np.clip(odds.astype(np.float64), -_HIGHEST, _HIGHEST)
