"""Plots of lines: recall by share and by guesses, how probabilities come true, the loss.

A share that is given as text is the hidden share in words.
"""

from collections.abc import Collection, Mapping, Sequence

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from booru_pipeline.evaluation.figures.reliability import Reliability
from booru_pipeline.evaluation.report.plots.canvas import (
    BEST_COLOUR,
    CARD,
    GRID,
    MODEL_COLOUR,
    MUTED,
    canvas,
    label_ends,
    line_style,
    svg,
)
from booru_pipeline.model.provenance import LossCurve


def by_share(
    shares: Sequence[float], values: Mapping[str, Sequence[float]], metric: str, best: Collection[str]
) -> Markup:
    """A metric of each method by hidden share, the shares ascending; the best baselines are brought out."""
    percent = [100 * share for share in shares]
    with canvas(3.3) as (figure, axes):
        for method, figures in values.items():
            axes.plot(percent, figures, marker="o", markersize=4, **line_style(method, best))
        axes.set(xlabel="labels hidden, %", ylabel=metric, ylim=(0, None), xticks=percent)
        label_ends(axes, {method: figures[-1] for method, figures in values.items()}, best)
        return svg(figure, f"{metric} of each method by the share of labels that are hidden")


def by_guesses(curve: Mapping[str, Sequence[float]], share: str, best: Collection[str]) -> Markup:
    """Mean recall@k of each method, k from 1 to the length of its sequence; the best baselines are brought out."""
    most = max(map(len, curve.values()))
    with canvas(3.1) as (figure, axes):
        for method, recall in curve.items():
            axes.plot(range(1, len(recall) + 1), recall, **line_style(method, best))
        axes.set(xlabel="k, number of guesses", ylabel="recall@k", xlim=(1, max(2, most)), ylim=(0, None))
        axes.set_xticks([1, *range(5, most + 1, 5)])
        label_ends(axes, {method: recall[-1] for method, recall in curve.items()}, best)
        return svg(figure, f"recall of each method by number of guesses, {share} hidden")


def reliability_plot(calibration: Reliability, asked: str, alone: Reliability | None = None) -> Markup:
    """Of guesses of like probability, the share that was right, against the mean probability.

    Args:
        calibration: The model's.
        asked: What was asked, in words.
        alone: The T5's alone, drawn behind; None if there is none.
    """
    with canvas(3.1, grid="both") as (figure, axes):
        axes.plot([0, 100], [0, 100], "--", color=MUTED, linewidth=1.2, label="exact")
        if alone is not None:
            at, right = _points(alone)
            (line,) = axes.plot(at, right, "s-", color=BEST_COLOUR, markersize=4, linewidth=1.2, label="T5 alone")
            line.set_markerfacecolor(CARD)
        probability, found = _points(calibration)
        axes.vlines(probability, probability, found, color=GRID, linewidth=2)  # how far off each is
        axes.plot(probability, found, "o-", color=MODEL_COLOUR, markersize=4.5, linewidth=1.4, label="model")
        ticks = range(0, 101, 20)
        axes.set(
            xlabel="probability, %", ylabel="right, % of guesses", xlim=(0, 100), ylim=(0, 100), xticks=ticks,
            yticks=ticks,
        )  # fmt: skip
        axes.legend(loc="upper left")
        return svg(figure, f"share of guesses that are right by their probability, {asked}")


def _points(calibration: Reliability) -> tuple[list[float], list[float]]:
    """Probability and share found of each bin, in percent."""
    bins = calibration.bins
    return [100 * one.probability for one in bins], [100 * one.found for one in bins]


def loss_curve(curve: LossCurve) -> Markup:
    """Training loss by step, and validation loss where it was logged."""
    with canvas(3.0) as (figure, axes):
        if curve.train:
            axes.plot(*zip(*curve.train, strict=True), color=MODEL_COLOUR, linewidth=1.6, label="train batches")
        if curve.validation:
            steps, losses = zip(*curve.validation, strict=True)
            axes.plot(steps, losses, "s--", markersize=5, color=BEST_COLOUR, label="validation posts")
        axes.set(xlabel="optimizer steps", ylabel="loss, nats")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.legend(loc="upper right")
        return svg(figure, "loss by optimizer step")
