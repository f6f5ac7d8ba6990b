"""A character alone, against the labels of held-out posts that show it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.probing import NDCG_K, mean_intervals, ndcg, rank_correlation, wilson
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.counts import Split, Supported, choose
from booru_pipeline.evaluation.scorer import Model, Scorer
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.vocabulary import Vocabulary

TOP: Final = 20
EXPECTED_SHARE: Final = 0.1
"""Calibrated probabilities are held against the intervals of labels that are as likely as this, see `asked`."""


@dataclass(frozen=True)
class Observed:
    """A label on the test posts that show a character.

    Attributes:
        label: The label.
        posts: How many of them have it.
        share: The same over all of them.
        low: Lower end of the share's 95 % Wilson interval.
        high: Upper end.
        probability: The model's calibrated probability of the label, given the character alone.
    """

    label: str
    posts: int
    share: float
    low: float
    high: float
    probability: float


@dataclass(frozen=True)
class CharacterResult:
    """A character alone, against the labels of test posts that show it. Labels that it implies are left out.

    Attributes:
        character: The label.
        train_posts: Train posts that have it.
        test_posts: Test posts that have it.
        observed: The TOP labels most frequent on these posts, the first first; ties in vocabulary order.
        predicted: The model's TOP first guesses.
        ndcg: For each method, the NDCG@20 of its ranking, a label's gain being its share of these posts.
        spearman: For each method, the rank correlation of its scores with these shares, over the labels that these
            posts have; None where all are equally frequent.
        asked: Labels whose probability is held against the interval: those on EXPECTED_SHARE of the character's train
            posts, or that the model gives this probability. Neither looks at test posts, which would favour labels
            that happen to be frequent there.
        within: How many of these probabilities lie in the 95 % Wilson interval of the share of test posts.
    """

    character: str
    train_posts: int
    test_posts: int
    observed: list[Observed]
    predicted: list[str]
    ndcg: dict[str, float]
    spearman: dict[str, float | None]
    asked: int
    within: int


@dataclass(frozen=True)
class CharacterFigures:
    """A method over all characters. Means with 95 % intervals, bootstrap over characters; None with fewer than two.

    Attributes:
        ndcg: Mean NDCG@20.
        spearman: Mean rank correlation.
        ndcg_behind: The model's NDCG@20 less this method's; 0 for the model itself.
        spearman_behind: The same of the rank correlation.
    """

    ndcg: Interval | None
    spearman: Interval | None
    ndcg_behind: Interval | None
    spearman_behind: Interval | None


@dataclass(frozen=True)
class CharacterFindings(Supported):
    """Characters alone.

    Attributes:
        characters: Those probed, the most frequent on test posts first.
        methods: Each method's figures over them.
        within: Share of the model's probabilities that lie in their interval, bootstrap over characters: 0.95 if they
            were exact. None with fewer than two characters.
    """

    characters: list[CharacterResult]
    methods: dict[str, CharacterFigures]
    within: Interval | None


def probe_characters(
    methods: dict[str, Scorer],
    model: Model,
    vocabulary: Vocabulary,
    train: Split,
    test: Split,
    implied: sparse.csr_array,
    options: ProbeOptions,
) -> CharacterFindings:
    """Give each of the most frequent characters alone, and compare with the test posts that show it.

    Args:
        methods: Every scorer by name, the model first.
        model: The model, for its probabilities.
        vocabulary: The labels.
        train: The train split.
        test: The test split. Validation posts do not count: the probabilities were calibrated on them.
        implied: See `derivable.implied_matrix`.
        options: How many characters, and how much support.
    """
    rows = np.flatnonzero(vocabulary.categories == Category.CHARACTER)
    supports = test.support[rows]
    places, supported = choose(supports.tolist(), least=options.probe_min_support, limit=options.probe_characters)
    characters = rows[places].tolist()
    contexts = [[row] for row in characters]
    results, hits, owners = [], [], []
    if characters:
        answers = {name: method.scores(contexts) for name, method in methods.items()}
        chances = model.probabilities(contexts)
        for place, character in enumerate(characters):
            scores = {name: answer[place].copy() for name, answer in answers.items()}
            result, within = _probe(scores, chances[place], vocabulary, train, test, implied, character)
            results.append(result)
            hits += within
            owners += [result.character] * len(within)
    return CharacterFindings(
        min_support=options.probe_min_support,
        eligible=int(np.count_nonzero(supports >= options.probe_min_support)),
        supported=supported,
        characters=results,
        methods=_figures(list(methods), results, options),
        within=mean_intervals([hits], owners, options)[0],
    )


def _probe(
    scores: dict[str, NDArray[np.float32]],
    chance: NDArray[np.floating],
    vocabulary: Vocabulary,
    train: Split,
    test: Split,
    implied: sparse.csr_array,
    character: int,
) -> tuple[CharacterResult, list[float]]:
    """The result, and 1 for each probability asked that lies within its interval, 0 for the others."""
    known = [character, *implied[[character]].indices.tolist()]
    train_posts, on_train = train.counts(character)
    test_posts, on_test = test.counts(character)
    for counts in (on_train, on_test):
        counts[known] = 0
    for row in scores.values():
        row[known] = -np.inf
    expected = (on_train >= EXPECTED_SHARE * max(1, train_posts)) | (chance >= EXPECTED_SHARE)
    expected[known] = False
    asked = np.flatnonzero(expected).tolist()
    intervals = [wilson(int(on_test[row]), test_posts) for row in asked]
    hits = [float(low <= chance[row] <= high) for row, (low, high) in zip(asked, intervals, strict=True)]
    seen = np.flatnonzero(on_test)
    observed = [row for row in np.argsort(-on_test, kind="stable")[:TOP].tolist() if on_test[row]]
    own = next(iter(scores.values()))
    result = CharacterResult(
        character=vocabulary.labels[character],
        train_posts=train_posts,
        test_posts=test_posts,
        observed=[
            Observed(
                vocabulary.labels[row],
                int(on_test[row]),
                int(on_test[row]) / test_posts,
                *wilson(int(on_test[row]), test_posts),
                probability=float(chance[row]),
            )
            for row in observed
        ],
        predicted=[vocabulary.labels[row] for row in np.argsort(-own, kind="stable")[:TOP] if np.isfinite(own[row])],
        ndcg={name: ndcg(row, on_test) if len(seen) else 0.0 for name, row in scores.items()},
        spearman={name: rank_correlation(row[seen], on_test[seen]) for name, row in scores.items()},
        asked=len(asked),
        within=int(sum(hits)),
    )
    return result, hits


def _figures(names: list[str], results: list[CharacterResult], options: ProbeOptions) -> dict[str, CharacterFigures]:
    model = names[0]
    told = [result for result in results if result.spearman[model] is not None]

    ranking = np.array([[result.ndcg[name] for result in results] for name in names])
    order = np.array([[result.spearman[name] or 0.0 for result in told] for name in names])
    groups = [result.character for result in results]
    groups_told = [result.character for result in told]
    figures = zip(
        mean_intervals(ranking, groups, options),
        mean_intervals(order, groups_told, options),
        mean_intervals(ranking[:1] - ranking, groups, options),
        mean_intervals(order[:1] - order, groups_told, options),
        strict=True,
    )
    return {name: CharacterFigures(*own) for name, own in zip(names, figures, strict=True)}


DEFINITIONS: Final = {
    "character_alone": (
        "A character's label is the only one given. Frequencies are shares of the test posts that show it; the "
        "character itself and what Danbooru's implications add to it are left out."
    ),
    "ndcg_at_20": (
        f"Sum over the first {NDCG_K} guesses of the label's frequency / log2(1 + rank), over the largest sum there "
        "could be. Labels of equal score share out their gains."
    ),
    "spearman": "Rank correlation of scores and frequencies, over the labels that occur on those test posts.",
    "wilson": "95 % score interval of a share of test posts (Wilson 1927).",
    "within": (
        "Of the labels on a tenth of the character's train posts, or given this probability by the model: how many "
        "probabilities lie in the Wilson interval of the share of test posts. 95 % if they were exact."
    ),
}
