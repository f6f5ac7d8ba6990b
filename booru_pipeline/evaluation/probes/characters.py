"""A character alone, against the labels of held-out posts that show it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.probing import NDCG_K, mean_intervals, ndcg, rank_correlation, wilson
from booru_pipeline.evaluation.finding import Count, Finding, Share, definitions
from booru_pipeline.evaluation.probes.counts import Exam, Supported, choose, compare_methods
from booru_pipeline.tags import Category

TOP: Final = 20
EXPECTED_SHARE: Final = 0.1
"""Calibrated probabilities are held against the intervals of labels that are as likely as this, see `asked`."""


class Observed(Finding):
    """A label on the test posts that show a character."""

    label: str
    posts: Count = Field(description="How many of them have it.")
    share: Share = Field(description="The same over all of them.")
    low: float = Field(description="Lower end of the share's 95 % Wilson interval.")
    high: float = Field(description="Its upper end.")
    probability: Share = Field(
        description="The model's calibrated probability of the label, given the character alone."
    )


class CharacterResult(Finding):
    """A character alone, against the labels of test posts that show it. Labels that it implies are left out."""

    character: str = Field(description="Its label.")
    train_posts: Count = Field(description="Train posts that have it.")
    test_posts: Count = Field(description="Test posts that have it.")
    observed: list[Observed] = Field(
        description=f"The {TOP} labels most frequent on these posts, the first first; ties in vocabulary order."
    )
    predicted: list[str] = Field(description=f"The model's {TOP} first guesses.")
    ndcg: dict[str, float] = Field(
        description=f"Sum over the first {NDCG_K} guesses of the label's frequency / log2(1 + rank), over the largest "
        "sum there could be. Labels of equal score share out their gains."
    )
    spearman: dict[str, float | None] = Field(
        description="Rank correlation of scores and frequencies, over the labels that occur on those test posts."
    )
    asked: Count = Field(
        description="Labels whose probability is held against the interval. Test posts have no say in which, as that "
        "would favour labels that happen to be frequent there."
    )
    within: Count = Field(
        description="Of the labels on a tenth of the character's train posts, or given this probability by the model: "
        "how many probabilities lie in the Wilson interval of the share of test posts. 95 % if they were exact."
    )


class CharacterFigures(Finding):
    """A method over all characters. Means with 95 % intervals, bootstrap over characters; null with fewer than two."""

    ndcg: Interval | None = Field(description=f"Mean NDCG@{NDCG_K}.")
    spearman: Interval | None = Field(description="Mean rank correlation.")
    ndcg_behind: Interval | None = Field(description="The model's less this method's; 0 for the model itself.")
    spearman_behind: Interval | None = Field(description="The same of the rank correlation.")


class CharacterFindings(Supported):
    """Characters alone."""

    characters: list[CharacterResult] = Field(description="Those probed, the most frequent on test posts first.")
    methods: dict[str, CharacterFigures] = Field(description="Each method's figures over them.")
    within: Interval | None = Field(
        description="Share of the model's probabilities that lie in their interval, bootstrap over characters: 0.95 if "
        "they were exact. null with fewer than two characters."
    )


def probe_characters(exam: Exam) -> CharacterFindings:
    """Give each of the most frequent characters alone, and compare with the test posts that show it."""
    options = exam.options
    rows = np.flatnonzero(exam.vocabulary.categories == Category.CHARACTER)
    supports = exam.test.support[rows]
    places, supported = choose(supports.tolist(), least=options.probe_min_support, limit=options.probe_characters)
    characters = rows[places].tolist()
    contexts = [[row] for row in characters]
    results: list[CharacterResult] = []
    hits: list[float] = []
    if characters:
        answers = {name: method.scores(contexts) for name, method in exam.methods.items()}
        chances = exam.model.probabilities(contexts)
        for place, character in enumerate(characters):
            scores = {name: answer[place].copy() for name, answer in answers.items()}
            result, within = _probe(exam, scores, chances[place], character)
            results.append(result)
            hits += within
    found = compare_methods(results, ("ndcg", "spearman"), exam)
    owners = [result.character for result in results for _ in range(result.asked)]
    return CharacterFindings(
        min_support=options.probe_min_support,
        eligible=int(np.count_nonzero(supports >= options.probe_min_support)),
        supported=supported,
        characters=results,
        methods={name: CharacterFigures(**figures) for name, figures in found.items()},
        within=mean_intervals([hits], owners, options)[0],
    )


def _probe(
    exam: Exam, scores: dict[str, NDArray[np.float32]], chance: NDArray[np.floating], character: int
) -> tuple[CharacterResult, list[float]]:
    """The result, and 1 for each probability asked that lies within its interval, 0 for the others."""
    labels, known = exam.vocabulary.labels, exam.closed(character)
    train_posts, on_train = exam.train.counts(character)
    test_posts, on_test = exam.test.counts(character)
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
    model = next(iter(scores.values()))
    result = CharacterResult(
        character=labels[character],
        train_posts=train_posts,
        test_posts=test_posts,
        observed=[_observed(labels[row], int(on_test[row]), test_posts, float(chance[row])) for row in observed],
        predicted=[labels[row] for row in np.argsort(-model, kind="stable")[:TOP] if np.isfinite(model[row])],
        ndcg={name: ndcg(row, on_test) if len(seen) else 0.0 for name, row in scores.items()},
        spearman={name: rank_correlation(row[seen], on_test[seen]) for name, row in scores.items()},
        asked=len(asked),
        within=int(sum(hits)),
    )
    return result, hits


def _observed(label: str, posts: int, of: int, probability: float) -> Observed:
    low, high = wilson(posts, of)
    return Observed(label=label, posts=posts, share=posts / of, low=low, high=high, probability=probability)


DEFINITIONS: Final = {
    "character_alone": (
        "A character's label is the only one given. Frequencies are shares of the test posts that show it; the "
        "character itself and what Danbooru's implications add to it are left out."
    ),
    **definitions(CharacterResult, ndcg_at_20="ndcg", spearman="spearman"),
    "wilson": "95 % score interval of a share of test posts (Wilson 1927).",
    **definitions(CharacterResult, "within"),
}
