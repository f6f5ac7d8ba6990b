"""Tables that fit: of several forms of a table, the widest that the terminal holds."""

from rich.measure import Measurement
from rich.table import Table

from booru_pipeline.cli.app import out


def show(*forms: Table) -> None:
    """Print the first form that fits the width, or else the last, folded; the first if another program reads it.

    Args:
        forms: The same content, each narrower than the one before it.
    """
    *wider, last = forms
    out.print(next((form for form in wider if width_of(form) <= out.width), last))


def width_of(form: Table) -> int:
    """Columns of the terminal that it takes if nothing is folded or cut."""
    endless = out.options.update(max_width=10_000)
    return Measurement.get(out, endless, form).maximum
