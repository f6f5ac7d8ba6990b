"""A character with a costume or another look: does the second label move the right others?"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import logit, ndtr
from scipy.stats import false_discovery_control, rankdata

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.probing import mean_intervals, ndcg, rank_correlation
from booru_pipeline.evaluation.finding import Count, Finding, definitions
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.counts import (
    FEWEST,
    LEAST_SUPPORT,
    Exam,
    Split,
    Supported,
    choose,
    compare_methods,
)
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.vocabulary import Vocabulary

PAIRS_A_CHARACTER: Final = 3
LEAST_MOVED: Final = 5
FALSE_DISCOVERIES: Final = 0.05
LEAST_TRAIN_POSTS: Final = 10
COMMON_SHARE: Final = 0.2
"""A label on more of all train posts is none of a character's looks: `1girl`, `solo`, `long_hair`."""
TOP_MOVED: Final = 5


class PairResult(Finding):
    """A character and a general label, against the character alone. Labels that either implies are left out.

    Of each method there are its rankings given the pair and given the character alone.
    """

    character: str
    label: str = Field(description="The general label.")
    train_posts: Count = Field(description="Train posts that have both.")
    test_posts: Count = Field(description="Test posts that have both.")
    character_posts: Count = Field(description="Test posts that have the character.")
    moved: Count = Field(
        description="Labels that the second label makes likelier or unlikelier on the character's train posts."
    )
    gained: list[str] = Field(
        description=f"The {TOP_MOVED} labels that the pair's test posts have most above the character's, by difference "
        "of shares."
    )
    predicted_gained: list[str] = Field(
        description="The same by the model's calibrated probabilities, given the pair and the character alone."
    )
    ndcg: dict[str, float] = Field(
        description="NDCG@20 given the pair, a label's gain being its share of the pair's test posts."
    )
    ndcg_alone: dict[str, float] = Field(
        description="NDCG@20 given the character alone, of the same labels by the same gains."
    )
    shift: dict[str, float | None] = Field(
        description="Rank correlation, over these labels, between how far the second label moves them up (log of the "
        "rank) and how much it raises their log-odds on test posts. Train posts' own log-odds say what can be had."
    )
    log_odds_shift: float | None = Field(description="The same by the model's calibrated log-odds.")
    train_shift: float | None = Field(
        description="The same by the log-odds on train posts: what can be had of so few test posts, by counting pairs."
    )

    @property
    def gain(self) -> dict[str, float]:
        """How much of each method's NDCG@20 the second label adds."""
        return {name: value - self.ndcg_alone[name] for name, value in self.ndcg.items()}


class PairFigures(Finding):
    """A method over all pairs. Means with 95 % intervals, bootstrap over characters; null with fewer than two."""

    ndcg: Interval | None = Field(description="Mean NDCG@20 given the pair.")
    gain: Interval | None = Field(
        description="NDCG@20 given the pair less NDCG@20 given the character alone, both by the pair's test posts."
    )
    shift: Interval | None = Field(description="Mean correlation of the shifts.")
    ndcg_behind: Interval | None = Field(description="The model's NDCG@20 less this method's; 0 for the model itself.")
    gain_behind: Interval | None = Field(description="The same of the gain.")
    shift_behind: Interval | None = Field(description="The same of the correlation.")


class PairFindings(Supported):
    """Pairs of a character and a general label."""

    pairs: list[PairResult] = Field(description="Those probed, the most frequent on test posts first.")
    methods: dict[str, PairFigures] = Field(description="Each method's figures over them.")
    log_odds_shift: Interval | None = Field(description="Mean of the model's `log_odds_shift`.")
    train_shift: Interval | None = Field(description="Mean of `train_shift`.")


@dataclass(frozen=True)
class _Pair:
    character: int
    label: int
    test_posts: int
    moved: NDArray[np.int64]


