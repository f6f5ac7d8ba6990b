"""A character with a costume or another look: does the second label move the right others?"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import logit
from scipy.stats import false_discovery_control, norm, rankdata

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.probing import mean_intervals, ndcg, rank_correlation
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.counts import LEAST_SUPPORT, Split, Supported, choose
from booru_pipeline.evaluation.scorer import Model, Scorer
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.vocabulary import Vocabulary

PAIRS_A_CHARACTER: Final = 3
LEAST_MOVED: Final = 5
FALSE_DISCOVERIES: Final = 0.05
LEAST_TRAIN_POSTS: Final = 10
COMMON_SHARE: Final = 0.2
"""A label on more of all train posts is none of a character's looks: `1girl`, `solo`, `long_hair`."""
TOP_MOVED: Final = 5


@dataclass(frozen=True)
class PairResult:
    """A character and a general label, against the character alone. Labels that either implies are left out.

    Attributes:
        character: The character.
        label: The general label.
        train_posts: Train posts that have both.
        test_posts: Test posts that have both.
        character_posts: Test posts that have the character.
        moved: Labels that the second label makes likelier or unlikelier on the character's train posts.
        gained: The TOP_MOVED labels that the pair's test posts have most above the character's, by difference of
            shares.
        predicted_gained: The same by the model's calibrated probabilities, given the pair and the character alone.
        ndcg: For each method, NDCG@20 of its ranking given the pair, a label's gain being its share of the pair's test
            posts.
        ndcg_alone: The same for its ranking given the character alone, of the same labels by the same gains.
        shift: For each method, the rank correlation between how far labels move up (in the log of their rank) and how
            much their log-odds rise from the character's test posts to the pair's, over the labels that moved on train
            posts; None where no log-odds differ.
        log_odds_shift: The same by the model's calibrated log-odds.
        train_shift: The same by the log-odds on train posts: what can be had of so few test posts, by counting pairs.
    """

    character: str
    label: str
    train_posts: int
    test_posts: int
    character_posts: int
    moved: int
    gained: list[str]
    predicted_gained: list[str]
    ndcg: dict[str, float]
    ndcg_alone: dict[str, float]
    shift: dict[str, float | None]
    log_odds_shift: float | None
    train_shift: float | None


@dataclass(frozen=True)
class PairFigures:
    """A method over all pairs. Means with 95 % intervals, bootstrap over characters; None with fewer than two.

    Attributes:
        ndcg: Mean NDCG@20 given the pair.
        gain: How much of it the second label adds: given the pair less given the character alone.
        shift: Mean correlation of the shifts.
        ndcg_behind: The model's NDCG@20 less this method's; 0 for the model itself.
        gain_behind: The same of the gain.
        shift_behind: The same of the correlation.
    """

    ndcg: Interval | None
    gain: Interval | None
    shift: Interval | None
    ndcg_behind: Interval | None
    gain_behind: Interval | None
    shift_behind: Interval | None


@dataclass(frozen=True)
class PairFindings(Supported):
    """Pairs of a character and a general label.

    Attributes:
        pairs: Those probed, the most frequent on test posts first.
        methods: Each method's figures over them.
        log_odds_shift: Mean of the model's `log_odds_shift`.
        train_shift: Mean of `train_shift`.
    """

    pairs: list[PairResult]
    methods: dict[str, PairFigures]
    log_odds_shift: Interval | None
    train_shift: Interval | None


@dataclass(frozen=True)
class _Pair:
    character: int
    label: int
    test_posts: int
    moved: NDArray[np.int64]


def probe_pairs(
    methods: dict[str, Scorer],
    model: Model,
    vocabulary: Vocabulary,
    train: Split,
    test: Split,
    implied: sparse.csr_array,
    options: ProbeOptions,
) -> PairFindings:
    """Give a character with a label that changes how it looks, and the character alone, and compare with test posts.

    A pair is eligible if the label is general, on no more than COMMON_SHARE of all train posts and not implied by the
    character, LEAST_SUPPORT test posts have both and as many the character without it, and at least LEAST_MOVED labels
    are on another share of the character's train posts with it than without it (two-proportion z-test, Benjamini and
    Hochberg at FALSE_DISCOVERIES; LEAST_TRAIN_POSTS on either side). Train posts decide, since what is chosen by its
    difference on test posts would be measured too large there.

    Args:
        methods: Every scorer by name, the model first.
        model: The model, for its probabilities.
        vocabulary: The labels.
        train: The train split.
        test: The test split.
        implied: See `derivable.implied_matrix`.
        options: How many pairs, and how much support.
    """
    candidates = _candidates(vocabulary, train, test, implied)
    supports = [pair.test_posts for pair in candidates]
    order, _ = choose(supports, least=options.probe_min_support, limit=len(candidates))
    chosen: list[_Pair] = []
    used: Counter[int] = Counter()
    for place in order:
        pair = candidates[place]
        if len(chosen) < options.probe_pairs and used[pair.character] < PAIRS_A_CHARACTER:
            chosen.append(pair)
            used[pair.character] += 1
    results = _ask(methods, model, vocabulary, train, test, implied, chosen) if chosen else []
    told = [result for result in results if result.log_odds_shift is not None]
    log_odds_shift, train_shift = mean_intervals(
        [[result.log_odds_shift or 0.0 for result in told], [result.train_shift or 0.0 for result in told]],
        [result.character for result in told],
        options,
    )
    return PairFindings(
        min_support=options.probe_min_support,
        eligible=sum(support >= options.probe_min_support for support in supports),
        supported=all(pair.test_posts >= options.probe_min_support for pair in chosen),
        pairs=results,
        methods=_figures(list(methods), results, options),
        log_odds_shift=log_odds_shift,
        train_shift=train_shift,
    )


