import dataclasses

from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.report.summary import EvaluationSummary
from booru_pipeline.evaluation.results import Difference, Figures, Result

AHEAD, LEVEL, BEHIND = Interval(0.05, 0.03, 0.07), Interval(0.0, -0.01, 0.01), Interval(-0.05, -0.07, -0.03)


def figures(recall, mrr):
    return Figures(recall={10: recall}, mrr=mrr, r_precision=0.1, average_precision=0.1)


def result(ease=(AHEAD, AHEAD), popularity=(AHEAD, AHEAD), ease_recall=0.4):
    return Result(
        posts=90,
        pictures=80,
        labels=500,
        methods={
            "model": figures(0.45, 0.7),
            "popularity": figures(0.25, 0.4),
            "EASE": figures(ease_recall, 0.6),
        },
        differences={"popularity": Difference(*popularity), "EASE": Difference(*ease)},
    )


def summary(**shares):
    return EvaluationSummary(
        release="2021d",
        test_posts=100,
        pictures=90,
        methods=("model", "popularity", "EASE"),
        headline_share=0.5,
        shares={int(name.removeprefix("at_")) / 100: own for name, own in shares.items()},
        claims=[],
        leaks=Leaks(0, 0),
    )


def test_it_beats_the_baselines_only_if_it_beats_each_at_every_share_in_both_metrics():
    assert summary(at_10=result(), at_50=result()).beats_baselines
    for lost in ((AHEAD, LEVEL), (LEVEL, AHEAD), (BEHIND, AHEAD)):
        assert not summary(at_10=result(), at_50=result(ease=lost)).beats_baselines
        assert not summary(at_10=result(popularity=lost), at_50=result()).beats_baselines


def test_the_strongest_baseline_is_the_one_with_the_highest_recall():
    found = summary(at_10=result(), at_50=result(ease_recall=0.2))
    assert found.best_baseline(0.1) == "EASE"
    assert found.best_baseline(0.5) == "popularity"
    assert found.headline is found.shares[0.5]
    assert summary(at_10=result(), at_30=result()).headline.best_baseline == "EASE"


def test_the_verdict_says_at_which_shares_by_how_much_and_against_what():
    assert summary(at_10=result(), at_50=result()).verdict() == (
        "The model beats every baseline at every hidden share, in recall@10 and MRR. Asked for were labels of 100 "
        "held-out posts (90 pictures) that no implication of the others gives away. "
        "10 % hidden: recall@10 0.450, and 0.400 of EASE, the strongest baseline (+0.050, 95 % interval +0.030 to "
        "+0.070); MRR 0.700 and 0.600 (+0.050, 95 % interval +0.030 to +0.070). "
        "50 % hidden: recall@10 0.450, and 0.400 of EASE, the strongest baseline (+0.050, 95 % interval +0.030 to "
        "+0.070); MRR 0.700 and 0.600 (+0.050, 95 % interval +0.030 to +0.070)."
    )
    mixed = summary(at_10=result(ease=(BEHIND, AHEAD)), at_30=result(), at_90=result()).verdict()
    assert "with 30 and 90 % of the labels hidden, in recall@10 and MRR; with 10 % hidden it does not" in mixed
    assert "strongest baseline (-0.050, 95 % interval -0.070 to -0.030)" in mixed
    lost = summary(at_10=result(popularity=(LEVEL, LEVEL))).verdict()
    assert "at no hidden share" in lost
    assert "not clearly ahead of popularity." in lost


def test_a_leak_comes_first():
    leaky = dataclasses.replace(summary(at_50=result()), leaks=Leaks(3, 2))
    assert leaky.verdict().startswith("Leak: do not trust these numbers. 3 pictures and 2 posts are on two sides")
    assert leaky.to_markdown().startswith("**Leak: 3 pictures and 2 posts are on two sides of the split.**")


def test_the_table_has_a_row_a_method_and_a_column_a_share():
    table = summary(at_10=result(), at_90=result()).to_markdown()
    assert "| method | 10 % hidden | 90 % hidden |" in table
    assert "| EASE | 0.400 / 0.600 | 0.400 / 0.600 |" in table
