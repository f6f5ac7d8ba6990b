import numpy as np
import pytest

from booru_pipeline.evaluation.figures.bootstrap import paired_bootstrap


def interval(difference, groups, samples, seed=0):
    [found] = paired_bootstrap(difference[:, None], groups, samples=samples, seed=seed)
    return found


def test_the_interval_of_independent_posts_is_that_of_the_normal_theory():
    difference = np.random.default_rng(5).normal(0.1, 1.0, size=2000)
    found = interval(difference, [str(post) for post in range(2000)], 4000)
    half = 1.96 * difference.std() / np.sqrt(2000)
    assert found.mean == pytest.approx(difference.mean())
    assert found.low == pytest.approx(difference.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(difference.mean() + half, abs=0.1 * half)


def test_posting_a_picture_again_makes_no_difference_more_certain():
    difference = np.random.default_rng(6).normal(0.1, 1.0, size=300)
    groups = [f"picture {post}" for post in range(300)]
    once = interval(difference, groups, 500)
    four_times = interval(np.tile(difference, 4), groups * 4, 500)
    as_if_independent = interval(np.tile(difference, 4), [str(i) for i in range(1200)], 500)
    assert four_times.high - four_times.low == pytest.approx(once.high - once.low)
    assert as_if_independent.high - as_if_independent.low < 0.6 * (once.high - once.low)


def test_every_comparison_is_on_the_same_resamples():
    rng = np.random.default_rng(7)
    differences = rng.normal(size=(200, 3))
    differences[:, 2] = differences[:, 0] + 1
    groups = [f"picture {post // 2}" for post in range(200)]
    first, second, third = paired_bootstrap(differences, groups, samples=300, seed=1)
    assert (third.low, third.high) == pytest.approx((first.low + 1, first.high + 1))
    alone = interval(differences[:, 1], groups, 300, seed=1)
    assert (second.mean, second.low, second.high) == pytest.approx((alone.mean, alone.low, alone.high))


def test_the_order_of_posts_changes_nothing():
    rng = np.random.default_rng(8)
    difference, groups = rng.normal(size=100), np.array([f"picture {post // 3}" for post in range(100)])
    order = rng.permutation(100)
    one, other = interval(difference, groups, 200), interval(difference[order], groups[order], 200)
    assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high))


def test_one_picture_shows_no_spread():
    found = interval(np.array([0.1, 0.3]), ["a", "a"], 50)
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2, 0.2))
