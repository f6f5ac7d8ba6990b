"""Tables that fit: the widest form that the terminal holds, and all of it where another program reads the output."""

from collections.abc import Sequence

from rich.console import Group
from rich.measure import Measurement
from rich.table import Table

from booru_pipeline.cli.app import out


def show(*forms: Table | Group) -> None:
    """Print the first form that fits the width, or else the last, folded.

    Args:
        forms: The same content, each narrower than the one before it.
    """
    *wider, last = forms
    out.print(next((form for form in wider if fits(form)), last))


def fits(form: Table | Group, spare: int = 0) -> bool:
    """Whether nothing of it is folded or cut.

    Args:
        form: What is to be printed.
        spare: Columns that it may be wider than the terminal.
    """
    wide = out.options.update(width=10_000, max_width=10_000)
    return Measurement.get(out, wide, form).maximum <= out.width + spare


def rows_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, plain: bool = False) -> Table:
    """A table of texts with rich's markup, in which nothing but the last column is folded."""
    table = Table(box=None, header_style="bold", pad_edge=False) if plain else Table()
    for number, heading in enumerate(headings):
        table.add_column(heading, no_wrap=number < len(headings) - 1, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
