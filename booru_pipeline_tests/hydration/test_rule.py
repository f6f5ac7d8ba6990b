import itertools

import pytest

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.hydration.arms import CONTROLS
from booru_pipeline.hydration.rule import FIGURES, RULE, Comparison, Outcome, decide

UP, DOWN, NEITHER = Interval(0.1, 0.05, 0.2), Interval(-0.1, -0.2, -0.05), Interval(0.1, -0.01, 0.2)


def comparisons(share, interval, changed=None, seeds=(0.1,)):
    """All six of a share; one of them may be another."""
    return [
        Comparison(share, control, figure, (changed or {}).get((control, figure), interval), seeds)
        for control, figure in itertools.product(CONTROLS, FIGURES)
    ]


def test_both_figures_above_all_three_help_and_below_them_harm():
    assert decide(comparisons(0.01, UP)).outcome is Outcome.HELPS
    assert decide(comparisons(0.01, DOWN, seeds=(-0.1,))).outcome is Outcome.HARMS
    verdict = decide([*comparisons(0.01, NEITHER), *comparisons(0.1, UP)])
    assert (verdict.outcome, verdict.shares) == (Outcome.HELPS, (0.1,))
    assert "10 %" in verdict.text


@pytest.mark.parametrize("exception", list(itertools.product(CONTROLS, FIGURES)))
def test_a_single_one_that_is_not_above_leaves_no_evidence(exception):
    for other in (NEITHER, DOWN):
        assert decide(comparisons(0.1, UP, {exception: other})).outcome is Outcome.NO_EVIDENCE


def test_one_figure_at_one_share_and_the_other_at_another_are_no_evidence():
    at_one = {(control, FIGURES[0]): NEITHER for control in CONTROLS}
    at_other = {(control, FIGURES[1]): NEITHER for control in CONTROLS}
    found = [*comparisons(0.01, UP, at_one), *comparisons(0.1, UP, at_other)]
    assert decide(found).outcome is Outcome.NO_EVIDENCE


def test_a_seed_that_says_otherwise_leaves_no_evidence():
    assert decide(comparisons(0.1, UP, seeds=(0.2, 0.1))).outcome is Outcome.HELPS
    assert decide(comparisons(0.1, UP, seeds=(0.2, -0.001))).outcome is Outcome.NO_EVIDENCE


def test_help_and_harm_at_different_shares_are_mixed():
    found = [*comparisons(0.01, UP), *comparisons(0.1, DOWN, seeds=(-0.1,))]
    verdict = decide(found)
    assert (verdict.outcome, verdict.shares) == (Outcome.MIXED, (0.01, 0.1))


def test_large_shares_and_missing_arms_decide_nothing():
    assert decide(comparisons(1.0, UP)).outcome is Outcome.UNDECIDED
    assert decide(comparisons(0.1, UP)[1:]).outcome is Outcome.UNDECIDED
    assert decide([*comparisons(0.1, NEITHER), *comparisons(1.0, UP)]).outcome is Outcome.NO_EVIDENCE


def test_every_outcome_has_a_text_and_the_rule_says_what_the_code_does():
    for verdict in (decide(comparisons(0.1, interval)) for interval in (UP, NEITHER)):
        assert verdict.text
        assert "{" not in verdict.text
    for words in ("at most 10%", "random, permuted, opaque", "95 % interval", "every seed", "mixed", "no evidence"):
        assert words in " ".join(RULE.split())