def probe_pairs(exam: Exam) -> PairFindings:
    """Give a character with a label that changes how it looks, and the character alone, and compare with test posts.

    A pair is eligible if the label is general, on no more than COMMON_SHARE of all train posts and not implied by the
    character, LEAST_SUPPORT test posts have both and as many the character without it, and at least LEAST_MOVED labels
    are on another share of the character's train posts with it than without it (two-proportion z-test, Benjamini and
    Hochberg at FALSE_DISCOVERIES; LEAST_TRAIN_POSTS on either side). Train posts decide, since what is chosen by its
    difference on test posts would be measured too large there.
    """
    options = exam.options
    candidates = _candidates(exam, max(options.probe_min_support, LEAST_SUPPORT))
    if len(candidates) < FEWEST:  # `choose` then takes others too
        candidates = _candidates(exam, LEAST_SUPPORT)
    supports = [pair.test_posts for pair in candidates]
    chosen = _choose(candidates, supports, options)
    results = _ask(exam, chosen) if chosen else []
    told = [result for result in results if result.log_odds_shift is not None]
    log_odds_shift, train_shift = mean_intervals(
        [[result.log_odds_shift or 0.0 for result in told], [result.train_shift or 0.0 for result in told]],
        [result.character for result in told],
        options,
    )
    found = compare_methods(results, ("ndcg", "gain", "shift"), exam)
    return PairFindings(
        min_support=options.probe_min_support,
        eligible=sum(support >= options.probe_min_support for support in supports),
        supported=all(pair.test_posts >= options.probe_min_support for pair in chosen),
        pairs=results,
        methods={name: PairFigures(**figures) for name, figures in found.items()},
        log_odds_shift=log_odds_shift,
        train_shift=train_shift,
    )


def _choose(candidates: list[_Pair], supports: list[int], options: ProbeOptions) -> list[_Pair]:
    """The best supported pairs, a few a character."""
    order, _ = choose(supports, least=options.probe_min_support, limit=len(candidates))
    chosen: list[_Pair] = []
    used: Counter[int] = Counter()
    for pair in (candidates[place] for place in order):
        if len(chosen) < options.probe_pairs and used[pair.character] < PAIRS_A_CHARACTER:
            chosen.append(pair)
            used[pair.character] += 1
    return chosen


def _candidates(exam: Exam, least: int) -> list[_Pair]:
    """The pairs that are eligible and on so many test posts; see `probe_pairs`."""
    train, test, categories = exam.train, exam.test, exam.vocabulary.categories
    uncommon = train.support <= COMMON_SHARE * train.posts.shape[0]
    general = (categories == Category.GENERAL) & uncommon
    enough = (categories == Category.CHARACTER) & (test.support >= least + LEAST_SUPPORT)
    pairs = []
    for character in np.flatnonzero(enough).tolist():
        test_posts, on_test = test.counts(character)
        train_posts, on_train = train.counts(character)
        possible = general & (on_test >= least) & (on_test <= test_posts - LEAST_SUPPORT)
        possible &= (on_train >= LEAST_TRAIN_POSTS) & (on_train <= train_posts - LEAST_TRAIN_POSTS)
        possible[exam.closed(character)] = False
        labels = np.flatnonzero(possible)
        for label, on_both in zip(labels.tolist(), train.counts_with_each(character, labels), strict=True):
            known = exam.closed(character, label)
            moved = _moved(int(on_train[label]), on_both, train_posts, on_train, known)
            if len(moved) >= LEAST_MOVED:
                pairs.append(_Pair(character, label, int(on_test[label]), moved))
    return pairs


def _moved(
    posts: int, on_posts: NDArray[np.int64], all_posts: int, on_all: NDArray[np.int64], known: list[int]
) -> NDArray[np.int64]:
    """The labels that are on another share of the posts than of the rest of all posts, ascending."""
    varying = (on_all > 0) & (on_all < all_posts)
    varying[known] = False
    labels = np.flatnonzero(varying)
    if not len(labels):
        return labels
    rest = all_posts - posts
    share = on_all[labels] / all_posts
    difference = on_posts[labels] / posts - (on_all - on_posts)[labels] / rest
    z = difference / np.sqrt(share * (1 - share) * (1 / posts + 1 / rest))
    moved: NDArray[np.int64] = labels[false_discovery_control(2 * ndtr(-np.abs(z))) <= FALSE_DISCOVERIES]
    return moved


