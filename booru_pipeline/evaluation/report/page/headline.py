"""The first lines of the page: the verdict, and a card for each hidden share."""

from dataclasses import dataclass

from booru_pipeline.evaluation.report.findings import Findings
from booru_pipeline.evaluation.report.page.words import listed, percent
from booru_pipeline.evaluation.results import BaselineComparison, is_ahead, is_behind

GOOD, MIXED, BAD = "good", "mixed", "bad"


@dataclass(frozen=True)
class Tile:
    """The outcome at one hidden share.

    Attributes:
        share: The share.
        result: What was found at it.
        state: `good`, `mixed` or `bad`.
        outcome: The same in words.
    """

    share: float
    result: BaselineComparison
    state: str
    outcome: str


def title(findings: Findings) -> str:
    """Whether the model beats the baselines, in one sentence; a leak takes its place."""
    if findings.leaks:
        return "Leak: do not trust these numbers"
    results = findings.results
    beaten = [share for share, result in results.items() if result.beats_baselines]
    if len(beaten) == len(results):
        return "The model beats every baseline" + (" at every hidden share" if len(beaten) > 1 else "")
    if not beaten:
        return "The model does not beat every baseline" + (" at any hidden share" if len(results) > 1 else "")
    shares = listed([percent(share) for share in beaten])
    return f"The model beats every baseline with {shares} of the labels hidden, and not otherwise"


def tiles(findings: Findings) -> list[Tile]:
    """One for each hidden share."""
    return [_tile(share, result) for share, result in findings.results.items()]


def _tile(share: float, result: BaselineComparison) -> Tile:
    behind = [name for name, difference in result.differences.items() if is_behind(difference)]
    not_ahead = [name for name, difference in result.differences.items() if not is_ahead(difference)]
    if behind:
        return Tile(share, result, BAD, f"behind {listed(behind)}")
    if not_ahead:
        return Tile(share, result, MIXED, f"no clear lead over {listed(not_ahead)}")
    return Tile(share, result, GOOD, "beats every baseline")
