"""The headline in plain sentences, which make no more of it than it shows."""

from collections.abc import Mapping

from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.results import (
    MODEL,
    MRR,
    RECALL,
    T5_ALONE,
    BaselineComparison,
    is_ahead,
    is_behind,
    listed,
    shares_in_words,
)

Results = Mapping[float, BaselineComparison]


def verdict(results: Results, alone: Results, leaks: Leaks, *, posts: int, pictures: int) -> str:
    """Say whether the answer, and T5 alone, beat the baselines, at each share, and by how much.

    Args:
        results: By hidden share.
        alone: The same of T5 alone; empty where the answer is its own.
        leaks: They come first.
        posts: Test posts scored.
        pictures: Pictures that they show.
    """
    lines = [f"Leak: do not trust these numbers. {leaks}."] if leaks else []
    lines.append(_outcome("The answer" if alone else "The model", results))
    if alone:
        lines.append(_outcome("T5 alone", alone))
    lines.append(
        f"Asked for were labels of {posts:,} held-out posts ({pictures:,} pictures) that no implication of the others "
        "gives away."
    )
    lines += [_share_sentence(share, result, alone.get(share)) for share, result in results.items()]
    return " ".join(lines)


def _outcome(who: str, results: Results) -> str:
    """What holds of it, and then what does not: at which shares all baselines are beaten, or how many always are."""
    beaten = [share for share, result in results.items() if result.beats_baselines]
    if len(beaten) == len(results):
        return f"{who} beats every baseline at every hidden share, in {RECALL} and MRR."
    if beaten:
        return (
            f"{who} beats every baseline with {shares_in_words(beaten)} of the labels hidden, in {RECALL} and MRR; "
            f"with {shares_in_words(results.keys() - beaten)} hidden it does not."
        )
    always, total, behind = standing(results)
    found = [f"beats {len(always)} of {total} baselines at every hidden share, in {RECALL} and MRR"] if always else []
    if not behind:
        found.append("is behind none" if always else "is behind no baseline at any hidden share")
    unclear = [name for name in next(iter(results.values())).baselines if name not in always]
    why = (
        f"is behind {listed([f'{name} with {shares_in_words(shares)} hidden' for name, shares in behind.items()])}"
        if behind
        else f"has no clear lead over {listed(unclear)}"
    )
    holds = ", and ".join(found) or "beats no baseline at every hidden share"
    return f"{who} {holds}; at no share does it beat all of them: it {why}."


def standing(results: Results) -> tuple[list[str], int, dict[str, list[float]]]:
    """How a method stands among the baselines.

    Returns:
        The baselines that it beats at every share, of how many, and at which shares it is behind each of the others.
    """
    names = list(next(iter(results.values())).baselines)
    always = [name for name in names if all(is_ahead(result.baselines[name]) for result in results.values())]
    behind = {name: [share for share, result in results.items() if is_behind(result.baselines[name])] for name in names}
    return always, len(names), {name: shares for name, shares in behind.items() if shares}


def _share_sentence(share: float, result: BaselineComparison, alone: BaselineComparison | None) -> str:
    """The model beside the strongest baseline, which others it does not beat, and how T5 alone stands."""
    best = result.best_baseline
    model, other, difference = result.methods[MODEL], result.methods[best], result.differences[best]
    unbeaten = [name for name, lead in result.baselines.items() if name != best and not is_ahead(lead)]
    also = f"; not clearly ahead of {listed(unbeaten)}" if unbeaten else ""
    t5 = ""
    if alone is not None:
        own = alone.methods[T5_ALONE]
        t5 = f" T5 alone has {own[RECALL]:.3f} and {own[MRR]:.3f}, {outcome_of(alone)}."
    return (
        f"{100 * share:.3g} % hidden: {RECALL} {model[RECALL]:.3f}, and {other[RECALL]:.3f} of {best}, the strongest "
        f"baseline ({_interval(difference[RECALL])}); MRR {model[MRR]:.3f} and {other[MRR]:.3f} "
        f"({_interval(difference[MRR])}){also}.{t5}"
    )


def outcome_of(result: BaselineComparison) -> str:
    """How one method stands among the baselines: behind some, ahead of all, or without a clear lead over some."""
    behind = [name for name, difference in result.baselines.items() if is_behind(difference)]
    not_ahead = [name for name, difference in result.baselines.items() if not is_ahead(difference)]
    if behind:
        return f"behind {listed(behind)}"
    return f"no clear lead over {listed(not_ahead)}" if not_ahead else "ahead of every baseline"


def _interval(difference: Interval) -> str:
    return f"{difference.mean:+.3f}, 95 % interval {difference.low:+.3f} to {difference.high:+.3f}"
