"""The headline in plain sentences, which make no more of it than it shows."""

from collections.abc import Mapping, Sequence

from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.report.page.words import listed
from booru_pipeline.evaluation.results import MODEL, MRR, RECALL, BaselineComparison, is_ahead


def verdict(results: Mapping[float, BaselineComparison], leaks: Leaks, *, posts: int, pictures: int) -> str:
    """Say whether the model beats the baselines, at each share, and by how much.

    Args:
        results: By hidden share.
        leaks: They come first.
        posts: Test posts scored.
        pictures: Pictures that they show.
    """
    lines = [f"Leak: do not trust these numbers. {leaks}."] if leaks else []
    beaten = [share for share, result in results.items() if result.beats_baselines]
    if len(beaten) == len(results):
        lines.append("The model beats every baseline at every hidden share, in recall@10 and MRR.")
    elif beaten:
        missed = [share for share in results if share not in beaten]
        lines.append(
            f"The model beats every baseline with {_shares(beaten)} of the labels hidden, in recall@10 and MRR; "
            f"with {_shares(missed)} hidden it does not."
        )
    else:
        lines.append("The model beats every baseline in recall@10 and MRR at no hidden share.")
    lines.append(
        f"Asked for were labels of {posts:,} held-out posts ({pictures:,} pictures) that no implication of the others "
        "gives away."
    )
    lines += [_share_sentence(share, result) for share, result in results.items()]
    return " ".join(lines)


def _share_sentence(share: float, result: BaselineComparison) -> str:
    """The model beside the strongest baseline, and which others it does not beat."""
    best = result.best_baseline
    model, other, difference = result.methods[MODEL], result.methods[best], result.differences[best]
    unbeaten = [name for name, lead in result.differences.items() if name != best and not is_ahead(lead)]
    also = f"; not clearly ahead of {listed(unbeaten)}" if unbeaten else ""
    return (
        f"{100 * share:.3g} % hidden: {RECALL} {model[RECALL]:.3f}, and {other[RECALL]:.3f} of {best}, the strongest "
        f"baseline ({_interval(difference[RECALL])}); MRR {model[MRR]:.3f} and {other[MRR]:.3f} "
        f"({_interval(difference[MRR])}){also}."
    )


def _interval(difference: Interval) -> str:
    return f"{difference.mean:+.3f}, 95 % interval {difference.low:+.3f} to {difference.high:+.3f}"


def _shares(shares: Sequence[float]) -> str:
    return f"{listed([f'{100 * share:.3g}' for share in shares])} %"
