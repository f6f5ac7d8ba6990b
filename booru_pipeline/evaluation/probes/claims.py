"""The README's claims by name: yes, as rare as in the posts, or no, with probability and rank."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.evaluation.figures.probing import wilson
from booru_pipeline.evaluation.finding import Count, Finding, Share
from booru_pipeline.evaluation.probes.counts import Exam

YES_RANK: Final = 10
"""The answer is yes if an expected label is among this many first guesses."""
CLOSE: Final = 0.05
"""A probability agrees with a share of test posts that is no farther off, however many posts that rests on."""
LEARNED: Final = 0.1
"""And with one of train posts. Their interval is no measure: on few posts it holds whatever an ignorant model says."""
RARE: Final = 0.25
"""A label on less than this share of the posts is called rare."""

_Interval = tuple[float, float]


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


class Answer(StrEnum):
    """What the model makes of a claim."""

    YES = "yes"
    AS_IN_THE_POSTS = "as in the posts"
    NO = "no"


class ClaimResult(Finding):
    """The model's answer to a claim. Where it cannot be asked there is no answer: all from `label` on is null."""

    given: str = Field(description="The label that is given alone, as the claim names it.")
    implied: tuple[str, ...] = Field(description="The labels of which one is expected, as the claim names them.")
    readme: bool = Field(description="Whether the origin's README makes the claim.")
    missing: tuple[str, ...] = Field(
        description="Names of the claim that are, aliases resolved, not in the vocabulary. Without `given`, or without "
        "every one of `implied`, there is no answer."
    )
    label: str | None = Field(None, description="The best ranked of the expected labels, by its canonical name.")
    named: str | None = Field(None, description="How the claim names it: `label` itself or an alias of it.")
    rank: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Its rank among all labels but the given one, 1 is best; ties count against the claim."
    )
    probability: Share | None = Field(None, description="Its calibrated probability.")
    answer: Answer | None = Field(
        None,
        description=f"yes: the rank is {YES_RANK} or better. as in the posts: it is not, but the probability agrees "
        f"with the posts: it lies within {LEARNED} of `train_share`, and within {CLOSE} of `test_share` or in the 95 % "
        "Wilson interval of that. no: neither, so that the model has not learned what the posts show.",
    )
    holds: bool | None = Field(None, description="Whether the answer is not no.")
    train_posts: Count | None = Field(None, description="Train posts that have `given`.")
    train_share: Share | None = Field(None, description="Share of these that have `label`; null without such posts.")
    train_rank: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Its rank by this share: what a table of counts would answer. A claim with a worse one than "
        f"{YES_RANK} says more than the posts do.",
    )
    test_posts: Count | None = Field(None, description="Test posts that have `given`.")
    test_share: Share | None = Field(None, description="Share of these that have `label`; null without such posts.")
    test_low: Share | None = Field(None, description="Lower end of the share's 95 % Wilson interval.")
    test_high: Share | None = Field(None, description="Its upper end.")
    by_implication: bool | None = Field(
        None,
        description="Whether `given` implies `label` by Danbooru's implications, so that a look-up says it too.",
    )

    @property
    def expected(self) -> str:
        """The label as a table has it: `rabbit_ears (bunny_ears)`, an alias behind; without an answer, the claim's."""
        if self.label is None or self.named is None:
            return " or ".join(self.implied)
        return self.label if self.label == self.named else f"{self.label} ({self.named})"

    @property
    def words(self) -> str:
        """The answer for a person, such as `as rare as in the posts: 13 %`, of train and test posts; empty without."""
        if self.answer is not Answer.AS_IN_THE_POSTS:
            return self.answer or ""
        train, test = self.train_posts or 0, self.test_posts or 0
        share = (train * (self.train_share or 0) + test * (self.test_share or 0)) / max(1, train + test)
        often = "rare" if share < RARE else "often"
        return f"as {often} as in the posts: {100 * share:.0f}\N{NO-BREAK SPACE}%"


def probe_claims(exam: Exam, claims: Sequence[Claim] = CLAIMS) -> list[ClaimResult]:
    """Ask the model each claim."""
    index, canonical = exam.vocabulary.index, exam.relations.canonical
    rows = {name: index.get(canonical(name)) for claim in claims for name in (claim.given, *claim.implied)}
    given = [row for row in dict.fromkeys(rows[claim.given] for claim in claims) if row is not None]
    contexts = [[row] for row in given]
    scores = dict(zip(given, exam.model.scores(contexts), strict=True)) if given else {}
    chances = dict(zip(given, exam.model.probabilities(contexts), strict=True)) if given else {}
    results = []
    for claim in claims:
        asked = rows[claim.given]
        expected = {name: row for name in claim.implied if (row := rows[name]) is not None}
        missing = tuple(name for name in (claim.given, *claim.implied) if rows[name] is None)
        answer = _answer(exam, asked, expected, scores[asked], chances[asked]) if asked is not None and expected else {}
        results.append(
            ClaimResult(given=claim.given, implied=claim.implied, readme=claim.readme, missing=missing, **answer)
        )
    return results


def _answer(
    exam: Exam, given: int, expected: dict[str, int], scores: NDArray[np.floating], chance: NDArray[np.floating]
) -> dict[str, Any]:
    ranks = {name: int(np.count_nonzero(scores >= scores[row])) for name, row in expected.items()}
    named = min(ranks, key=lambda name: ranks[name])
    best = expected[named]
    label = exam.vocabulary.labels[best]
    train_posts, on_train = exam.train.counts(given)
    test_posts, on_test = exam.test.counts(given)
    on_train[given] = -1  # it does not stand in the way
    probability, rank = float(chance[best]), ranks[named]
    train_rank = int(np.count_nonzero(on_train >= on_train[best])) if train_posts else None
    share = int(on_test[best]) / test_posts if test_posts else None
    interval = wilson(int(on_test[best]), test_posts) if test_posts else None
    train_share = int(on_train[best]) / train_posts if train_posts else None
    agrees = _agrees(probability, train_share, share, interval)
    answer = Answer.YES if rank <= YES_RANK else Answer.AS_IN_THE_POSTS if agrees else Answer.NO
    return {
        "label": label,
        "named": named,
        "rank": rank,
        "probability": probability,
        "answer": answer,
        "holds": answer is not Answer.NO,
        "train_posts": train_posts,
        "train_share": train_share,
        "train_rank": train_rank,
        "test_posts": test_posts,
        "test_share": share,
        "test_low": interval[0] if interval else None,
        "test_high": interval[1] if interval else None,
        "by_implication": label in exam.relations.closure([exam.vocabulary.labels[given]]),
    }


def _agrees(probability: float, train_share: float | None, share: float | None, interval: _Interval | None) -> bool:
    """Whether a probability is what train posts teach, and held-out posts do not contradict it."""
    if train_share is None or share is None or interval is None:
        return False
    learned = abs(probability - train_share) <= LEARNED
    return learned and (abs(probability - share) <= CLOSE or interval[0] <= probability <= interval[1])
