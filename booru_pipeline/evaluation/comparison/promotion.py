"""Whether a checkpoint may be promoted: the rule, and one sentence about it for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from booru_pipeline.evaluation.comparison.compare import PARENT, PROMOTED, Comparison
from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.ranks import heading
from booru_pipeline.evaluation.results import HEADLINE, BaselineComparison, Difference, listed, shares_in_words

_NAMED: Final = 2
"""Baselines that the sentence names with what they are ahead in; of more it gives the number."""


@dataclass(frozen=True)
class Loss:
    """A difference whose whole 95 % interval lies below 0."""

    other: str
    share: float
    metric: str
    interval: Interval

    def __str__(self) -> str:
        mean, low, high = self.interval.mean, self.interval.low, self.interval.high
        return (
            f"{heading(self.metric)} is behind {self.other} with {100 * self.share:.3g} % hidden "
            f"({mean:+.3f}, 95 % interval {low:+.3f} to {high:+.3f})"
        )


@dataclass(frozen=True)
class Judgement:
    """What speaks against promoting a checkpoint.

    Attributes:
        flaws: What lets no figure speak for it.
        to_baselines: Its losses to baselines.
        to_earlier: Its losses to earlier checkpoints.
        ahead: The hidden shares at which it is ahead of every baseline.
        shares: All of them.
        rivals: The earlier checkpoints that it was compared with.
    """

    flaws: Sequence[str]
    to_baselines: Sequence[Loss]
    to_earlier: Sequence[Loss]
    ahead: Sequence[float]
    shares: Sequence[float]
    rivals: Sequence[str] = field(default_factory=tuple)

    @property
    def losses(self) -> list[str]:
        """Why it may not be promoted, a phrase each with its figures; it may if there is nothing to say."""
        return [*self.flaws, *map(str, [*self.to_baselines, *self.to_earlier])]

    @property
    def sentence(self) -> str:
        """The same as one sentence for people: why it may not be promoted, or else how it stands."""
        if not self.losses:
            return self._standing()
        behind = list(_of_baselines(self.to_baselines)) + list(_by_other(self.to_earlier))
        found = [f"{'it is ' if self.flaws else ''}behind {listed(behind)}"] if behind else []
        return ", and ".join([*self.flaws, *found])

    def _standing(self) -> str:
        if not self.ahead:
            lead = "not clearly ahead of every baseline at any hidden share"
        elif len(self.ahead) == len(self.shares):
            lead = "ahead of every baseline at every hidden share"
        else:
            lead = f"ahead of every baseline at {shares_in_words(self.ahead)} hidden"
        nor = "".join(f", nor behind {rival}" for rival in self.rivals)
        return f"{lead}, behind none{nor}"


def judge(
    shares: Mapping[float, BaselineComparison],
    comparison: Comparison | None,
    leaks: Leaks,
    *,
    has_learned: bool | None = None,
) -> Judgement:
    """Judge a checkpoint by the rule.

    What is promoted is the answer. It loses to another where the whole 95 % interval of the difference lies below 0, in
    recall@10 or in MRR, on labels that are not derivable, at one hidden share or more. It may be promoted if it loses
    to no baseline, neither to its parent nor to the promoted checkpoint, has left the plateau on which training starts,
    and nothing lies on two sides of the split. Not to lose is not to win: `beats_baselines` says that.

    Args:
        shares: Model and baselines, by hidden share.
        comparison: Model and earlier checkpoints; None for the first release.
        leaks: What lies on two sides of the split.
        has_learned: Whether training found more than the most frequent labels; None if the checkpoint does not say.
    """
    flaws = [f"{leaks}, so its figures are not to be trusted"] if leaks else []
    if has_learned is False:
        flaws.append("it found no more on validation posts than the most frequent labels do")
    to_baselines = [
        loss
        for share, result in shares.items()
        for name, difference in result.baselines.items()
        for loss in _losses(share, name, difference)
    ]
    to_earlier: list[Loss] = []
    rivals: list[str] = []
    beside = {PARENT: comparison.parent, PROMOTED: comparison.promoted} if comparison is not None else {}
    for name, standing in beside.items():
        if standing is not None:
            said = "promoted checkpoint" if name == PROMOTED else "checkpoint"
            rivals.append(f"the {said} of {standing.release}")
            for compared in standing.shares:
                to_earlier += _losses(compared.hidden_share, rivals[-1], compared.differences[name])
    ahead = [share for share, result in shares.items() if result.beats_baselines]
    return Judgement(flaws, to_baselines, to_earlier, ahead, list(shares), rivals)


def _losses(share: float, other: str, difference: Difference) -> Iterator[Loss]:
    for metric, interval in difference.items():
        if interval.high < 0:
            yield Loss(other, share, metric, interval)


def _of_baselines(losses: Sequence[Loss]) -> Iterator[str]:
    others = {loss.other for loss in losses}
    if len(others) > _NAMED:
        yield f"{len(others)} baselines with {shares_in_words(loss.share for loss in losses)} hidden"
    else:
        yield from _by_other(losses)


def _by_other(losses: Sequence[Loss]) -> Iterator[str]:
    """`naive Bayes in MRR with 90 % hidden`, for each that is ahead; "or" where it is not ahead in both everywhere."""
    for other in dict.fromkeys(loss.other for loss in losses):
        own = [loss for loss in losses if loss.other == other]
        metrics = [metric for metric in HEADLINE if metric in {loss.metric for loss in own}]
        shares = {loss.share for loss in own}
        between = " and " if len(own) == len(metrics) * len(shares) else " or "
        yield f"{other} in {between.join(map(heading, metrics))} with {shares_in_words(shares)} hidden"