def _candidates(vocabulary: Vocabulary, train: Split, test: Split, implied: sparse.csr_array) -> list[_Pair]:
    uncommon = train.support <= COMMON_SHARE * train.posts.shape[0]
    general = (vocabulary.categories == Category.GENERAL) & uncommon
    enough = (vocabulary.categories == Category.CHARACTER) & (test.support >= 2 * LEAST_SUPPORT)
    pairs = []
    for character in np.flatnonzero(enough).tolist():
        test_posts, on_test = test.counts(character)
        train_posts, on_train = train.counts(character)
        possible = general & (on_test >= LEAST_SUPPORT) & (on_test <= test_posts - LEAST_SUPPORT)
        possible &= (on_train >= LEAST_TRAIN_POSTS) & (on_train <= train_posts - LEAST_TRAIN_POSTS)
        possible[implied[[character]].indices] = False
        for label in np.flatnonzero(possible).tolist():
            known = _known(implied, character, label)
            moved = _moved(*train.counts(character, label), train_posts, on_train, known)
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
    moved: NDArray[np.int64] = labels[false_discovery_control(2 * norm.sf(np.abs(z))) <= FALSE_DISCOVERIES]
    return moved


def _ask(
    methods: dict[str, Scorer],
    model: Model,
    vocabulary: Vocabulary,
    train: Split,
    test: Split,
    implied: sparse.csr_array,
    pairs: list[_Pair],
) -> list[PairResult]:
    together = [[pair.character, pair.label] for pair in pairs]
    alone = [[pair.character] for pair in pairs]
    given = {name: method.scores(together) for name, method in methods.items()}
    before = {name: method.scores(alone) for name, method in methods.items()}
    chance, chance_alone = model.probabilities(together), model.probabilities(alone)
    results = []
    for place, pair in enumerate(pairs):
        known = _known(implied, pair.character, pair.label)
        posts, on_pair = test.counts(pair.character, pair.label)
        character_posts, on_character = test.counts(pair.character)
        for counts in (on_pair, on_character):
            counts[known] = 0
        risen = _risen(test, pair)
        ndcgs, ndcgs_alone, shifts = {}, {}, {}
        for name in methods:
            scores, scores_alone = given[name][place].copy(), before[name][place].copy()
            scores[known] = scores_alone[known] = -np.inf
            ndcgs[name] = ndcg(scores, on_pair) if on_pair.any() else 0.0
            ndcgs_alone[name] = ndcg(scores_alone, on_pair) if on_pair.any() else 0.0
            climbed = np.log(rankdata(-scores_alone)[pair.moved]) - np.log(rankdata(-scores)[pair.moved])
            shifts[name] = rank_correlation(climbed, risen)
        difference = chance[place] - chance_alone[place]
        difference[known] = -np.inf
        odds = logit(np.clip(chance[place][pair.moved], 1e-9, 1 - 1e-9))
        odds_alone = logit(np.clip(chance_alone[place][pair.moved], 1e-9, 1 - 1e-9))
        results.append(
            PairResult(
                character=vocabulary.labels[pair.character],
                label=vocabulary.labels[pair.label],
                train_posts=train.counts(pair.character, pair.label)[0],
                test_posts=posts,
                character_posts=character_posts,
                moved=len(pair.moved),
                gained=_gained(vocabulary, on_pair / posts - on_character / character_posts),
                predicted_gained=_gained(vocabulary, difference),
                ndcg=ndcgs,
                ndcg_alone=ndcgs_alone,
                shift=shifts,
                log_odds_shift=rank_correlation(odds - odds_alone, risen),
                train_shift=rank_correlation(_risen(train, pair), risen),
            )
        )
    return results


def _known(implied: sparse.csr_array, *given: int) -> list[int]:
    return [*given, *implied[list(given)].indices.tolist()]


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


def _figures(names: list[str], results: list[PairResult], options: ProbeOptions) -> dict[str, PairFigures]:
    told = [result for result in results if result.shift[names[0]] is not None]
    ranking = np.array([[result.ndcg[name] for result in results] for name in names])
    alone = np.array([[result.ndcg_alone[name] for result in results] for name in names])
    shift = np.array([[result.shift[name] or 0.0 for result in told] for name in names])
    gain = ranking - alone
    groups = [result.character for result in results]
    groups_told = [result.character for result in told]
    figures = zip(
        mean_intervals(ranking, groups, options),
        mean_intervals(gain, groups, options),
        mean_intervals(shift, groups_told, options),
        mean_intervals(ranking[:1] - ranking, groups, options),
        mean_intervals(gain[:1] - gain, groups, options),
        mean_intervals(shift[:1] - shift, groups_told, options),
        strict=True,
    )
    return {name: PairFigures(*own) for name, own in zip(names, figures, strict=True)}


DEFINITIONS: Final = {
    "pair": (
        "A character and a general label, on at most a fifth of all posts, that changes at least five other labels' "
        "shares of the character's train posts, at a false discovery rate of 5 %. At least three test posts have "
        "both, and as many the character without it."
    ),
    "pair_gain": "NDCG@20 given the pair less NDCG@20 given the character alone, both by the pair's test posts.",
    "pair_shift": (
        "Rank correlation, over these labels, between how far the second label moves them up (log of the rank) and "
        "how much it raises their log-odds on test posts. Train posts' own log-odds say what can be had."
    ),
}
