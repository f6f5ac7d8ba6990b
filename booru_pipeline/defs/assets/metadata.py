"""Metadata for the UI: paths, tables, commands, plots."""

import base64
import io
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from booru_pipeline.pipeline.settings import Folders


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


def location(folders: Folders, path: Path) -> dict[str, dg.MetadataValue[Any]]:
    """Metadata that says where an artifact is."""
    store = folders.lake.store
    url = store.url_of(folders.lake.name_of(path)) if store is not None else None
    return {"path": dg.MetadataValue.path(str(path)), **({"in the store": dg.MetadataValue.text(url)} if url else {})}


def open_with(*command: str | Path) -> dict[str, dg.MetadataValue[Any]]:
    """Metadata with a line that opens the artifact when it is pasted into a shell."""
    return {"open with": dg.MetadataValue.text(shlex.join(str(word) for word in command))}


def show_parquet(files: Path) -> tuple[str, str, str]:
    """The command that shows the first rows of Parquet files."""
    return "python", "-c", f"import duckdb; duckdb.read_parquet({str(files)!r}).limit(10).show()"


def table_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dg.MetadataValue[Any]:
    """Rows as a table in the UI."""
    records = [dg.TableRecord({name: _plain(value) for name, value in zip(names, row, strict=True)}) for row in rows]
    return (
        dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name) for name in names]))
        if records
        else dg.MetadataValue.text("none")
    )


def _plain(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