def _ask(exam: Exam, pairs: list[_Pair]) -> list[PairResult]:
    together = [[pair.character, pair.label] for pair in pairs]
    alone = [[pair.character] for pair in pairs]
    given = {name: method.scores(together) for name, method in exam.methods.items()}
    before = {name: method.scores(alone) for name, method in exam.methods.items()}
    chance, chance_alone = exam.model.probabilities(together), exam.model.probabilities(alone)
    return [
        _result(
            exam,
            pair,
            {name: (scores[place].copy(), before[name][place].copy()) for name, scores in given.items()},
            (chance[place], chance_alone[place]),
        )
        for place, pair in enumerate(pairs)
    ]


def _result(
    exam: Exam,
    pair: _Pair,
    scores: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    chances: tuple[NDArray[np.floating], NDArray[np.floating]],
) -> PairResult:
    """From scores and probabilities of all labels, given the pair and given the character alone."""
    known = exam.closed(pair.character, pair.label)
    posts, on_pair = exam.test.counts(pair.character, pair.label)
    character_posts, on_character = exam.test.counts(pair.character)
    for counts in (on_pair, on_character):
        counts[known] = 0
    risen = _risen(exam.test, pair)
    ndcgs, ndcgs_alone, shifts = {}, {}, {}
    for name, (together, alone) in scores.items():
        together[known] = alone[known] = -np.inf
        ndcgs[name] = ndcg(together, on_pair) if on_pair.any() else 0.0
        ndcgs_alone[name] = ndcg(alone, on_pair) if on_pair.any() else 0.0
        climbed = np.log(rankdata(-alone)[pair.moved]) - np.log(rankdata(-together)[pair.moved])
        shifts[name] = rank_correlation(climbed, risen)
    difference = chances[0] - chances[1]
    difference[known] = -np.inf
    odds, odds_alone = (logit(np.clip(chance[pair.moved], 1e-9, 1 - 1e-9)) for chance in chances)
    return PairResult(
        character=exam.vocabulary.labels[pair.character],
        label=exam.vocabulary.labels[pair.label],
        train_posts=exam.train.counts(pair.character, pair.label)[0],
        test_posts=posts,
        character_posts=character_posts,
        moved=len(pair.moved),
        gained=_gained(exam.vocabulary, on_pair / posts - on_character / character_posts),
        predicted_gained=_gained(exam.vocabulary, difference),
        ndcg=ndcgs,
        ndcg_alone=ndcgs_alone,
        shift=shifts,
        log_odds_shift=rank_correlation(odds - odds_alone, risen),
        train_shift=rank_correlation(_risen(exam.train, pair), risen),
    )


def _risen(split: Split, pair: _Pair) -> NDArray[np.float64]:
    """[moved]: how much the log-odds of the labels that move are higher on the pair's posts than on the character's."""
    posts, on_pair = split.counts(pair.character, pair.label)
    character_posts, on_character = split.counts(pair.character)
    return _log_odds(on_pair[pair.moved], posts) - _log_odds(on_character[pair.moved], character_posts)


def _log_odds(counts: NDArray[np.int64], posts: int) -> NDArray[np.float64]:
    """Of a share, each side with half a post more, so that they are finite (Haldane and Anscombe)."""
    return np.log(counts + 0.5) - np.log(posts - counts + 0.5)


def _gained(vocabulary: Vocabulary, difference: NDArray[Any]) -> list[str]:
    return [vocabulary.labels[row] for row in np.argsort(-difference, kind="stable")[:TOP_MOVED] if difference[row] > 0]


DEFINITIONS: Final = {
    "pair": (
        "A character and a general label, on at most a fifth of all posts, that changes at least five other labels' "
        "shares of the character's train posts, at a false discovery rate of 5 %. At least three test posts have "
        "both, and as many the character without it."
    ),
    **definitions(PairFigures, pair_gain="gain"),
    **definitions(PairResult, pair_shift="shift"),
}
