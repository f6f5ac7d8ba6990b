"""The README's claims by name: yes or no, with probability and rank."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.probes.counts import Split
from booru_pipeline.evaluation.scorer import Model
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary

YES_RANK: Final = 10
"""A claim holds if a label it expects is among this many first guesses."""


@dataclass(frozen=True)
class Claim:
    """A post with the label `given` tends to have one of the labels `implied`; any may be named by an alias.

    Attributes:
        given: The label given alone.
        implied: The labels of which one is expected.
        readme: Whether the origin's README makes the claim; the others are ours.
    """

    given: str
    implied: tuple[str, ...]
    readme: bool = False


CLAIMS: Final = (
    Claim("usada_pekora", ("bunny_ears",), readme=True),
    Claim("usada_pekora", ("carrot",), readme=True),
    Claim("usada_pekora", ("carrot_hair_ornament",)),
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
        given: The label that is given alone, as the claim names it.
        implied: The labels of which one is expected, as the claim names them.
        readme: Whether the origin's README makes the claim.
        missing: Names of the claim that are, aliases resolved, not in the vocabulary. Without `given`, or without every
            one of `implied`, there is no answer and what follows is None.
        label: The best ranked of the expected labels, by its canonical name.
        named: How the claim names it: `label` itself or an alias of it.
        rank: Its rank among all labels but the given one, 1 is best; ties count against the claim.
        probability: Its calibrated probability.
        holds: Whether the rank is YES_RANK or better.
        train_posts: Train posts that have `given`.
        train_share: Share of these that have `label`; None without such posts.
        train_rank: Its rank by this share: what a table of counts would answer. A claim with a worse one than YES_RANK
            says more than the posts do.
        test_posts: Test posts that have `given`.
        test_share: Share of these that have `label`; None without such posts.
        by_implication: Whether `given` implies `label` by Danbooru's implications, so that a look-up says it too.
    """

    given: str
    implied: tuple[str, ...]
    readme: bool
    missing: tuple[str, ...]
    label: str | None = None
    named: str | None = None
    rank: int | None = None
    probability: float | None = None
    holds: bool | None = None
    train_posts: int | None = None
    train_share: float | None = None
    train_rank: int | None = None
    test_posts: int | None = None
    test_share: float | None = None
    by_implication: bool | None = None

    @property
    def expected(self) -> str:
        """What a table shows: `rabbit_ears (bunny_ears)`, an alias behind; without an answer, the claim's own names."""
        if self.label is None or self.named is None:
            return " or ".join(self.implied)
        return self.label if self.label == self.named else f"{self.label} ({self.named})"


def probe_claims(
    model: Model,
    vocabulary: Vocabulary,
    train: Split,
    test: Split,
    relations: Relations,
    claims: Sequence[Claim] = CLAIMS,
) -> list[ClaimResult]:
    """Ask the model each claim."""
    rows = {
        name: vocabulary.index.get(relations.canonical(name))
        for claim in claims
        for name in (claim.given, *claim.implied)
    }
    given = [row for row in dict.fromkeys(rows[claim.given] for claim in claims) if row is not None]
    scores = dict(zip(given, model.scores([[row] for row in given]), strict=True)) if given else {}
    chances = dict(zip(given, model.probabilities([[row] for row in given]), strict=True)) if given else {}
    results = []
    for claim in claims:
        asked = rows[claim.given]
        expected = {name: row for name in claim.implied if (row := rows[name]) is not None}
        missing = tuple(name for name in (claim.given, *claim.implied) if rows[name] is None)
        result = ClaimResult(claim.given, claim.implied, claim.readme, missing)
        if asked is not None and expected:
            result = _answer(result, asked, expected, scores[asked], chances[asked], vocabulary, train, test, relations)
        results.append(result)
    return results


def _answer(
    question: ClaimResult,
    given: int,
    expected: dict[str, int],
    scores: NDArray[np.floating],
    chance: NDArray[np.floating],
    vocabulary: Vocabulary,
    train: Split,
    test: Split,
    relations: Relations,
) -> ClaimResult:
    ranks = {name: int(np.count_nonzero(scores >= scores[row])) for name, row in expected.items()}
    named = min(ranks, key=lambda name: ranks[name])
    best = expected[named]
    label = vocabulary.labels[best]
    train_posts, on_train = train.counts(given)
    test_posts, on_test = test.counts(given)
    on_train[given] = -1  # it does not stand in the way
    return replace(
        question,
        label=label,
        named=named,
        rank=ranks[named],
        probability=float(chance[best]),
        holds=ranks[named] <= YES_RANK,
        train_posts=train_posts,
        train_share=int(on_train[best]) / train_posts if train_posts else None,
        train_rank=int(np.count_nonzero(on_train >= on_train[best])) if train_posts else None,
        test_posts=test_posts,
        test_share=int(on_test[best]) / test_posts if test_posts else None,
        by_implication=label in relations.closure([vocabulary.labels[given]]),
    )
