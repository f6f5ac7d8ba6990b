"""Plots for the UI, which shows a PNG that is part of Markdown."""

import base64
import io
from collections.abc import Mapping, Sequence

import dagster as dg


def line_plot(
    lines: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str
) -> dg.MarkdownMetadataValue:
    """Lines of (x, y) points by name, as a picture."""
    from matplotlib.figure import Figure  # half a second that loading the definitions need not cost
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for name, points in lines.items():
        if points:
            axes.plot(
                [x for x, _ in points], [y for _, y in points], label=name, marker="." if len(points) < 30 else ""
            )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    content = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![{y_label} by {x_label}](data:image/png;base64,{content})")
