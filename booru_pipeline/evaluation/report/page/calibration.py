"""The page's part on whether probabilities hold: its plots and tables."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from booru_pipeline.evaluation.figures.reliability import Reliability
from booru_pipeline.evaluation.probes.one_tag import COUNTS, MODEL, OneTagFindings
from booru_pipeline.evaluation.report.findings import Findings
from booru_pipeline.evaluation.report.page import words
from booru_pipeline.evaluation.report.page.tables import Cell, Group, Row, Table, lead
from booru_pipeline.evaluation.report.plots.curves import reliability_plot


class Plot(NamedTuple):
    """A reliability plot under its title."""

    title: str
    svg: Markup
    detail: str


class _Asked(NamedTuple):
    """Reliability where so much was visible: the model's, and the T5's alone if there is one."""

    what: str
    model: Reliability
    t5: Reliability | None = None


def parts(findings: Findings) -> Mapping[str, Any]:
    """What the section shows, by the names that its template has."""
    by_share = [
        _Asked(f"{words.percent(share)} hidden", result.calibration)
        for share, result in findings.results.items()
        if result.calibration
    ]
    by_visible = [_Asked(f"{one.visible} visible", one.model, one.t5) for one in findings.probes.calibration]
    one_tag = findings.probes.one_tag
    return {
        "plots_reliability": list(map(_plot, by_share)),
        "plots_visible": list(map(_plot, by_visible)),
        "table_calibration": _errors(by_share, by_visible),
        "table_one_tag": one_tag and _one_tag(one_tag),
    }


def _plot(asked: _Asked) -> Plot:
    detail = f"ECE {_points(asked.model.error)}" + (f", T5 alone {_points(asked.t5.error)}" if asked.t5 else "")
    return Plot(asked.what, reliability_plot(asked.model, asked.what, asked.t5), f"{detail} points")


def _errors(by_share: list[_Asked], by_visible: list[_Asked]) -> Table:
    def rows(parts: list[_Asked]) -> Iterator[Row]:
        for part in parts:
            guesses = sum(one.guesses for one in part.model.bins)
            alone = Cell(_points(part.t5.error), part.t5.error) if part.t5 else Cell(words.NOTHING)
            yield Row(
                part.what,
                [
                    Cell(_points(part.model.error), part.model.error),
                    alone,
                    Cell(_points(part.model.noise), part.model.noise),
                    Cell(words.count(guesses), guesses),
                ],
            )

    groups = [Group(list(rows(by_share)), "by hidden share"), Group(list(rows(by_visible)), "by visible labels")]
    columns = ["model", "T5 alone", "by chance, if exact", "guesses"]
    caption = "Expected calibration error, in points"
    return Table(caption, "asked with", columns, [group for group in groups if group.rows])


def _one_tag(found: OneTagFindings) -> Table:
    nothing = Cell(words.NOTHING)
    noise = Row("true shares, by chance", [nothing, Cell(_points(found.noise), found.noise), nothing, nothing])
    rows = []
    for name, figures in found.methods.items():
        more = lead(figures.more_than_counts, words.points_interval, less_is_better=True)
        shown = [
            Cell(f"{number:,} of {of:,}", number)
            for number, of in ((figures.shown, found.certain), (figures.derivable_shown, found.derivable))
        ]
        style = {MODEL: "model", COUNTS: "best"}.get(name, "")
        rows.append(Row(name, [more, Cell(_points(figures.error), figures.error), *shown], style))
    columns = [
        "less counts, points",
        "off by, points",
        "certain pairs shown",
        "implied pairs shown",
    ]
    caption = "One tag alone: how far what is shown is off the held-out share"
    return Table(caption, "method", columns, [Group([*rows, noise])])


def _points(share: float) -> str:
    return words.number(100 * share, 1)
