"""The first lines of the page: the verdict, and a card for each hidden share."""

from collections.abc import Mapping
from dataclasses import dataclass

from booru_pipeline.evaluation.report.findings import Findings
from booru_pipeline.evaluation.report.page.words import NARROW
from booru_pipeline.evaluation.report.verdict import outcome_of
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
    lost = " at any hidden share" if several else ""
    if not findings.t5_alone:
        if answer is None:
            return f"The model does not beat every baseline{lost}"
        return f"The model beats every baseline{answer}{', and not otherwise' if ' with ' in answer else ''}"
    if answer is None:
        if not _is_behind_some(findings.results):
            beside = "T5 alone is behind some" if _is_behind_some(findings.t5_alone) else "nor is T5 alone"
            if t5 is not None:
                beside = f"T5 alone beats every one{t5}"
            return f"The answer is behind no baseline{lost}, {beside}"
        found = f"T5 alone does{t5}" if t5 is not None else "nor does T5 alone"
        return f"The answer does not beat every baseline{lost}, {found}"
    if t5 is None:
        return f"The answer beats every baseline{answer}, T5 alone {'at none' if several else 'does not'}"
    return f"The answer beats every baseline{answer}, {'and so does T5 alone' if t5 == answer else f'T5 alone{t5}'}"


def _is_behind_some(results: Mapping[float, BaselineComparison]) -> bool:
    """Whether a baseline is ahead at some share, by a whole interval."""
    return any(is_behind(lead) for result in results.values() for lead in result.baselines.values())


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
