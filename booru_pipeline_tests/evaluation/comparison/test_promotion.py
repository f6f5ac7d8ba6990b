"""The rule by which a checkpoint may be promoted, as a table."""

import dataclasses

import pytest

from booru_pipeline.evaluation.comparison.compare import PARENT, PROMOTED, Comparison, OutOfTime, Standing
from booru_pipeline.evaluation.comparison.label_changes import LabelChanges
from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.comparison.promotion import judge
from booru_pipeline.evaluation.results import MRR, RECALL, T5_ALONE, ShareComparison
from booru_pipeline_tests.evaluation.made_findings import (
    AHEAD,
    BEHIND,
    LEVEL,
    NO_LEAKS,
    difference,
    figures,
    result,
    share_of,
)


def standing(name, release, **shares):
    own_figures = {RECALL: 0.3, MRR: 0.5}
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
                methods={"model": own_figures, name: own_figures},
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
    ("shares", "beside", "losses", "sentence"),
    [
        (GOOD, None, [], "ahead of every baseline at every hidden share, behind none"),
        (
            {0.1: result(ease=(LEVEL, LEVEL)), 0.3: result(), 0.5: result()},  # not to win is not to lose
            None,
            [],
            "ahead of every baseline at 30 and 50 % hidden, behind none",
        ),
        (
            {0.1: result(ease=(LEVEL, LEVEL))},
            None,
            [],
            "not clearly ahead of every baseline at any hidden share, behind none",
        ),
        (
            {0.1: result(), 0.5: result(ease=(BEHIND, AHEAD))},
            None,
            ["recall@10 is behind EASE with 50 % hidden"],
            "behind EASE in recall@10 with 50 % hidden",
        ),
        (
            {0.1: result(popularity=(LEVEL, BEHIND))},  # any baseline counts, not the one with the best recall alone
            None,
            ["MRR is behind popularity with 10 % hidden"],
            "behind popularity in MRR with 10 % hidden",
        ),
        (
            {0.1: result(ease=(BEHIND, BEHIND)), 0.3: result(ease=(AHEAD, BEHIND), popularity=(BEHIND, BEHIND))},
            None,
            [
                "recall@10 is behind EASE with 10 % hidden",
                "MRR is behind EASE with 10 % hidden",
                "recall@10 is behind popularity with 30 % hidden",
                "MRR is behind popularity with 30 % hidden",
                "MRR is behind EASE with 30 % hidden",
            ],
            "behind EASE in recall@10 or MRR with 10 and 30 % hidden and popularity in recall@10 and MRR with 30 % "
            "hidden",
        ),
        (
            GOOD,
            comparison(PARENT_AHEAD),
            [],
            "ahead of every baseline at every hidden share, behind none, nor behind the checkpoint of 2021a",
        ),
        (
            GOOD,
            comparison(standing(PARENT, "2021a", at_10=(LEVEL, LEVEL), at_50=(LEVEL, BEHIND))),
            ["MRR is behind the checkpoint of 2021a with 50 % hidden"],
            "behind the checkpoint of 2021a in MRR with 50 % hidden",
        ),
        (
            GOOD,
            comparison(PARENT_AHEAD, standing(PROMOTED, "2020c", at_90=(BEHIND, BEHIND))),
            [
                "recall@10 is behind the promoted checkpoint of 2020c with 90 % hidden",
                "MRR is behind the promoted checkpoint of 2020c with 90 % hidden",
            ],
            "behind the promoted checkpoint of 2020c in recall@10 and MRR with 90 % hidden",
        ),
    ],
)
def test_a_checkpoint_loses_where_a_whole_interval_lies_below_0(shares, beside, losses, sentence):
    found = judge(shares, beside, NO_LEAKS, has_learned=True)
    assert [loss.split(" (")[0] for loss in found.losses] == losses
    assert all("(-0.050, 95 % interval -0.070 to -0.030)" in loss for loss in found.losses)
    assert found.sentence == sentence


def test_of_many_baselines_the_sentence_gives_the_number():
    whole = result()
    behind = {name: difference(BEHIND, BEHIND) for name in ("popularity", "EASE", "EDLAE")}
    lost = whole.model_copy(update={"differences": behind})
    assert judge({0.1: lost, 0.9: lost}, None, NO_LEAKS).sentence == "behind 3 baselines with 10 and 90 % hidden"


def test_t5_alone_may_be_ahead_of_the_answer_and_is_no_baseline():
    whole = result()
    ahead = whole.model_copy(
        update={
            "methods": {**whole.methods, T5_ALONE: figures(0.9, 0.9)},
            "differences": {T5_ALONE: difference(BEHIND, BEHIND), **whole.differences},
        }
    )
    assert ahead.best_baseline == "EASE"
    assert ahead.beats_baselines
    assert judge({0.5: ahead}, None, NO_LEAKS).losses == []


def test_with_a_leak_nothing_is_promoted():
    found = judge(GOOD, None, Leaks(groups=2, posts=3))
    assert found.losses == [found.sentence]
    assert found.sentence == (
        "2 pictures and 3 posts are on two sides of the split, so its figures are not to be trusted"
    )


def test_a_checkpoint_that_is_still_on_the_plateau_is_not_promoted_whatever_counting_adds():
    stuck = "it found no more on validation posts than the most frequent labels do"
    assert judge(GOOD, None, NO_LEAKS, has_learned=False).losses == [stuck]
    assert judge(GOOD, None, NO_LEAKS, has_learned=None).losses == []  # a checkpoint that does not say
    lost = {0.1: result(ease=(BEHIND, AHEAD))}
    assert judge(lost, None, NO_LEAKS, has_learned=False).sentence == (
        f"{stuck}, and it is behind EASE in recall@10 with 10 % hidden"
    )


def test_an_interval_that_touches_0_is_no_loss():
    touching = dataclasses.replace(BEHIND, high=0.0)
    assert judge({0.5: result(ease=(touching, touching))}, None, NO_LEAKS).losses == []
