"""The first lines of the page: the verdict, and a card for each hidden share."""

from collections.abc import Mapping
from dataclasses import dataclass

from booru_pipeline.evaluation.report.findings import Findings
from booru_pipeline.evaluation.report.page.words import NARROW
from booru_pipeline.evaluation.report.verdict import outcome_of, standing
from booru_pipeline.evaluation.results import BaselineComparison, is_ahead, is_behind, shares_in_words

GOOD, MIXED, BAD = "good", "mixed", "bad"


@dataclass(frozen=True)
class Tile:
    """The outcome at one hidden share.

    Attributes:
        share: The share.
        result: What was found at it.
        state: `good`, `mixed` or `bad`.
        outcome: The same in words.
        t5: What was found of T5 alone; None where the answer is its own.
        t5_outcome: How it stands, in words.
    """

    share: float
    result: BaselineComparison
    state: str
    outcome: str
    t5: BaselineComparison | None = None
    t5_outcome: str = ""


def title(findings: Findings) -> str:
    """Whether the answer, and T5 alone, beat the baselines, in one sentence; a leak takes its place."""
    if findings.leaks:
        return "Leak: do not trust these numbers"
    answer, t5 = _where(findings.results), _where(findings.t5_alone)
    several = len(findings.results) > 1
    who = "The answer" if findings.t5_alone else "The model"
    if answer is None:
        return f"{who} {_short_of_all(findings.results)}{_beside(findings.results, findings.t5_alone)}"
    if not findings.t5_alone:
        return f"{who} beats every baseline{answer}{', and not otherwise' if ' with ' in answer else ''}"
    if t5 is None:
        return f"{who} beats every baseline{answer}, T5 alone {'at none' if several else 'does not'}"
    return f"{who} beats every baseline{answer}, {'and so does T5 alone' if t5 == answer else f'T5 alone{t5}'}"


def _short_of_all(results: Mapping[float, BaselineComparison]) -> str:
    """What holds of a method that beats every baseline at no share."""
    always, total, behind = standing(results)
    several = len(results) > 1
    if not behind:
        return f"is behind no baseline{' at any hidden share' if several else ''}"
    if not always:
        return f"does not beat every baseline{' at any hidden share' if several else ''}"
    return f"beats {len(always)} of {total} baselines{' at every hidden share' if several else ''}"


def _beside(answer: Mapping[float, BaselineComparison], alone: Mapping[float, BaselineComparison]) -> str:
    """How T5 alone stands beside such an answer."""
    if not alone:
        return ""
    if (beaten := _where(alone)) is not None:
        return f", T5 alone beats every one{beaten}"
    always, total, behind = standing(alone)
    if not behind:
        return ", T5 alone is behind none" if standing(answer)[2] else ", nor is T5 alone"
    return f", T5 alone beats {len(always)} of {total}" if always else ", T5 alone is behind some"


def _where(results: Mapping[float, BaselineComparison]) -> str | None:
    """At which shares all baselines are beaten, to follow such words; None at none."""
    beaten = [share for share, result in results.items() if result.beats_baselines]
    if not beaten:
        return None
    if len(beaten) == len(results):
        return " at every hidden share" if len(beaten) > 1 else ""
    return f" with {shares_in_words(beaten).replace(' %', NARROW + '%')} of the labels hidden"


def tiles(findings: Findings) -> list[Tile]:
    """One for each hidden share."""
    alone = findings.t5_alone
    return [_tile(share, result, alone.get(share)) for share, result in findings.results.items()]


def _tile(share: float, result: BaselineComparison, alone: BaselineComparison | None) -> Tile:
    differences = result.baselines.values()
    state = BAD if any(map(is_behind, differences)) else GOOD if all(map(is_ahead, differences)) else MIXED
    return Tile(share, result, state, outcome_of(result), alone, outcome_of(alone) if alone else "")
