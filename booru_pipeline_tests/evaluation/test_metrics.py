import numpy as np
import pytest

from booru_pipeline.evaluation.metrics import hidden_ranks, paired_bootstrap, recall_at, reciprocal_rank


def slow_rank(scores, hidden, label):
    """Place of a label when hidden ones come after all others of the same score, in their own order."""
    place = {column: number for number, column in enumerate(hidden, start=1)}
    order = sorted(range(len(scores)), key=lambda column: (-scores[column], place.get(column, 0)))
    return order.index(label) + 1


def random_case(rng, posts=60, labels=40):
    # Few distinct scores, so that ties are the rule.
    scores = rng.integers(0, 8, size=(posts, labels)).astype(np.float32)
    hidden, visible = [], []
    for row in scores:
        shuffled = rng.permutation(labels)
        size = int(rng.integers(1, 12))
        hidden.append(shuffled[:size])
        visible.append(shuffled[size : size + 5])
        row[visible[-1]] = -np.inf
    return scores, hidden


def test_ranks_equal_the_slow_reference():
    scores, hidden = random_case(np.random.default_rng(1))
    for row, columns, ranks in zip(scores, hidden, hidden_ranks(scores, hidden), strict=True):
        assert ranks.tolist() == [slow_rank(row.tolist(), columns.tolist(), column) for column in columns]


@pytest.mark.parametrize("k", [1, 3, 10, 39, 100])
def test_recall_and_reciprocal_rank_equal_the_slow_reference(k):
    scores, hidden = random_case(np.random.default_rng(2))
    ranks = hidden_ranks(scores, hidden)
    for post, (row, columns) in enumerate(zip(scores.tolist(), hidden, strict=True)):
        own = set(columns.tolist())
        guesses = sorted(range(len(row)), key=lambda column: (-row[column], column in own, column))
        hits = sum(guess in own for guess in guesses[:k])
        first = next(place for place, guess in enumerate(guesses, start=1) if guess in own)
        assert recall_at(ranks, k)[post] == pytest.approx(hits / min(k, len(own)))
        assert reciprocal_rank(ranks)[post] == pytest.approx(1 / first)


def test_an_oracle_scores_1_and_its_opposite_0():
    _, hidden = random_case(np.random.default_rng(3))
    truth = np.zeros((len(hidden), 40), dtype=np.float32)
    for row, columns in zip(truth, hidden, strict=True):
        row[columns] = 1
    ranks = hidden_ranks(truth, hidden)
    assert all(recall_at(ranks, k).min() == 1 for k in (1, 5, 10, 40))
    assert reciprocal_rank(ranks).min() == 1
    assert recall_at(hidden_ranks(-truth, hidden), 10).max() == 0


def test_random_scores_are_at_chance():
    rng = np.random.default_rng(4)
    posts, labels, hidden_labels, k = 4000, 200, 10, 10
    scores = rng.random((posts, labels), dtype=np.float32)
    hidden = [rng.choice(labels, hidden_labels, replace=False) for _ in range(posts)]
    recall = recall_at(hidden_ranks(scores, hidden), k)
    # Hits are hypergeometric with mean k * hidden / labels, so recall is k / labels.
    assert recall.mean() == pytest.approx(k / labels, abs=4 * recall.std() / np.sqrt(posts))


def test_a_constant_scorer_earns_nothing():
    hidden = [np.array([0, 1, 2])]
    ranks = hidden_ranks(np.zeros((1, 50), dtype=np.float32), hidden)
    assert ranks[0].tolist() == [48, 49, 50]
    assert recall_at(ranks, 10).tolist() == [0]


def test_a_score_that_is_no_number_is_refused():
    scores = np.zeros((1, 5), dtype=np.float32)
    scores[0, 2] = np.nan
    with pytest.raises(ValueError, match="not a number"):
        hidden_ranks(scores, [np.array([2])])


def test_the_interval_of_independent_posts_is_that_of_the_normal_theory():
    difference = np.random.default_rng(5).normal(0.1, 1.0, size=2000)
    interval = paired_bootstrap(difference, [str(post) for post in range(2000)], samples=4000, seed=0)
    half = 1.96 * difference.std() / np.sqrt(2000)
    assert interval.mean == pytest.approx(difference.mean())
    assert interval.low == pytest.approx(difference.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(difference.mean() + half, abs=0.1 * half)


def test_posting_a_picture_again_makes_no_difference_more_certain():
    difference = np.random.default_rng(6).normal(0.1, 1.0, size=300)
    groups = [f"picture {post}" for post in range(300)]
    once = paired_bootstrap(difference, groups, samples=500, seed=0)
    four_times = paired_bootstrap(np.tile(difference, 4), groups * 4, samples=500, seed=0)
    as_if_independent = paired_bootstrap(np.tile(difference, 4), [str(i) for i in range(1200)], samples=500, seed=0)
    assert four_times.high - four_times.low == pytest.approx(once.high - once.low)
    assert as_if_independent.high - as_if_independent.low < 0.6 * (once.high - once.low)
