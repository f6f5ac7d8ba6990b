"""Numbers as the page writes them."""

from typing import Final

from booru_pipeline.evaluation.figures.bootstrap import Interval

MINUS: Final = "\N{MINUS SIGN}"
NARROW: Final = "\N{NO-BREAK SPACE}"
NOTHING: Final = "\N{EN DASH}"


def percent(share: float) -> str:
    """0.5 as `50 %`, which does not break between the two."""
    return f"{100 * share:.3g}{NARROW}%"


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return NOTHING if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def count(value: int | None) -> str:
    """A whole number with thousands marked, or a dash."""
    return NOTHING if value is None else f"{value:,}"


def whole_percent(share: float | None) -> str:
    """0.683 as `68 %`, or a dash."""
    return NOTHING if share is None else f"{100 * share:.0f}{NARROW}%"


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign: `+0.028`; what rounds to nothing has none."""
    text = f"{value:+.{digits}f}"
    return (text if float(text) else text[1:]).replace("-", MINUS)


def points(difference: float) -> str:
    """A difference of shares in points, with its sign: `+2.8`."""
    return signed(100 * difference, 1)


def points_interval(interval: Interval | None) -> str:
    """A difference in points with its interval: `+2.8 (+2.2 to +3.4)`."""
    if interval is None:
        return NOTHING
    return f"{points(interval.mean)} ({points(interval.low)} to {points(interval.high)})"


def signed_interval(interval: Interval) -> str:
    """A difference with its interval: `+0.028 (+0.022 to +0.034)`."""
    return f"{signed(interval.mean)} ({signed(interval.low)} to {signed(interval.high)})"


def interval(found: Interval | None, digits: int = 3) -> str:
    """A mean with its interval: `0.894 (0.880 to 0.908)`."""
    if found is None:
        return NOTHING
    return f"{number(found.mean, digits)} ({number(found.low, digits)} to {number(found.high, digits)})"
