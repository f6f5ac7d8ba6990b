"""The canvas of all plots: size, colours that follow the page's theme, labels at line ends, and the SVG itself."""

import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from booru_pipeline.evaluation.results import BASELINES, MODEL, T5_ALONE

MINUS: Final = "\N{MINUS SIGN}"

# Colours that matplotlib writes and nothing else does, each to become a custom property of the page's style sheet, so
# that a plot follows the light or dark theme.
INK, MUTED, GRID, CARD = "#010101", "#020202", "#030303", "#070707"
MODEL_COLOUR, BEST_COLOUR, OTHER_COLOUR = "#040404", "#050505", "#060606"
_PROPERTIES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    CARD: "--card",
    MODEL_COLOUR: "--model",
    BEST_COLOUR: "--best",
    OTHER_COLOUR: "--other",
}
_DASHES: Final = ("--", ":", "-.", (0, (5, 1)), (0, (1, 3)), (0, (3, 1, 1, 1)), (0, (7, 3)), (0, (3, 1, 1, 1, 1, 1)))
_STYLE: Final[Any] = {  # Any: the stubs want a literal type of every key
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a name with two $ is a name
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 2,
}
_WIDTH: Final = 4.8
"""Inches. Two plots fit side by side on a desk and one on a telephone, with letters of about the same size."""
_LABEL_GAP: Final = 12.5
"""Points between the names of two lines."""


@contextmanager
def canvas(height: float, *, grid: str = "y", width: float = _WIDTH) -> Iterator[tuple[Figure, Axes]]:
    """A figure and its axes in the report's style, which holds as long as the context.

    Args:
        height: In inches.
        grid: Which grid lines are drawn: `x`, `y` or `both`.
        width: In inches.
    """
    with mpl.rc_context({**_STYLE, "axes.grid.axis": grid}):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def line_style(method: str, best: Collection[str]) -> dict[str, Any]:
    """How a method's line is drawn: the model's thick, T5 alone's dashed in its colour, the best baselines' in another.

    The others are grey.

    A baseline has the same dashes in every plot.
    """
    if method == MODEL:
        return {"color": MODEL_COLOUR, "linewidth": 2.6, "zorder": 4}
    if method == T5_ALONE:
        return {"color": MODEL_COLOUR, "linewidth": 1.5, "linestyle": (0, (2, 1.5)), "zorder": 4}
    place = BASELINES.index(method) if method in BASELINES else len(BASELINES)
    dashes = {"linestyle": _DASHES[place % len(_DASHES)]}
    if method in best:
        return {**dashes, "color": BEST_COLOUR, "linewidth": 2, "zorder": 3}
    return {**dashes, "color": OTHER_COLOUR, "linewidth": 1.3, "zorder": 2}


def label_ends(axes: Axes, ends: Mapping[str, float], best: Collection[str]) -> None:
    """Write each line's name to the right of the axes, at the height of its end, moved apart where they would touch.

    Call it when the axes have their final limits.
    """
    low, high = axes.get_ylim()
    names = sorted(ends, key=lambda name: ends[name])
    fraction = [(ends[name] - low) / (high - low) for name in names]
    figure = axes.get_figure()
    height = 72 * (figure.get_figheight() if isinstance(figure, Figure) else 3) * 0.8  # of the axes, about
    for name, end, place in zip(names, fraction, spread(fraction, _LABEL_GAP / height), strict=True):
        style = line_style(name, best)
        axes.annotate(
            name,
            xy=(1.0, end),
            xytext=(1.06, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=style["color"] if name == MODEL or name in best else MUTED,
            fontweight="bold" if name == MODEL else "normal",
            fontsize=9,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GRID, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 2},
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Places in ascending order, moved as little as is simple so that neighbours are `gap` apart."""
    blocks: list[tuple[float, int]] = []  # mean and number of the places that stand together
    for place in places:
        mean, count = place, 1
        while blocks and mean - gap * count / 2 < blocks[-1][0] + gap * blocks[-1][1] / 2:
            before, others = blocks.pop()
            mean, count = (before * others + mean * count) / (others + count), others + count
        blocks.append((mean, count))
    return [mean + gap * (number - (count - 1) / 2) for mean, count in blocks for number in range(count)]


def svg(figure: Figure, description: str, colours: Mapping[str, str] | None = None) -> Markup:
    """The figure as an `<svg>` element without prologue, metadata or fixed size.

    Args:
        figure: The figure.
        description: What it shows, for those who do not see it; no two plots of a page may have the same.
        colours: Custom property of the page's style sheet by colour, of those that only this plot has.
    """
    buffer = io.StringIO()
    # The salt makes element ids the same on every run, and different between the plots of a page.
    with mpl.rc_context({"svg.hashsalt": description}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # nothing refers to them, and every plot has the same ones
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"font: (?:(bold) )?([\d.]+px) [^;\"]*", _font, text)
    for colour, name in {**_PROPERTIES, **(colours or {})}.items():
        text = text.replace(colour, f"var({name})")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1))


def _font(match: re.Match[str]) -> str:
    """The size and weight without the family, which is the page's."""
    weight, size = match.groups()
    return f"font-size: {size}" + (f"; font-weight: {weight}" if weight else "")
