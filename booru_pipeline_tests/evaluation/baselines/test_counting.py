"""Each counting baseline against its formula, post by post and label by label."""

import numpy as np
import pytest

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.evaluation.baselines.counting import (
    CoOccurrence,
    ImplicationClosure,
    ItemKnn,
    NaiveBayes,
    Popularity,
)
from booru_pipeline.evaluation.baselines.ease import Ease
from booru_pipeline.evaluation.baselines.rules import AssociationRules, mine
from booru_pipeline.model.pairs import PairCounts
from booru_pipeline_tests.evaluation.baselines.countable_posts import CONTEXTS, LABELS, MATRIX, TRAIN, having

PAIRS = PairCounts.of(MATRIX)
ALL = {
    "popularity": lambda train: Popularity(train),
    "co-occurrence": lambda train: CoOccurrence(PairCounts.of(train)),
    "naive Bayes": lambda train: NaiveBayes(PairCounts.of(train)),
    "association rules": lambda train: AssociationRules(mine(train)),
    "item-kNN": lambda train: ItemKnn(PairCounts.of(train)),
    "EASE": lambda train: Ease(PairCounts.of(train)),
}


def share(label):
    return having(label) / len(TRAIN)


def check(method, expected):
    """Compare with `expected(context, label)`, for labels that are not visible and contexts that are not empty."""
    for row, context in zip(method.scores(CONTEXTS), CONTEXTS, strict=True):
        for label in range(LABELS):
            if label in context:
                assert row[label] == -np.inf
            elif context:
                assert row[label] == pytest.approx(expected(context, label), rel=2e-4, abs=1e-6)
            else:
                assert row[label] == pytest.approx(share(label), rel=1e-4)


def test_pairs_are_counted():
    together = PAIRS.together.toarray()
    for a in range(LABELS):
        assert PAIRS.labels[a] == having(a)
        assert together[a, a] == 0
        assert together[a].tolist() == [having(a, b) if a != b else 0 for b in range(LABELS)]


def test_popularity_is_the_share_of_train_posts():
    check(Popularity(MATRIX), lambda context, label: share(label))


@pytest.mark.parametrize("prior", [0.5, 10.0])
def test_co_occurrence_is_the_mean_of_smoothed_conditional_shares(prior):
    def expected(context, label):
        return np.mean([(having(label, seen) + prior * share(label)) / (having(seen) + prior) for seen in context])

    check(CoOccurrence(PAIRS, prior_posts=prior), expected)


@pytest.mark.parametrize(("prior", "weight"), [(10.0, 1.0), (100.0, 0.5)])
def test_naive_bayes_is_the_sum_of_logarithms_up_to_what_is_the_same_for_all_labels(prior, weight):
    scores = NaiveBayes(PAIRS, prior_posts=prior, weight=weight).scores(CONTEXTS)
    for row, context in zip(scores, CONTEXTS, strict=True):
        if not context:
            continue
        others = [label for label in range(LABELS) if label not in context]
        expected = [
            np.log((having(label) + 0.5) / (len(TRAIN) + 1))
            + weight
            * sum(np.log((having(seen, label) + prior * share(seen)) / (having(label) + prior)) for seen in context)
            for label in others
        ]
        np.testing.assert_allclose(row[others] - row[others].mean(), expected - np.mean(expected), atol=1e-4)


@pytest.mark.parametrize(("visible", "target"), [(0.5, 0.5), (1.5, 0.25)])
def test_item_knn_sums_likeness_over_all_visible_labels(visible, target):
    def expected(context, label):
        return sum(having(seen, label) / (having(seen) ** visible * having(label) ** target) for seen in context)

    check(ItemKnn(PAIRS, visible=visible, target=target), expected)


@pytest.mark.parametrize("ridge", [1.0, 30.0])
def test_ease_is_ridge_regression_of_each_label_on_the_others(ridge):
    posts = MATRIX.toarray().astype(np.float64)
    weights = np.zeros((LABELS, LABELS))
    for label in range(LABELS):
        others = [other for other in range(LABELS) if other != label]
        gram = posts[:, others].T @ posts[:, others] + ridge * np.eye(LABELS - 1)
        weights[others, label] = np.linalg.solve(gram, posts[:, others].T @ posts[:, label])
    check(Ease(PAIRS, ridge=ridge), lambda context, label: weights[context, label].sum())


def test_ease_mirrors_its_inverse_across_blocks():
    labels = 1100  # more than two blocks
    rng = np.random.default_rng(0)
    train = incidence([rng.choice(labels, size=12, replace=False) for _ in range(1500)], labels)
    gram = (train.T @ train).toarray().astype(np.float64) + 5 * np.eye(labels)
    inverse = np.linalg.inv(gram)
    contexts = [[0, 600, 1099], [511, 512, 1024]]
    expected = incidence(contexts, labels) @ (-inverse / np.diag(inverse))
    others = [label for label in range(labels) if label not in contexts[0] + contexts[1]]
    scores = Ease(PairCounts.of(train), ridge=5).scores(contexts)
    np.testing.assert_allclose(scores[:, others], expected[:, others], atol=1e-5)


def test_implication_closure_knows_what_is_implied_and_nothing_else():
    none = np.array([], dtype=np.int64)
    implied = incidence([np.array([1, 2]), np.array([2]), none, none, none], 5)
    scores = ImplicationClosure(implied).scores([[0], [1, 3], [], [4]])
    assert scores.tolist() == [
        [-np.inf, 1, 1, 0, 0],
        [0, -np.inf, 1, -np.inf, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, -np.inf],
    ]


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_the_batch_size_changes_nothing_and_neither_does_fitting_again(make):
    first = make(MATRIX).scores(CONTEXTS, 4)
    np.testing.assert_array_equal(first, make(MATRIX).scores(CONTEXTS, 4))
    np.testing.assert_allclose(first, make(MATRIX).scores(CONTEXTS, 1000), rtol=1e-6)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_a_label_that_train_never_saw_does_not_break_them_and_tells_nothing(make):
    train = incidence([np.array([0, 1, 2]), np.array([0, 1]), np.array([0])] * 10, 5)
    scores = make(train).scores([[3], [], [0], [0, 3]])
    assert np.isfinite(scores[0, [0, 1, 2, 4]]).all()
    assert scores[0, 3] == -np.inf
    others = [0, 1, 2, 4]
    np.testing.assert_array_equal(scores[0, others], scores[1, others])
    np.testing.assert_array_equal(np.argsort(-scores[2, [1, 2, 4]]), np.argsort(-scores[3, [1, 2, 4]]))
    assert np.argsort(-scores[1], kind="stable")[:3].tolist() == [0, 1, 2]  # nothing visible: popularity
    assert scores[2, 4] <= scores[2, 2] <= scores[2, 1]


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_without_any_post_every_label_is_alike(make):
    scores = make(incidence([], 3)).scores([[0], []])
    assert scores[0, 0] == -np.inf
    assert len(set(scores[0, 1:])) == 1
    assert np.isfinite(scores[1]).all()
