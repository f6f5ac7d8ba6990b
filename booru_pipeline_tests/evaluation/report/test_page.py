"""The parts of the page: headline, tables, numbers, plots."""

import re
from itertools import pairwise

import pytest

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.reliability import Bin, Reliability
from booru_pipeline.evaluation.report.page import headline, tables, words
from booru_pipeline.evaluation.report.plots.canvas import spread
from booru_pipeline.evaluation.report.plots.curves import by_guesses, by_share, loss_curve, reliability_plot
from booru_pipeline.evaluation.report.plots.points import forest
from booru_pipeline.model.provenance import LossCurve
from booru_pipeline_tests.evaluation.made_findings import AHEAD, BEHIND, LEVEL, difference, findings, result, t5_alone

FAR = Interval(0.5, 0.48, 0.52)


def test_the_title_claims_no_more_than_was_shown():
    lost = result(ease=(BEHIND, AHEAD))
    assert headline.title(findings(at_10=result(), at_50=result())) == (
        "The model beats every baseline at every hidden share"
    )
    assert headline.title(findings(at_10=lost, at_50=result())).replace("\N{NO-BREAK SPACE}", " ") == (
        "The model beats every baseline with 50 % of the labels hidden, and not otherwise"
    )
    assert headline.title(findings(at_10=lost, at_50=lost)) == "The model beats 1 of 2 baselines at every hidden share"
    both = result(ease=(BEHIND, AHEAD), popularity=(LEVEL, BEHIND))
    assert headline.title(findings(at_10=both, at_50=lost)) == (
        "The model does not beat every baseline at any hidden share"
    )


@pytest.mark.parametrize(
    ("answer", "alone", "title"),
    [
        ((AHEAD, AHEAD), (AHEAD, AHEAD), "The answer beats every baseline at every hidden share, and so does T5 alone"),
        (
            (AHEAD, AHEAD),
            (LEVEL, AHEAD),
            "The answer beats every baseline at every hidden share, T5 alone with 50 % of the labels hidden",
        ),
        (
            (LEVEL, AHEAD),
            (LEVEL, LEVEL),
            "The answer beats every baseline with 50 % of the labels hidden, T5 alone at none",
        ),
        (
            (LEVEL, LEVEL),
            (AHEAD, LEVEL),
            "The answer is behind no baseline at any hidden share, "
            "T5 alone beats every one with 10 % of the labels hidden",
        ),
        (
            (LEVEL, LEVEL),
            (LEVEL, LEVEL),
            "The answer is behind no baseline at any hidden share, nor is T5 alone",
        ),
        (
            (LEVEL, LEVEL),
            (BEHIND, LEVEL),
            "The answer is behind no baseline at any hidden share, T5 alone beats 1 of 2",
        ),
        (
            (BEHIND, LEVEL),
            (BEHIND, BEHIND),
            "The answer beats 1 of 2 baselines at every hidden share, T5 alone beats 1 of 2",
        ),
        (
            (BEHIND, LEVEL),
            (LEVEL, LEVEL),
            "The answer beats 1 of 2 baselines at every hidden share, T5 alone is behind none",
        ),
    ],
)
def test_the_title_says_how_the_answer_and_how_t5_alone_stands(answer, alone, title):
    shares = {name: result(ease=(own, own)) for name, own in zip(("at_10", "at_50"), answer, strict=True)}
    t5 = {name: t5_alone(ease=(own, own)) for name, own in zip(("at_10", "at_50"), alone, strict=True)}
    found = findings(t5=t5, **shares)
    assert headline.title(found).replace("\N{NO-BREAK SPACE}", " ") == title
    assert [tile.t5_outcome for tile in headline.tiles(found)] == [
        {AHEAD: "ahead of every baseline", LEVEL: "no clear lead over EASE", BEHIND: "behind EASE"}[own]
        for own in alone
    ]


def test_a_tile_names_the_baselines_that_are_not_beaten():
    found = headline.tiles(
        findings(
            at_10=result(),
            at_30=result(ease=(AHEAD, LEVEL)),
            at_50=result(ease=(AHEAD, LEVEL), popularity=(AHEAD, BEHIND)),
            at_90=result(ease=(BEHIND, BEHIND), popularity=(BEHIND, AHEAD)),
        )
    )
    assert [(tile.state, tile.outcome) for tile in found] == [
        ("good", "ahead of every baseline"),
        ("mixed", "no clear lead over EASE"),
        ("bad", "behind popularity"),
        ("bad", "behind popularity and EASE"),
    ]
    assert {tile.result.best_baseline for tile in found} == {"EASE"}


