import numpy as np
import pytest

from booru_pipeline.evaluation.baselines import CoOccurrence, Popularity
from booru_pipeline.evaluation.posts import incidence

LABELS = 15
PRIOR = 10.0


def random_posts(seed, posts):
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, LABELS + 1)
    return [
        np.sort(rng.choice(LABELS, size=int(rng.integers(1, 8)), replace=False, p=weights / weights.sum()))
        for _ in range(posts)
    ]


TRAIN = random_posts(0, 200)
CONTEXTS = [[], *(post.tolist() for post in random_posts(1, 30))]


def slow_share(label):
    return sum(label in post for post in TRAIN) / len(TRAIN)


def slow_given(label, context):
    """P(label | context), by counting posts."""
    having = [post for post in TRAIN if context in post]
    together = sum(label in post for post in having)
    return (together + PRIOR * slow_share(label)) / (len(having) + PRIOR)


def test_popularity_is_the_share_of_train_posts():
    scores = Popularity(incidence(TRAIN, LABELS)).scores(CONTEXTS)
    for row, context in zip(scores, CONTEXTS, strict=True):
        expected = [-np.inf if label in context else slow_share(label) for label in range(LABELS)]
        np.testing.assert_allclose(row, expected, rtol=1e-5)


def test_co_occurrence_is_the_mean_of_smoothed_conditional_shares():
    scores = CoOccurrence(incidence(TRAIN, LABELS), prior_posts=PRIOR).scores(CONTEXTS)
    for row, context in zip(scores, CONTEXTS, strict=True):
        for label in range(LABELS):
            if label in context:
                assert row[label] == -np.inf
            elif context:
                expected = np.mean([slow_given(label, seen) for seen in context])
                assert row[label] == pytest.approx(expected, rel=1e-4)
            else:
                assert row[label] == pytest.approx(slow_share(label), rel=1e-4)


def test_the_batch_size_changes_nothing():
    method = CoOccurrence(incidence(TRAIN, LABELS))
    np.testing.assert_array_equal(method.scores(CONTEXTS, 4), method.scores(CONTEXTS, 1000))


def test_a_label_that_train_never_saw_does_not_break_them():
    train = incidence([np.array([0, 1])], 4)
    for method in (Popularity(train), CoOccurrence(train)):
        scores = method.scores([[3]])
        assert np.isfinite(scores[0, :3]).all()
        assert scores[0, 3] == -np.inf
