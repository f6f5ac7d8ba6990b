"""Every metric against plain Python that follows its definition and shares no code with it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from booru_pipeline.evaluation.figures.ranks import (
    Ranks,
    average_precision,
    hidden_ranks,
    ndcg_at,
    r_precision,
    recall_at,
    reciprocal_rank,
)

LABELS = 12


@st.composite
def cases(draw):
    """Scores with many ties, -inf for visible labels, and hidden labels; of a part of these too."""
    posts = draw(st.integers(1, 6))
    scores = np.array(
        draw(st.lists(st.lists(st.integers(0, 4), min_size=LABELS, max_size=LABELS), min_size=posts, max_size=posts)),
        dtype=np.float32,
    )
    hidden, part = [], []
    for row in scores:
        order = draw(st.permutations(range(LABELS)))
        size = draw(st.integers(1, LABELS - 1))
        hidden.append(np.array(order[:size], dtype=np.int64))
        row[order[size : size + draw(st.integers(0, 3))]] = -np.inf
        part.append(np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))))
    return scores, hidden, part


def ranking(row, hidden, ignored=()):
    """All labels but the ignored ones, best first, hidden ones behind others of the same score."""
    kept = [label for label in range(len(row)) if label not in ignored]
    place = {label: number for number, label in enumerate(hidden, start=1)}
    return sorted(kept, key=lambda label: (-row[label], place.get(label, 0)))


def slow_recall(order, hidden, k):
    return sum(label in hidden for label in order[:k]) / min(k, len(hidden))


def slow_reciprocal_rank(order, hidden):
    return 1 / next(place for place, label in enumerate(order, start=1) if label in hidden)


def slow_average_precision(order, hidden):
    precisions = [
        sum(other in hidden for other in order[:place]) / place
        for place, label in enumerate(order, start=1)
        if label in hidden
    ]
    return sum(precisions) / len(hidden)


def slow_ndcg(order, hidden, k):
    """As scikit-learn's `ndcg_score` defines it."""

    def gain(ranking):
        return sum((label in hidden) / math.log2(1 + place) for place, label in enumerate(ranking[:k], start=1))

    return gain(order) / gain(sorted(order, key=lambda label: label not in hidden))


def check(ranks, posts, orders, answers):
    assert ranks.posts.tolist() == posts
    figures = {
        **{f"recall@{k}": (recall_at(ranks, k), lambda o, h, k=k: slow_recall(o, h, k)) for k in (1, 3, 10, 100)},
        "mrr": (reciprocal_rank(ranks), slow_reciprocal_rank),
        "r_precision": (r_precision(ranks), lambda order, hidden: slow_recall(order, hidden, len(hidden))),
        **{f"ndcg@{k}": (ndcg_at(ranks, k), lambda o, h, k=k: slow_ndcg(o, h, k)) for k in (1, 3, 10, 20)},
        "ap": (average_precision(ranks), slow_average_precision),
    }
    for name, (found, slow) in figures.items():
        expected = [slow(order, hidden) for order, hidden in zip(orders, answers, strict=True)]
        assert found.tolist() == pytest.approx(expected), name


@given(cases())
def test_ranks_and_figures_equal_the_slow_reference(case):
    scores, hidden, _ = case
    found = hidden_ranks(scores, hidden)
    orders = [ranking(row.tolist(), own.tolist()) for row, own in zip(scores, hidden, strict=True)]
    for order, own, ranks in zip(orders, hidden, found, strict=True):
        assert ranks.tolist() == [order.index(label) + 1 for label in own.tolist()]
    posts = [7 * post for post in range(len(hidden))]
    check(Ranks.of(posts, hidden, found), posts, orders, [own.tolist() for own in hidden])


@given(cases())
def test_a_part_of_the_hidden_labels_is_ranked_as_if_the_others_were_not_there(case):
    scores, hidden, part = case
    ranks = Ranks.of(range(len(hidden)), hidden, hidden_ranks(scores, hidden))
    wanted = {(post, label) for post, own in enumerate(hidden) for label in own[part[post]].tolist()}
    chosen = np.array([pair in wanted for pair in zip(ranks.post.tolist(), ranks.label.tolist(), strict=True)])
    posts, orders, answers = [], [], []
    for post, (row, own) in enumerate(zip(scores, hidden, strict=True)):
        kept = own[part[post]].tolist()
        if kept:
            posts.append(post)
            orders.append(ranking(row.tolist(), kept, ignored=set(own.tolist()) - set(kept)))
            answers.append(kept)
    check(ranks.only(chosen), posts, orders, answers)


def test_an_oracle_scores_1_on_any_part_and_its_opposite_0():
    rng = np.random.default_rng(3)
    hidden = [rng.choice(40, size=int(rng.integers(1, 12)), replace=False) for _ in range(60)]
    truth = np.zeros((60, 40), dtype=np.float32)
    for row, columns in zip(truth, hidden, strict=True):
        row[columns] = 1
    whole = Ranks.of(range(60), hidden, hidden_ranks(truth, hidden))
    for ranks in (whole, whole.only(rng.random(len(whole.rank)) < 0.3)):
        assert all(recall_at(ranks, k).min() == 1 for k in (1, 5, 10, 40))
        assert all(ndcg_at(ranks, k).min() == pytest.approx(1) for k in (1, 10, 20))
        assert reciprocal_rank(ranks).min() == r_precision(ranks).min() == average_precision(ranks).min() == 1
    opposite = Ranks.of(range(60), hidden, hidden_ranks(-truth, hidden))
    assert recall_at(opposite, 10).max() == r_precision(opposite).max() == 0


def test_random_scores_are_at_chance():
    rng = np.random.default_rng(4)
    posts, labels, size, k = 4000, 200, 10, 10
    scores = rng.random((posts, labels), dtype=np.float32)
    hidden = [rng.choice(labels, size, replace=False) for _ in range(posts)]
    ranks = Ranks.of(range(posts), hidden, hidden_ranks(scores, hidden))
    # Hits are hypergeometric. The best rank is above r if none of the first r is hidden.
    hits = stats.hypergeom(labels, size, k)
    recall = recall_at(ranks, k)
    assert recall.mean() == pytest.approx(hits.mean() / size, abs=4 * hits.std() / size / np.sqrt(posts))
    above = [stats.hypergeom(labels, size, r).pmf(0) for r in range(labels + 1)]
    expected = sum((above[r - 1] - above[r]) / r for r in range(1, labels + 1))
    reciprocal = reciprocal_rank(ranks)
    assert reciprocal.mean() == pytest.approx(expected, abs=4 * reciprocal.std() / np.sqrt(posts))


def test_a_constant_scorer_earns_nothing():
    hidden = [np.array([0, 1, 2])]
    found = hidden_ranks(np.zeros((1, 50), dtype=np.float32), hidden)
    assert found[0].tolist() == [48, 49, 50]
    assert recall_at(Ranks.of([0], hidden, found), 10).tolist() == [0]


def test_a_score_that_is_no_number_is_refused():
    scores = np.zeros((1, 5), dtype=np.float32)
    scores[0, 2] = np.nan
    with pytest.raises(ValueError, match="not a number"):
        hidden_ranks(scores, [np.array([2])])


def test_no_posts_are_no_figures():
    ranks = Ranks.of([], [], [])
    assert len(ranks.posts) == len(recall_at(ranks, 10)) == len(reciprocal_rank(ranks)) == 0
    assert len(average_precision(ranks)) == len(ndcg_at(ranks, 10)) == 0