def test_the_best_of_each_column_is_marked_and_the_methods_are_told_apart(evaluated):
    shares = evaluated.findings.shares
    table = tables.figures(shares, lambda share: share.not_derivable, "caption")
    assert table.columns[:3] == ["model less this, recall@10 points", "recall@1", "recall@5"]
    assert len(table.groups) == len(shares)
    for group, share in zip(table.groups, shares, strict=True):
        whole = share.not_derivable
        assert [row.name for row in group.rows] == list(whole.methods)
        assert [row.name for row in group.rows if row.style == "model"] == ["model"]
        assert [row.name for row in group.rows if row.style == "best"] == [whole.best_baseline]
        for place, _ in enumerate(table.columns[1:], start=1):
            column = [row.cells[place] for row in group.rows]
            values = [cell.value for cell in column if cell.value is not None]
            assert [cell.value for cell in column if cell.style == "top"] == [max(values)] * values.count(max(values))


def test_a_difference_is_ahead_only_with_its_whole_interval():
    table = tables.differences({0.5: result(ease=(BEHIND, AHEAD), popularity=(AHEAD, LEVEL))})
    (group,) = table.groups
    assert {row.name: row.cells[-1].text for row in group.rows} == {"EASE": "behind", "popularity": "unclear"}
    assert group.rows[0].cells[0].text == "+5.0 (+3.0 to +7.0)"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (words.points(0.0283), "+2.8"),
        (words.points(-0.0283), "\N{MINUS SIGN}2.8"),
        (words.points(-0.0001), "0.0"),
        (words.signed(-0.0004), "0.000"),
        (words.number(None), "\N{EN DASH}"),
        (words.number(-0.5, 1), "\N{MINUS SIGN}0.5"),
        (words.percent(0.125), "12.5\N{NO-BREAK SPACE}%"),
        (words.count(12345), "12,345"),
        (words.interval(Interval(0.5, 0.25, 0.75), 2), "0.50 (0.25 to 0.75)"),
        (words.points_interval(None), "\N{EN DASH}"),
    ],
)
def test_numbers_are_written_for_people(shown, expected):
    assert shown == expected


@pytest.mark.parametrize("places", [[0.0, 0.01, 0.02, 0.9], [0.5] * 5, [0.1, 0.2, 0.9], [0.3]])
def test_names_at_line_ends_do_not_touch_and_keep_their_order(places):
    moved = spread(places, 0.1)
    assert all(after - before >= 0.1 - 1e-9 for before, after in pairwise(moved))
    assert sum(moved) == pytest.approx(sum(places))
    if places == [0.1, 0.2, 0.9]:
        assert moved == pytest.approx(places)


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", str(svg))


def reliability_of(probability, found):
    bins = [Bin(guesses=5, probability=probability, found=found)]
    return Reliability(error=abs(probability - found), noise=0.01, bins=bins)


def test_plots_have_labelled_axes_and_name_their_lines():
    curve = {"model": [0.5, 0.6], "EASE": [0.4, 0.5], "popularity": [0.1, 0.2]}
    for svg, axes in (
        (by_guesses(curve, "50 %", {"EASE"}), {"k, number of guesses", "recall@k", *curve}),
        (by_share([0.1, 0.9], curve, "MRR", {"EASE"}), {"labels hidden, %", "MRR", "10", "90", *curve}),
        (
            reliability_plot(reliability_of(0.2, 0.4), "50 % hidden"),
            {"probability, %", "right, % of guesses", "model"},
        ),
        (
            reliability_plot(reliability_of(0.2, 0.4), "1 visible", reliability_of(0.3, 0.1)),
            {"probability, %", "right, % of guesses", "model", "T5 alone"},
        ),
        (loss_curve(LossCurve([(1, 2.0)], [(1, 2.5)])), {"optimizer steps", "loss, nats", "validation posts"}),
    ):
        assert axes <= set(texts(svg))
        assert str(svg).startswith('<svg role="img" aria-label="')


def test_a_difference_that_would_squeeze_the_others_stands_at_the_edge_with_its_figure():
    near = difference(AHEAD, AHEAD)
    svg = forest(
        {"EASE": near, "item-kNN": near, "popularity": near, "implication closure": difference(FAR, FAR)}, "50 %"
    )
    assert texts(svg).count("+50") == 2
    assert {"EASE", "implication closure", "model less baseline, points"} <= set(texts(svg))
    assert "+50" not in texts(forest({"EASE": near, "popularity": near}, "50 %"))
