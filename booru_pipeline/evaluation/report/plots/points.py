"""Plots of points: the model less each baseline with intervals, and every method on parts of a question."""

from collections.abc import Mapping
from statistics import median
from typing import Final

from markupsafe import Markup
from matplotlib.axes import Axes

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.report.plots.canvas import (
    BEST_COLOUR,
    CARD,
    GRID,
    MINUS,
    MODEL_COLOUR,
    MUTED,
    OTHER_COLOUR,
    canvas,
    svg,
)
from booru_pipeline.evaluation.results import MODEL, MRR, RECALL, T5_ALONE, BaselineComparison, Difference

_FAR: Final = 2.0
"""A difference of more than this many medians would squeeze the others: it is drawn at the edge, as an arrow."""


def forest(differences: Mapping[str, Difference], share: str) -> Markup:
    """The model less each baseline in recall@10 and in MRR, in points, with 95 % intervals; the closest on top."""
    names = sorted(differences, key=lambda name: differences[name][RECALL].mean, reverse=True)
    pairs = [(differences[name][RECALL], differences[name][MRR]) for name in names]
    limit = 100 * _FAR * max(median(abs(pair[kind].mean) for pair in pairs) for kind in (0, 1))
    drawn = [interval for pair in pairs for interval in pair if abs(100 * interval.mean) <= limit]
    least, most = (
        min([0.0, *(100 * interval.low for interval in drawn)]),
        max([0.5, *(100 * interval.high for interval in drawn)]),
    )
    least, most = least - 0.06 * (most - least), most + 0.1 * (most - least)
    with canvas(0.75 + 0.38 * len(names), grid="x") as (figure, axes):
        axes.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
        for place, (recall, mrr) in enumerate(pairs):
            _draw(axes, place + 0.15, recall, (least, most), MODEL_COLOUR, MODEL_COLOUR)
            _draw(axes, place - 0.17, mrr, (least, most), BEST_COLOUR, CARD)
        axes.set(xlim=(least, most), ylim=(-0.6, len(names) - 0.4), yticks=range(len(names)), yticklabels=names)
        axes.tick_params(axis="y", pad=6)
        axes.set_xlabel("model less baseline, points")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", MINUS) if value else "0")
        axes.spines["left"].set_visible(False)
        return svg(figure, f"the model less each baseline in recall@10 and MRR with 95 % intervals, {share} hidden")


def _draw(axes: Axes, place: float, interval: Interval, limits: tuple[float, float], colour: str, inside: str) -> None:
    mean, low, high = (100 * value for value in (interval.mean, interval.low, interval.high))
    if limits[0] <= mean <= limits[1]:
        axes.errorbar(
            mean,
            place,
            xerr=[[mean - low], [high - mean]],
            fmt="o" if inside == colour else "s",
            markersize=4.5,
            color=colour,
            markerfacecolor=inside,
            elinewidth=1.8,
            zorder=3,
        )
        return
    edge, side = (limits[1], -1) if mean > limits[1] else (limits[0], 1)
    marker = ">" if side < 0 else "<"
    axes.plot(edge, place, marker, color=colour, markerfacecolor=inside, markersize=5, clip_on=False, zorder=3)
    axes.annotate(
        f"{mean:+.0f}".replace("-", MINUS),
        xy=(edge, place),
        xytext=(7 * side, 0),
        textcoords="offset points",
        ha="right" if side < 0 else "left",
        va="center",
        fontsize=8,
        color=MUTED,
    )


def dots(parts: Mapping[str, BaselineComparison], what: str, share: str) -> Markup:
    """Recall@10 of every method on each part: the model, the part's best baseline, T5 alone, and the others as ticks.

    Args:
        parts: By name, the first on top.
        what: What the parts are, in words.
        share: The hidden share in words.
    """
    names = list(parts)[::-1]
    with canvas(1.0 + 0.42 * len(names), grid="x") as (figure, axes):
        seen: set[str] = set()
        for place, name in enumerate(names):
            result = parts[name]
            values = {method: result.figure(method, RECALL) for method in result.methods}
            best = result.best_baseline
            others = [value for method, value in values.items() if method not in (MODEL, T5_ALONE, best)]
            axes.plot([min(values.values()), max(values.values())], [place] * 2, color=GRID, linewidth=2, zorder=1)
            drawn = (
                ("other baselines", others, "|", OTHER_COLOUR, 9),
                ("best baseline", [values[best]], "s", BEST_COLOUR, 6),
                (T5_ALONE, [values[T5_ALONE]] if T5_ALONE in values else [], "x", MODEL_COLOUR, 6),
                ("model", [values[MODEL]], "o", MODEL_COLOUR, 8),
            )
            for order, (legend, shown, marker, colour, size) in enumerate(drawn, start=2):
                label = legend if shown and legend not in seen else None
                if shown:
                    seen.add(legend)
                axes.plot(
                    shown, [place] * len(shown), marker, color=colour, markersize=size, zorder=order, label=label,
                    linestyle="none",
                )  # fmt: skip
        axes.set(xlabel=RECALL, xlim=(0, None), ylim=(-0.6, len(names) - 0.4))
        axes.set_yticks(range(len(names)), names)
        axes.spines["left"].set_visible(False)
        columns = 2 if T5_ALONE in seen else 3  # four in a row are wider than the plot
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=columns,
            borderaxespad=0,
            handletextpad=0.2,
            columnspacing=1.2,
        )
        return svg(figure, f"{RECALL} of each method {what}, {share} hidden")
