"""The rule by which a checkpoint may be promoted, as a table."""

import dataclasses

import pytest

from booru_pipeline.evaluation.comparison.compare import PARENT, PROMOTED, Comparison, Standing
from booru_pipeline.evaluation.comparison.label_changes import LabelChanges
from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.comparison.promotion import find_losses
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.results import Difference, Figures, Result, Versus

AHEAD, LEVEL, BEHIND = Interval(0.05, 0.03, 0.07), Interval(-0.01, -0.03, 0.001), Interval(-0.05, -0.07, -0.03)


def result(best=(AHEAD, AHEAD), other=(AHEAD, AHEAD)):
    def figures(recall):
        return Figures(recall={10: recall}, mrr=0.5, r_precision=0.1, average_precision=0.1)

    methods = {"model": figures(0.4), "popularity": figures(0.2), "EASE": figures(0.3)}
    return Result(90, 80, 500, methods, {"popularity": Difference(*other), "EASE": Difference(*best)})


def standing(name, release, **shares):
    figures = {"model": 0.4, name: 0.3}
    return Standing(
        release=release,
        key="key",
        posts=90,
        left_out=0,
        shares={
            int(share.removeprefix("at_")) / 100: Versus(90, 80, 500, figures, figures, {name: Difference(*own)})
            for share, own in shares.items()
        },
        both_know={},
    )


def comparison(parent, promoted=None):
    changes = LabelChanges(labels=0, support=10, significant=0, better=[], worse=[])
    return Comparison(parent, promoted, 10, 2, 0, {}, 0.5, changes, None, [], {}, {})


GOOD = {0.1: result(), 0.5: result()}
PARENT_AHEAD = standing(PARENT, "2021a", at_10=(AHEAD, AHEAD), at_50=(AHEAD, LEVEL))


@pytest.mark.parametrize(
    ("shares", "beside", "losses"),
    [
        (GOOD, None, []),
        ({0.1: result(best=(LEVEL, LEVEL)), 0.5: result()}, None, []),  # not to win is not to lose
        ({0.1: result(), 0.5: result(best=(BEHIND, AHEAD))}, None, ["recall@10 is behind EASE with 50 % hidden"]),
        ({0.1: result(best=(AHEAD, BEHIND))}, None, ["MRR is behind EASE with 10 % hidden"]),
        ({0.1: result(other=(BEHIND, BEHIND))}, None, []),  # the best baseline is the one that counts
        (GOOD, comparison(PARENT_AHEAD), []),
        (
            GOOD,
            comparison(standing(PARENT, "2021a", at_10=(LEVEL, LEVEL), at_50=(LEVEL, BEHIND))),
            ["MRR is behind the parent checkpoint of 2021a with 50 % hidden"],
        ),
        (
            GOOD,
            comparison(PARENT_AHEAD, standing(PROMOTED, "2020c", at_90=(BEHIND, BEHIND))),
            [
                "recall@10 is behind the promoted checkpoint of 2020c with 90 % hidden",
                "MRR is behind the promoted checkpoint of 2020c with 90 % hidden",
            ],
        ),
    ],
)
def test_a_checkpoint_loses_where_a_whole_interval_lies_below_0(shares, beside, losses):
    found = find_losses(shares, beside, Leaks(0, 0))
    assert [loss.split(" (")[0] for loss in found] == losses
    assert all("(-0.050, 95 % interval -0.070 to -0.030)" in loss for loss in found)


def test_with_a_leak_nothing_is_promoted():
    assert find_losses(GOOD, None, Leaks(2, 3)) == [
        "2 pictures and 3 posts are on two sides of the split, so its figures are not to be trusted"
    ]


def test_an_interval_that_touches_0_is_no_loss():
    touching = dataclasses.replace(BEHIND, high=0.0)
    assert find_losses({0.5: result(best=(touching, touching))}, None, Leaks(0, 0)) == []
