import itertools

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from booru_pipeline.evaluation.figures.probing import (
    PairedAuc,
    mean_intervals,
    ndcg,
    rank_correlation,
    sampling_error,
    wilson,
)
from booru_pipeline.evaluation.options import ProbeOptions

OPTIONS = ProbeOptions(bootstrap_samples=200)


def slow_ndcg(order, gains, k):
    def dcg(ranked):
        return sum(gain / np.log2(1 + rank) for rank, gain in enumerate(ranked[:k], start=1))

    return dcg([gains[label] for label in order]) / dcg(sorted(gains, reverse=True))


def test_ndcg_of_a_ranking_worked_out_by_hand():
    gains = np.array([3, 2, 0])
    assert ndcg(np.array([3.0, 2.0, 1.0]), gains) == pytest.approx(1.0)
    # The second best label first: (2 + 3 / log2 3) / (3 + 2 / log2 3).
    assert ndcg(np.array([2.0, 3.0, 1.0]), gains) == pytest.approx(0.9134016, abs=1e-6)
    assert ndcg(np.array([1.0, 2.0, 3.0]), gains, k=1) == 0.0


def test_ndcg_equals_a_slow_reference():
    generator = np.random.default_rng(0)
    for size in (1, 2, 5, 40):
        for _ in range(20):
            gains = generator.integers(0, 5, size=size)
            gains[generator.integers(size)] = 7
            scores = generator.permutation(size).astype(np.float32)
            assert ndcg(scores, gains, k=10) == pytest.approx(slow_ndcg(np.argsort(-scores), gains, 10))


def test_labels_of_equal_score_get_what_a_random_order_would_give_them():
    gains = np.array([4, 1, 0, 2])
    orders = list(itertools.permutations(range(4)))
    chance = np.mean([slow_ndcg(order, gains, 2) for order in orders])
    assert ndcg(np.full(4, 0.5), gains, k=2) == pytest.approx(chance)
    tied = np.array([1.0, 5.0, 5.0, 1.0])
    fitting = [order for order in orders if set(order[:2]) == {1, 2}]
    assert ndcg(tied, gains, k=3) == pytest.approx(np.mean([slow_ndcg(order, gains, 3) for order in fitting]))


@pytest.mark.filterwarnings("error")
def test_hidden_labels_come_last_without_a_warning():
    assert ndcg(np.array([-np.inf, 1.0, -np.inf, 2.0]), np.array([0, 1, 0, 2])) == pytest.approx(1.0)


# The Wilson intervals that Newcombe 1998 ("Two-sided confidence intervals for the single proportion") tabulates.
@pytest.mark.parametrize(
    ("hits", "posts", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_those_in_print(hits, posts, low, high):
    assert wilson(hits, posts) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_rank_correlation():
    frequency = np.array([5, 3, 3, 1])
    assert rank_correlation(np.array([0.9, 0.4, 0.4, 0.1]), frequency) == pytest.approx(1.0)
    assert rank_correlation(-np.array([0.9, 0.4, 0.4, 0.1]), frequency) == pytest.approx(-1.0)
    assert rank_correlation(np.full(4, 0.5), frequency) == 0.0
    assert rank_correlation(np.arange(4.0), np.ones(4)) is None
    assert rank_correlation(np.arange(2.0), np.arange(2)) is None


def test_auc_equals_the_mann_whitney_statistic_in_every_resample():
    generator = np.random.default_rng(1)
    children = np.repeat(np.arange(8), 3)
    true, false = generator.integers(3, 9, size=24).astype(float), generator.integers(0, 6, size=24).astype(float)
    auc = PairedAuc(children, OPTIONS)
    areas = auc.areas(true, false)
    assert len(areas) == 201
    assert areas[0] == pytest.approx(mannwhitneyu(true, false).statistic / 24**2)
    draws = np.random.default_rng(OPTIONS.seed)
    for area in areas[1:11]:
        edges = np.concatenate([np.flatnonzero(children == child) for child in draws.integers(8, size=8)])
        assert area == pytest.approx(mannwhitneyu(true[edges], false[edges]).statistic / len(edges) ** 2)
    interval = auc.interval(areas)
    assert interval.low < interval.mean < interval.high
    assert interval.mean == areas[0]


def test_an_interval_needs_two_groups():
    auc = PairedAuc(np.zeros(5, dtype=np.int64), OPTIONS)
    assert auc.interval(auc.areas(np.arange(5.0), np.arange(5.0))) is None
    assert mean_intervals([[1.0, 0.0]], ["one", "one"], OPTIONS) == [None]
    assert mean_intervals([[], []], [], OPTIONS) == [None, None]
    [interval] = mean_intervals([[1.0, 0.0, 0.5]], ["one", "two", "two"], OPTIONS)
    assert interval.mean == 0.5
    assert interval.low < 0.5 < interval.high


@pytest.mark.parametrize("posts", [20, 50, 400])
@pytest.mark.parametrize("truth", [0.1, 0.5, 0.9])
def test_the_sampling_error_is_how_far_an_observed_share_is_off_the_true_one(posts, truth):
    observed = np.random.default_rng(0).binomial(posts, truth, size=100_000) / posts
    off = np.abs(observed - truth).mean()
    assert sampling_error(observed, np.full(len(observed), posts)).mean() == pytest.approx(off, rel=0.1)
