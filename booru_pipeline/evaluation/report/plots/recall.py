"""A figure of every method, by how much is hidden or by the number of guesses."""

from collections.abc import Collection, Mapping, Sequence

from markupsafe import Markup

from booru_pipeline.evaluation.report.plots.canvas import canvas, label_ends, line_style, svg


def by_share(
    shares: Sequence[float], values: Mapping[str, Sequence[float]], metric: str, best: Collection[str]
) -> Markup:
    """A metric of each method by hidden share.

    Args:
        shares: Hidden shares, ascending.
        values: For each method, its figure at each share.
        metric: What the figure is.
        best: Baselines to bring out.
    """
    percent = [100 * share for share in shares]
    with canvas(3.3) as (figure, axes):
        for method, own in values.items():
            axes.plot(percent, own, marker="o", markersize=4, **line_style(method, best))
        axes.set(xlabel="labels hidden, %", ylabel=metric, ylim=(0, None), xticks=percent)
        label_ends(axes, {method: own[-1] for method, own in values.items()}, best)
        return svg(figure, f"{metric} of each method by the share of labels that are hidden")


def by_guesses(curve: Mapping[str, Sequence[float]], share: str, best: Collection[str]) -> Markup:
    """Mean recall@k of each method, k from 1 to the length of its sequence.

    Args:
        curve: Recall@k by method.
        share: The hidden share in words.
        best: Baselines to bring out.
    """
    most = max(map(len, curve.values()))
    with canvas(3.1) as (figure, axes):
        for method, own in curve.items():
            axes.plot(range(1, len(own) + 1), own, **line_style(method, best))
        axes.set(xlabel="k, number of guesses", ylabel="recall@k", xlim=(1, max(2, most)), ylim=(0, None))
        axes.set_xticks([1, *range(5, most + 1, 5)])
        label_ends(axes, {method: own[-1] for method, own in curve.items()}, best)
        return svg(figure, f"recall of each method by number of guesses, {share} hidden")
