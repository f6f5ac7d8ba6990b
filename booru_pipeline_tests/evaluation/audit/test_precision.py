import numpy as np
import pytest

from booru_pipeline.evaluation.audit.precision import Listed, precisions

GROUPS = np.array([f"picture {number}" for number in range(200)])
POSTS = np.arange(200)


def listed(right):
    return Listed(POSTS[: len(right)], np.asarray(right, dtype=bool))


def figures(lists, groups=GROUPS):
    return {name: [interval.mean for interval in own] for name, (own, _) in precisions(lists, groups, 50, 0).items()}


def test_precision_at_k_is_the_share_of_the_first_k_and_k_is_at_most_the_faults():
    right = [True] * 60 + [False] * 40 + [True] * 20 + [False] * 80
    found = figures({"audit": listed(right)})["audit"]
    assert found[0] == pytest.approx(0.6)
    assert found[1] == pytest.approx(80 / 200)  # of 200, since there are no more faults
    expected = sum((place + 1 if place < 60 else place - 39) / (place + 1) for place in np.flatnonzero(right)) / 200
    assert found[2] == pytest.approx(expected)


def test_what_a_short_list_does_not_fill_is_wrong():
    found = figures({"audit": listed([True] * 10)})["audit"]
    assert found == pytest.approx([0.1, 0.05, 0.05])
    assert figures({"audit": listed([])})["audit"] == [0, 0, 0]


def test_intervals_hold_the_figure_and_grow_with_pictures_of_several_posts():
    random = np.random.default_rng(0)
    right = random.random(200) < 0.5
    alone = precisions({"audit": listed(right)}, GROUPS, 300, 0)["audit"][0][0]
    assert alone.low < alone.mean < alone.high
    pictures = np.repeat([f"picture {number}" for number in range(20)], 10)
    together = precisions({"audit": listed(np.repeat(right[:20], 10))}, pictures, 300, 0)["audit"][0][2]
    single = precisions({"audit": listed(np.repeat(right[:20], 10))}, GROUPS, 300, 0)["audit"][0][2]
    assert together.high - together.low > 1.5 * (single.high - single.low)


def test_the_first_list_is_compared_with_each():
    better, worse = [True] * 100 + [False] * 100, [False] * 100 + [True] * 100
    found = precisions({"audit": listed(better), "other": listed(worse)}, GROUPS, 100, 0)
    assert [interval.mean for interval in found["audit"][1]] == [0, 0, 0]
    assert found["other"][1][0].mean == pytest.approx(1.0)
    assert found["other"][1][0].low > 0.5


def test_a_list_goes_by_certainty_and_right_is_the_fault_of_the_post():
    made = Listed.of(np.array([0, 0, 1]), np.array([5, 6, 5]), np.array([0.1, 0.9, 0.5]), np.array([6, 7]))
    assert made.at.tolist() == [0, 1, 0]
    assert made.right.tolist() == [True, False, False]
