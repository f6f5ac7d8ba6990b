"""What the page says first."""

from collections.abc import Sequence
from dataclasses import dataclass

from booru_pipeline.evaluation.report.page.words import percent
from booru_pipeline.evaluation.report.summary import EvaluationSummary
from booru_pipeline.evaluation.results import MODEL, Difference, Figures, Result

GOOD, MIXED, BAD = "good", "mixed", "bad"


@dataclass(frozen=True)
class Tile:
    """The outcome at one hidden share.

    Attributes:
        share: The share.
        posts: Posts behind it.
        model: The model's figures.
        baseline: The strongest baseline's name.
        other: Its figures.
        difference: The model less this baseline.
        state: `good`, `mixed` or `bad`.
        outcome: The same in words.
    """

    share: float
    posts: int
    model: Figures
    baseline: str
    other: Figures
    difference: Difference
    state: str
    outcome: str


def title(summary: EvaluationSummary) -> str:
    """Whether the model beats the baselines, in one sentence; a leak takes its place."""
    if summary.leaks:
        return "Leak: do not trust these numbers"
    beaten = [share for share, result in summary.shares.items() if result.beats_baselines]
    if len(beaten) == len(summary.shares):
        return "The model beats every baseline" + (" at every hidden share" if len(beaten) > 1 else "")
    if not beaten:
        return "The model does not beat every baseline" + (" at any hidden share" if len(summary.shares) > 1 else "")
    shares = _listed([percent(share) for share in beaten])
    return f"The model beats every baseline with {shares} of the labels hidden, and not otherwise"


def tiles(summary: EvaluationSummary) -> list[Tile]:
    """One for each hidden share."""
    return [_tile(share, result) for share, result in summary.shares.items()]


def _tile(share: float, result: Result) -> Tile:
    best = result.best_baseline
    behind = [name for name, difference in result.differences.items() if difference.is_behind]
    unclear = [
        name for name, difference in result.differences.items() if not difference.is_ahead and not difference.is_behind
    ]
    if behind:
        outcome, own = f"behind {_listed(behind)}", BAD
    elif unclear:
        outcome, own = f"no clear lead over {_listed(unclear)}", MIXED
    else:
        outcome, own = "beats every baseline", GOOD
    return Tile(
        share=share,
        posts=result.posts,
        model=result.methods[MODEL],
        baseline=best,
        other=result.methods[best],
        difference=result.differences[best],
        state=own,
        outcome=outcome,
    )


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
