"""Questions that a person would ask of the model: does it know what the README says, and what a character implies?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from booru_pipeline.category import Category
from booru_pipeline.evaluation.baselines import Contexts, Scorer
from booru_pipeline.evaluation.posts import Posts
from booru_pipeline.labels.vocabulary import Vocabulary

YES_RANK: Final = 10
"""A claim holds if a label it expects is among this many first guesses."""
TOP: Final = 10
LEAST_TEST_POSTS: Final = 3


class Model(Scorer, Protocol):
    """A scorer that also gives calibrated probabilities."""

    def probabilities(self, contexts: Contexts) -> NDArray[np.floating]:
        """Probability in [0, 1] that a post with these visible labels has each label: [len(contexts), labels]."""
        ...


@dataclass(frozen=True)
class Claim:
    """A post with the label `given` tends to have one of the labels `implied`."""

    given: str
    implied: tuple[str, ...]


CLAIMS: Final = (
    Claim("usada_pekora", ("rabbit_ears",)),
    Claim("usada_pekora", ("carrot", "carrot_hair_ornament")),
    Claim("gawr_gura", ("shark_tail", "shark_hood", "shark_girl", "fish_tail")),
    Claim("hatsune_miku", ("twintails",)),
    Claim("hatsune_miku", ("aqua_hair",)),
    Claim("hakurei_reimu", ("hair_bow", "detached_sleeves")),
    Claim("kirisame_marisa", ("witch_hat",)),
    Claim("shirakami_fubuki", ("fox_ears",)),
    Claim("inugami_korone", ("dog_ears",)),
)


@dataclass(frozen=True)
class ClaimResult:
    """What the model answers to a claim.

    Attributes:
        given: The label that is given alone.
        implied: The labels of which one is expected.
        missing: Labels of the claim that the vocabulary lacks. Without `given`, or without every one of `implied`,
            there is no answer and what follows is None.
        label: The best ranked of the expected labels.
        rank: Its rank among all labels, 1 is best.
        probability: Its calibrated probability.
        holds: Whether the rank is YES_RANK or better.
        test_posts: Test posts that have `given`.
        test_share: Share of these that have `label`; None without such posts.
    """

    given: str
    implied: tuple[str, ...]
    missing: tuple[str, ...]
    label: str | None = None
    rank: int | None = None
    probability: float | None = None
    holds: bool | None = None
    test_posts: int | None = None
    test_share: float | None = None


@dataclass(frozen=True)
class CharacterResult:
    """A character alone, against the labels of test posts that show it.

    Attributes:
        character: The label.
        train_posts: Train posts that have it.
        test_posts: Test posts that have it.
        observed: The TOP labels most frequent on these posts, the first first; ties in vocabulary order.
        predicted: The model's TOP first guesses.
        overlap: For each method, how many of its first TOP guesses are among `observed`.
        spearman: For each method, the rank correlation of its scores with the labels' frequencies, over the labels
            that these posts have; None where all are equally frequent.
    """

    character: str
    train_posts: int
    test_posts: int
    observed: list[str]
    predicted: list[str]
    overlap: dict[str, int]
    spearman: dict[str, float | None]


def probe_claims(
    model: Model, vocabulary: Vocabulary, test: Posts, claims: Sequence[Claim] = CLAIMS
) -> list[ClaimResult]:
    """Ask the model each claim."""
    return [_probe_claim(model, vocabulary, test, claim) for claim in claims]


def _probe_claim(model: Model, vocabulary: Vocabulary, test: Posts, claim: Claim) -> ClaimResult:
    missing = tuple(label for label in (claim.given, *claim.implied) if label not in vocabulary.index)
    expected = [vocabulary.index[label] for label in claim.implied if label in vocabulary.index]
    if claim.given in missing or not expected:
        return ClaimResult(claim.given, claim.implied, missing)
    given = vocabulary.index[claim.given]
    scores = model.scores([[given]])[0]
    # Ties count against the claim, as they do in the metrics.
    ranks = {label: int(np.count_nonzero(scores >= scores[label])) for label in expected}
    best = min(ranks, key=lambda label: ranks[label])
    showing = [own for own in test.labels if given in own]
    return ClaimResult(
        claim.given,
        claim.implied,
        missing,
        label=vocabulary.labels[best],
        rank=ranks[best],
        probability=float(model.probabilities([[given]])[0, best]),
        holds=ranks[best] <= YES_RANK,
        test_posts=len(showing),
        test_share=sum(best in own for own in showing) / len(showing) if showing else None,
    )


def probe_characters(
    methods: dict[str, Scorer], vocabulary: Vocabulary, train: Posts, test: Posts, *, limit: int
) -> list[CharacterResult]:
    """Give each of the most frequent characters alone, and compare with the test posts that show it.

    Args:
        methods: Scorers by name; `predicted` is what the first one says.
        vocabulary: The labels.
        train: The whole train split, to count in.
        test: The whole test split.
        limit: Characters at most; those on fewer than LEAST_TEST_POSTS test posts are left out.
    """
    support = np.bincount(np.concatenate(test.labels), minlength=len(vocabulary))
    eligible = (vocabulary.categories == Category.CHARACTER) & (support >= LEAST_TEST_POSTS)
    characters = sorted(np.flatnonzero(eligible).tolist(), key=lambda row: (-int(support[row]), row))[:limit]
    if not characters:
        return []
    answers = {name: method.scores([[row] for row in characters]) for name, method in methods.items()}
    results = []
    for place, character in enumerate(characters):
        showing = [own for own in test.labels if character in own]
        frequency = np.bincount(np.concatenate(showing), minlength=len(vocabulary))
        frequency[character] = 0
        seen = np.flatnonzero(frequency)
        observed = [row for row in _first(frequency) if frequency[row]]
        guesses = {name: _first(scores[place]) for name, scores in answers.items()}
        results.append(
            CharacterResult(
                character=vocabulary.labels[character],
                train_posts=sum(character in own for own in train.labels),
                test_posts=len(showing),
                observed=[vocabulary.labels[row] for row in observed],
                predicted=[vocabulary.labels[row] for row in next(iter(guesses.values()))],
                overlap={name: len(set(observed) & set(first)) for name, first in guesses.items()},
                spearman={name: _spearman(scores[place][seen], frequency[seen]) for name, scores in answers.items()},
            )
        )
    return results


def _first(scores: NDArray[Any]) -> list[int]:
    order: list[int] = np.argsort(-scores, kind="stable")[:TOP].tolist()
    return order


def _spearman(scores: NDArray[np.floating], frequency: NDArray[np.integer]) -> float | None:
    if len(scores) < 3 or np.ptp(frequency) == 0 or np.ptp(scores) == 0:
        return None
    return float(spearmanr(scores, frequency).statistic)
