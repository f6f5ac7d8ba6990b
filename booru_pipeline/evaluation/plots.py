"""The report's plots: matplotlib draws them, as SVG that goes inline into the page and takes its colours from it."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from booru_pipeline.evaluation.metrics import Interval
from booru_pipeline.evaluation.summary import CO_OCCURRENCE, METHODS, MODEL, POPULARITY
from booru_pipeline.evaluation.training_log import LossCurve

# Colours that matplotlib writes and nothing else does, each to become a custom property of the page's style sheet, so
# that a plot follows the light or dark theme.
_INK, _MUTED, _GRID = "#010101", "#020202", "#030303"
_COLOURS: Final = {MODEL: "#040404", CO_OCCURRENCE: "#050505", POPULARITY: "#060606"}
_PROPERTIES: Final = {
    _INK: "--ink",
    _MUTED: "--muted",
    _GRID: "--grid",
    _COLOURS[MODEL]: "--model",
    _COLOURS[CO_OCCURRENCE]: "--co-occurrence",
    _COLOURS[POPULARITY]: "--popularity",
}
_DASHES: Final = {MODEL: "-", CO_OCCURRENCE: "--", POPULARITY: ":"}
_STYLE: Final[Any] = {  # Any: the stubs want a literal type of every key
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


def recall_curve(recall: Mapping[str, Sequence[float]]) -> Markup:
    """Mean recall@k of each method, k from 1 to the length of its sequence."""
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas(3.2)
        for method in METHODS:
            ks = range(1, len(recall[method]) + 1)
            axes.plot(ks, recall[method], _DASHES[method], color=_COLOURS[method], label=method)
        axes.set(xlabel="k (guesses)", ylabel="recall@k", xlim=(1, len(recall[MODEL])), ylim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(axes)
        return _svg(figure, "recall of each method by number of guesses")


def differences(intervals: Mapping[str, Interval]) -> Markup:
    """The model's recall less each baseline's, in points, with 95 % interval."""
    with mpl.rc_context({**_STYLE, "axes.grid.axis": "x"}):
        figure, axes = _canvas(1.5)
        for place, (baseline, interval) in enumerate(reversed(list(intervals.items()))):
            mean, low, high = (100 * value for value in (interval.mean, interval.low, interval.high))
            ends = [[mean - low], [high - mean]]
            axes.errorbar(mean, place, xerr=ends, fmt="o", color=_COLOURS[MODEL], capsize=4, elinewidth=2)
            axes.text(mean, place + 0.2, f"{mean:+.1f}".replace("-", "\N{MINUS SIGN}"), ha="center", va="bottom")
            axes.text(-0.02, place, f"vs. {baseline}", transform=axes.get_yaxis_transform(), ha="right", va="center")
        axes.axvline(0, color=_MUTED, linewidth=1.2)
        axes.set(xlabel="model less baseline, percentage points", yticks=[], ylim=(-0.5, len(intervals) - 0.2))
        axes.spines["left"].set_visible(False)
        return _svg(figure, "difference in recall between the model and each baseline")


def category_bars(recall: Mapping[str, Mapping[str, float]]) -> Markup:
    """Recall of hidden labels by category: category -> method -> share found."""
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas(2.8)
        width = 0.26
        for place, method in enumerate(METHODS):
            positions = [group + (place - 1) * width for group in range(len(recall))]
            heights = [by_method[method] for by_method in recall.values()]
            bars = axes.bar(positions, heights, width * 0.9, color=_COLOURS[method], label=method)
            axes.bar_label(bars, fmt="{:.0%}", padding=2, fontsize=9)
        axes.set_xticks(range(len(recall)), list(recall))
        axes.set_ylabel("share found")
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        axes.margins(x=0.05, y=0.12)  # room for the number over the highest bar
        _legend(axes)
        return _svg(figure, "share of hidden labels found, by category and method")


def loss_curve(curve: LossCurve) -> Markup:
    """Training loss by step, and validation loss where it was logged."""
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas(2.8)
        if curve.train:
            axes.plot(*zip(*curve.train, strict=True), color=_COLOURS[MODEL], label="train")
        if curve.validation:
            steps, losses = zip(*curve.validation, strict=True)
            axes.plot(steps, losses, "o--", markersize=4, color=_COLOURS[CO_OCCURRENCE], label="validation")
        axes.set(xlabel="optimizer step", ylabel="loss")
        _legend(axes)
        return _svg(figure, "loss by optimizer step")


def _canvas(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, height), layout="constrained")
    return figure, figure.subplots()


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, handlelength=2.4, labelcolor=_INK)


def _svg(figure: Figure, description: str) -> Markup:
    """The figure as an `<svg>` element without prologue, metadata or fixed size."""
    buffer = io.StringIO()
    # The salt makes element ids the same on every run, and different between the plots of a page.
    with mpl.rc_context({"svg.hashsalt": description}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    for colour, name in _PROPERTIES.items():
        text = text.replace(colour, f"var({name})")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{description}"', 1))
