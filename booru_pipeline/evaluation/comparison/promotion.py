"""Whether a checkpoint may be promoted: the rule."""

from collections.abc import Iterator, Mapping

from booru_pipeline.evaluation.comparison.compare import PARENT, PROMOTED, Comparison
from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.figures.ranks import heading
from booru_pipeline.evaluation.results import BaselineComparison, Difference


def find_losses(shares: Mapping[float, BaselineComparison], comparison: Comparison | None, leaks: Leaks) -> list[str]:
    """Why a checkpoint may not be promoted, a phrase each; it may if there is nothing to say.

    The rule. It loses to another where the whole 95 % interval of the difference lies below 0, in recall@10 or in MRR,
    on labels that are not derivable, at one hidden share or more. It may be promoted if it loses neither to the best
    baseline of each share, nor to its parent, nor to the promoted checkpoint, and nothing lies on two sides of the
    split. Not to lose is not to win: `beats_baselines` says that.

    Args:
        shares: Model and baselines, by hidden share.
        comparison: Model and earlier checkpoints; None for the first release.
        leaks: What lies on two sides of the split.
    """
    found = [f"{leaks}, so its figures are not to be trusted"] if leaks else []
    for share, result in shares.items():
        best = result.best_baseline
        found += _behind(share, best, result.differences[best])
    beside = {PARENT: comparison.parent, PROMOTED: comparison.promoted} if comparison is not None else {}
    for name, standing in beside.items():
        if standing is not None:
            other = f"the {name} checkpoint of {standing.release}"
            for compared in standing.shares:
                found += _behind(compared.hidden_share, other, compared.differences[name])
    return found


def _behind(share: float, other: str, difference: Difference) -> Iterator[str]:
    for metric, interval in difference.items():
        if interval.high < 0:
            yield (
                f"{heading(metric)} is behind {other} with {100 * share:.3g} % hidden "
                f"({interval.mean:+.3f}, 95 % interval {interval.low:+.3f} to {interval.high:+.3f})"
            )
