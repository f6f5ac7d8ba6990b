from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.report.summary import to_markdown
from booru_pipeline_tests.evaluation.made_findings import AHEAD, BEHIND, LEVEL, findings, result, t5_alone


def test_it_beats_the_baselines_only_if_it_beats_each_at_every_share_in_both_metrics():
    assert findings(at_10=result(), at_50=result()).beats_baselines
    for lost in ((AHEAD, LEVEL), (LEVEL, AHEAD), (BEHIND, AHEAD)):
        assert not findings(at_10=result(), at_50=result(ease=lost)).beats_baselines
        assert not findings(at_10=result(popularity=lost), at_50=result()).beats_baselines


def test_the_strongest_baseline_is_the_one_with_the_highest_recall():
    found = findings(at_10=result(), at_50=result(ease_recall=0.2))
    assert found.results[0.1].best_baseline == "EASE"
    assert found.results[0.5].best_baseline == "popularity"
    assert found.headline is found.results[0.5]
    assert findings(at_10=result(), at_30=result()).headline.best_baseline == "EASE"


def test_the_verdict_says_at_which_shares_by_how_much_and_against_what():
    assert findings(at_10=result(), at_50=result()).verdict == (
        "The model beats every baseline at every hidden share, in recall@10 and MRR. Asked for were labels of 100 "
        "held-out posts (90 pictures) that no implication of the others gives away. "
        "10 % hidden: recall@10 0.450, and 0.400 of EASE, the strongest baseline (+0.050, 95 % interval +0.030 to "
        "+0.070); MRR 0.700 and 0.600 (+0.050, 95 % interval +0.030 to +0.070). "
        "50 % hidden: recall@10 0.450, and 0.400 of EASE, the strongest baseline (+0.050, 95 % interval +0.030 to "
        "+0.070); MRR 0.700 and 0.600 (+0.050, 95 % interval +0.030 to +0.070)."
    )
    mixed = findings(at_10=result(ease=(BEHIND, AHEAD)), at_30=result(), at_90=result()).verdict
    assert "with 30 and 90 % of the labels hidden, in recall@10 and MRR; with 10 % hidden it does not" in mixed
    assert "strongest baseline (-0.050, 95 % interval -0.070 to -0.030)" in mixed
    level = findings(at_10=result(popularity=(LEVEL, LEVEL))).verdict
    assert level.startswith(
        "The model beats 1 of 2 baselines at every hidden share, in recall@10 and MRR, and is behind none; at no share "
        "does it beat all of them: it has no clear lead over popularity."
    )
    assert "not clearly ahead of popularity." in level


def test_the_verdict_begins_with_what_holds_and_goes_on_with_what_does_not():
    behind = result(ease=(BEHIND, AHEAD))
    assert findings(at_10=behind, at_30=result(ease=(LEVEL, LEVEL)), at_50=behind).verdict.startswith(
        "The model beats 1 of 2 baselines at every hidden share, in recall@10 and MRR; at no share does it beat all of "
        "them: it is behind EASE with 10 and 50 % hidden."
    )
    level = result(ease=(LEVEL, LEVEL), popularity=(LEVEL, AHEAD))
    assert findings(at_10=level).verdict.startswith(
        "The model is behind no baseline at any hidden share; at no share does it beat all of them: it has no clear "
        "lead over popularity and EASE."
    )
    lost = result(ease=(BEHIND, BEHIND), popularity=(BEHIND, AHEAD))
    assert findings(at_10=lost).verdict.startswith(
        "The model beats no baseline at every hidden share; at no share does it beat all of them: it is behind "
        "popularity with 10 % hidden and EASE with 10 % hidden."
    )


def test_a_leak_comes_first():
    leaky = findings(at_50=result()).model_copy(update={"leaks": Leaks(groups=3, posts=2)})
    assert leaky.verdict.startswith("Leak: do not trust these numbers. 3 pictures and 2 posts are on two sides")
    assert to_markdown(leaky).startswith("**Leak: 3 pictures and 2 posts are on two sides of the split.**")


def test_the_table_has_a_row_a_method_and_a_column_a_share():
    table = to_markdown(findings(at_10=result(), at_90=result()))
    assert "| method | 10 % hidden | 90 % hidden |" in table
    assert "| EASE | 0.400 / 0.600 | 0.400 / 0.600 |" in table


def test_the_verdict_says_how_t5_alone_stands_too():
    shares = {"at_10": result(), "at_90": result()}
    both = findings(t5={"at_10": t5_alone(ease=(LEVEL, AHEAD)), "at_90": t5_alone()}, **shares)
    assert both.t5_beats_baselines is False
    assert both.verdict.startswith(
        "The answer beats every baseline at every hidden share, in recall@10 and MRR. T5 alone beats every baseline "
        "with 90 % of the labels hidden, in recall@10 and MRR; with 10 % hidden it does not."
    )
    assert "T5 alone has 0.420 and 0.650, no clear lead over EASE." in both.verdict
    assert both.verdict.endswith("T5 alone has 0.420 and 0.650, ahead of every baseline.")
    assert findings(t5=dict.fromkeys(shares, t5_alone()), **shares).t5_beats_baselines is True
    assert findings(**shares).t5_beats_baselines is None
