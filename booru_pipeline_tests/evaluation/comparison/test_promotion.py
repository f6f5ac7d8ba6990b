"""The rule by which a checkpoint may be promoted, as a table."""

import dataclasses

import pytest

from booru_pipeline.evaluation.comparison.compare import PARENT, PROMOTED, Comparison, OutOfTime, Standing
from booru_pipeline.evaluation.comparison.label_changes import LabelChanges
from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.comparison.promotion import find_losses
from booru_pipeline.evaluation.results import MRR, RECALL, ShareComparison
from booru_pipeline_tests.evaluation.made_findings import (
    AHEAD,
    BEHIND,
    LEVEL,
    NO_LEAKS,
    difference,
    result,
    share_of,
)


def standing(name, release, **shares):
    figures = {RECALL: 0.3, MRR: 0.5}
    return Standing(
        release=release,
        key="key",
        posts=90,
        left_out=0,
        shares=[
            ShareComparison(
                hidden_share=share_of(share),
                posts=90,
                pictures=80,
                labels=500,
                methods={"model": figures, name: figures},
                differences={name: difference(*own)},
            )
            for share, own in shares.items()
        ],
        both_know=[],
    )


def comparison(parent, promoted=None):
    return Comparison(
        parent=parent,
        promoted=promoted,
        labels_both=10,
        labels_new=2,
        labels_gone=0,
        new_labels=[],
        changes=LabelChanges(hidden_share=0.5, labels=0, support=10, significant=0, better=[], worse=[]),
        drift=None,
        new_releases=[],
        out_of_time=OutOfTime(new_posts=[], earlier_posts=[]),
    )


GOOD = {0.1: result(), 0.5: result()}
PARENT_AHEAD = standing(PARENT, "2021a", at_10=(AHEAD, AHEAD), at_50=(AHEAD, LEVEL))


@pytest.mark.parametrize(
    ("shares", "beside", "losses"),
    [
        (GOOD, None, []),
        ({0.1: result(ease=(LEVEL, LEVEL)), 0.5: result()}, None, []),  # not to win is not to lose
        ({0.1: result(), 0.5: result(ease=(BEHIND, AHEAD))}, None, ["recall@10 is behind EASE with 50 % hidden"]),
        ({0.1: result(ease=(AHEAD, BEHIND))}, None, ["MRR is behind EASE with 10 % hidden"]),
        ({0.1: result(popularity=(BEHIND, BEHIND))}, None, []),  # the best baseline is the one that counts
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
    found = find_losses(shares, beside, NO_LEAKS)
    assert [loss.split(" (")[0] for loss in found] == losses
    assert all("(-0.050, 95 % interval -0.070 to -0.030)" in loss for loss in found)


def test_with_a_leak_nothing_is_promoted():
    assert find_losses(GOOD, None, Leaks(groups=2, posts=3)) == [
        "2 pictures and 3 posts are on two sides of the split, so its figures are not to be trusted"
    ]


def test_an_interval_that_touches_0_is_no_loss():
    touching = dataclasses.replace(BEHIND, high=0.0)
    assert find_losses({0.5: result(ease=(touching, touching))}, None, NO_LEAKS) == []
