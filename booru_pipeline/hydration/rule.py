"""The rule: which figures show that C4 knowledge helps, written down before there were any.

It asks for two things at once, because either alone can be had without knowledge: a better start may come from
better-scaled weights, and a held-out label may be told by a word that it shares with others.
"""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from pydantic import computed_field
from pydantic.dataclasses import dataclass

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.hydration.arms import CONTROLS, Arm

SMALL: Final = 0.1  # the largest share of the train posts that the rule looks at
RECALL: Final = "recall@10"
HELD_OUT: Final = "held-out AUC"
FIGURES: Final = (RECALL, HELD_OUT)

RULE: Final = f"""C4 knowledge helps if, at one share of at most {SMALL:.0%} of the train posts, the pre-trained arm is
above each of the arms {", ".join(CONTROLS)} in both figures by more than the 95 % interval, with every seed:
recall@10 of labels that cannot be derived, half of a test post's labels being hidden (paired bootstrap by picture
group); and the mean AUC with which labels that were held out of training are ranked on test posts (paired bootstrap by
label). It harms if, at such a share, the pre-trained arm is below each of the three in both, in the same sense. If it
helps at one share and harms at another the result is mixed. Anything else is no evidence."""


class Outcome(StrEnum):
    """The verdict in a word."""

    HELPS = "helps"
    HARMS = "harms"
    MIXED = "mixed"
    NO_EVIDENCE = "no evidence"
    UNDECIDED = "undecided"


TEXTS: Final = {
    Outcome.HELPS: "C4 knowledge helps: with {shares} of the train posts the pre-trained weights recover more hidden "
    "labels and rank labels that they never saw better than all three controls do.",
    Outcome.HARMS: "C4 knowledge harms: with {shares} of the train posts the pre-trained weights recover fewer hidden "
    "labels and rank labels that they never saw worse than all three controls do.",
    Outcome.MIXED: "Mixed: C4 knowledge helps with some shares of the train posts and harms with others ({shares}).",
    Outcome.NO_EVIDENCE: "No evidence that C4 knowledge helps or harms: with no small share of the train posts does "
    "the pre-trained arm differ from all three controls, in both figures and in one direction, by more than chance.",
    Outcome.UNDECIDED: f"Undecided: the rule looks at shares of at most {SMALL:.0%} of the train posts, and no such "
    "share was run with all four arms.",
}


@dataclass(frozen=True)
class Comparison:
    """The pre-trained arm less a control, with one share of the train posts.

    Attributes:
        share: Of the train posts.
        control: The other arm.
        figure: One of `FIGURES`.
        interval: Of the difference, mean over seeds.
        by_seed: The difference with each seed.
    """

    share: float
    control: Arm
    figure: str
    interval: Interval
    by_seed: tuple[float, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def sign(self) -> int:
        """1 if the pre-trained arm is above by more than the interval and with every seed, -1 if below, else 0."""
        above = self.interval.low > 0 and min(self.by_seed) > 0
        below = self.interval.high < 0 and max(self.by_seed) < 0
        return int(above) - int(below)


@dataclass(frozen=True)
class Verdict:
    """The outcome, and the shares that decide it."""

    outcome: Outcome
    shares: tuple[float, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def text(self) -> str:
        """The verdict in a sentence."""
        return TEXTS[self.outcome].format(shares=" and ".join(f"{100 * share:g} %" for share in self.shares))


def decide(comparisons: Sequence[Comparison]) -> Verdict:
    """Apply the rule; shares that are large, or lack one of the six comparisons, decide nothing."""
    by_share: dict[float, dict[tuple[Arm, str], int]] = defaultdict(dict)
    for item in comparisons:
        if item.share <= SMALL:
            by_share[item.share][item.control, item.figure] = item.sign
    every = set(itertools.product(CONTROLS, FIGURES))
    whole = {share: set(signs.values()) for share, signs in sorted(by_share.items()) if set(signs) == every}
    above, below = ([share for share, signs in whole.items() if signs == {side}] for side in (1, -1))
    if not above and not below:
        return Verdict(Outcome.NO_EVIDENCE if whole else Outcome.UNDECIDED)
    outcome = Outcome.MIXED if above and below else Outcome.HELPS if above else Outcome.HARMS
    return Verdict(outcome, (*above, *below))
