"""Any two checkpoints beside each other."""

from dataclasses import replace

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.compare import PARENT
from booru_pipeline.evaluation.comparison.two import compare_two, headline
from booru_pipeline.evaluation.evaluate import evaluate
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.report.render import render_two
from booru_pipeline.evaluation.results import MODEL
from booru_pipeline.pipeline.checkpoints import find_earlier, find_predecessor
from booru_pipeline_tests.evaluation.test_evaluate import OPTIONS, RELATIONS

CHOSEN = OPTIONS.model_copy(update={"change_support": 5})


def test_it_finds_what_the_report_says_since_the_parent(lake, tmp_path):
    """The report's part is made with the baselines beside it, which change nothing about the two."""
    found = evaluate(
        lake.checkpoint("2021b"),
        lake.tokenized_dataset("2021b"),
        lake.vocabulary("2021b"),
        tmp_path / "report",
        CHOSEN,
        release="2021b",
        relations=RELATIONS,
        parent=find_predecessor(lake, "2021b"),
    ).comparison
    two = compare_two(find_earlier(lake, "2021b"), find_earlier(lake, "2021a"), CHOSEN, RELATIONS)
    assert two.comparison.parent == found.parent
    assert two.comparison.changes == found.changes
    assert two.comparison.drift == found.drift
    assert (two.model, two.other) == ("2021b", "2021a")


def test_the_earlier_one_can_be_first_and_posts_that_the_other_knows_are_left_out(lake):
    two = compare_two(find_earlier(lake, "2021a"), find_earlier(lake, "2021b"), CHOSEN, RELATIONS)
    standing = two.comparison.parent
    assert standing.release == "2021b"
    assert standing.left_out == 0  # sides do not move
    assert all({MODEL, PARENT} == result.methods.keys() for result in standing.shares)
    assert two.comparison.drift is None


def test_a_checkpoint_beside_itself_is_level(lake):
    one = find_earlier(lake, "2021b")
    two = compare_two(one, replace(one, release="2021b@same"), CHOSEN, RELATIONS)
    assert two.headline.startswith("2021b and 2021b@same are level")
    for result in two.comparison.parent.shares:
        assert {(item.low, item.high) for item in result.differences[PARENT].values()} == {(0.0, 0.0)}
    page = render_two(two)
    assert "2021b@same" in page
    assert "<script>" in page


def test_without_the_first_one_s_dataset_it_says_what_to_do(lake):
    with pytest.raises(BooruError, match=r"dataset that 2021b was trained on is gone.*name it second"):
        compare_two(replace(find_earlier(lake, "2021b"), dataset=None), find_earlier(lake, "2021a"), CHOSEN, RELATIONS)


def test_the_headline_says_where_it_is_ahead_and_where_behind(lake):
    two = compare_two(find_earlier(lake, "2021b"), find_earlier(lake, "2021a"), CHOSEN, RELATIONS)
    first, *others = two.fair
    ahead, behind = Interval(0.2, 0.1, 0.3), Interval(-0.2, -0.3, -0.1)
    level = Interval(0.0, -0.1, 0.1)
    shares = [first.model_copy(update={"differences": {PARENT: {"recall@10": ahead, "mrr": behind}}})]
    shares += [item.model_copy(update={"differences": {PARENT: {"recall@10": level, "mrr": level}}}) for item in others]
    standing = two.comparison.parent.model_copy(update={"both_know": shares})
    at = f"{100 * first.hidden_share:.3g} % hidden"
    assert headline(standing, "lr5", "2021d") == (
        f"lr5 is, beside 2021d, ahead in recall@10 with {at} and behind in MRR with {at}; "
        "elsewhere no difference is clear of chance."
    )
