"""The report's plots: SVG that goes inline into the page and takes its colours from it."""

import io
import re
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from booru_pipeline.hydration.arms import Arm
from booru_pipeline.hydration.findings import Row

# Colours that matplotlib writes and nothing else does, each to become a custom property of the page's style sheet.
_INK, _MUTED, _GRID = "#010101", "#020202", "#030303"
_COLOURS: Final = {arm: f"#0404{number:02d}" for number, arm in enumerate(Arm, start=10)}
_MARKS: Final = {Arm.PRETRAINED: "o-", Arm.RANDOM: "s--", Arm.PERMUTED: "^-.", Arm.OPAQUE: "D:"}
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
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


def by_share(rows: Sequence[Row], figure: str, label: str) -> Markup:
    """A figure of each arm by share of the train posts, with 95 % intervals.

    Args:
        rows: By arm and share.
        figure: `recall` or `held_out`.
        label: Of the vertical axis.
    """
    with mpl.rc_context(_STYLE):
        canvas = Figure(figsize=(7.2, 3.2), layout="constrained")
        axes = canvas.subplots()
        shares = sorted({row.share for row in rows})
        for place, arm in enumerate(Arm):
            own = sorted((row for row in rows if row.arm is arm), key=lambda row: row.share)
            intervals = [getattr(row, figure) for row in own]
            means = [interval.mean for interval in intervals]
            ends = [
                [max(0.0, interval.mean - interval.low) for interval in intervals],
                [max(0.0, interval.high - interval.mean) for interval in intervals],
            ]
            where = [100 * row.share * 1.03 ** (place - 1.5) for row in own]  # side by side, not on one another
            axes.errorbar(where, means, yerr=ends, fmt=_MARKS[arm], color=_COLOURS[arm], label=arm.value, capsize=3)
        axes.set_xscale("log")
        axes.set_xticks([100 * share for share in shares], [f"{100 * share:g} %" for share in shares])
        axes.minorticks_off()
        axes.set(xlabel="share of the train posts (logarithmic)", ylabel=label)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0, labelcolor=_INK)
        return _svg(canvas, f"{label} by share of the train posts, for each arm")


def _svg(figure: Figure, description: str) -> Markup:
    """The figure as an `<svg>` element without prologue, metadata or fixed size."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": description}):  # the same ids each time, and other ones in each plot
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    properties = {_INK: "ink", _MUTED: "muted", _GRID: "grid", **{_COLOURS[arm]: arm.value for arm in Arm}}
    for colour, name in properties.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{description}"', 1))
