from functools import partial

import numpy as np
import pytest

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.evaluation.baselines.ease import Ease
from booru_pipeline.evaluation.baselines.fit import climb, mean_recall
from booru_pipeline.model.pairs import PairCounts
from booru_pipeline_tests.evaluation.baselines.countable_posts import correlated_posts, halves

MADE = []


class Rigged:
    """Ranks the hidden labels 0 to 9 within the first ten in as many posts as its setting is worth."""

    def __init__(self, x=0.0, y=0.0, worth=None, broken=()):
        MADE.append((x, y))
        if (x, y) in broken:
            raise np.linalg.LinAlgError("broken")
        self.x, self.y, self.right = x, y, worth(x, y)

    def scores(self, contexts, batch_size=256):
        scores = np.tile(np.arange(40.0, dtype=np.float32), (len(contexts), 1))  # labels 30 to 39 first
        for row, context in zip(scores, contexts, strict=True):
            if context[0] < self.right:
                row[:10] += 100
        return scores


PAIRS = [([place], np.arange(10)) for place in range(12, 32)] + [([place], np.arange(10)) for place in range(12)]


@pytest.fixture(autouse=True)
def _forget():
    MADE.clear()


def test_mean_recall_is_hits_over_what_fits_in_ten():
    scorer = Rigged(worth=lambda x, y: 16)
    assert mean_recall(scorer, PAIRS) == pytest.approx(16 / 32)
    many = [([0], np.arange(20))]
    assert mean_recall(scorer, many) == pytest.approx(1.0)  # ten of ten, though twenty are hidden
    assert mean_recall(scorer, [([39], np.array([30, 0]))]) == pytest.approx(0.5)


def test_the_climb_reaches_the_top_of_a_hill_and_visits_nothing_twice():
    grid = {"x": [0, 1, 2, 3, 4], "y": [0, 1, 2, 3]}
    best = climb(
        partial(Rigged, worth=lambda x, y: 30 - 5 * abs(x - 3) - 4 * abs(y - 2)), grid, {"x": 0, "y": 0}, PAIRS
    )
    assert (best.x, best.y) == (3, 2)
    assert len(MADE) == len(set(MADE))


def test_of_equal_ones_the_first_stays_and_without_pairs_the_start_does():
    assert climb(partial(Rigged, worth=lambda x, y: 7), {"x": [0, 1, 2]}, {"x": 1}, PAIRS).x == 1
    assert climb(partial(Rigged, worth=lambda x, y: x), {"x": [0, 1, 2]}, {"x": 1}, []).x == 1
    assert MADE[-1] == (1, 0.0)


def test_what_cannot_be_fitted_is_passed_by():
    worth = lambda x, y: 20 - x  # noqa: E731
    broken = [(0, 0.0), (1, 0.0), (2, 0.0)]
    assert climb(partial(Rigged, worth=worth, broken=broken), {"x": [0, 1, 2, 3, 4]}, {"x": 1}, PAIRS).x == 3
    with pytest.raises(np.linalg.LinAlgError):
        climb(partial(Rigged, worth=worth, broken=[(0, 0.0), (1, 0.0)]), {"x": [0, 1]}, {"x": 0}, PAIRS)


def test_ease_takes_the_ridge_that_does_better_on_validation_posts():
    posts = correlated_posts(0, 450)
    train, pairs = PairCounts.of(incidence(posts[:150], 60)), halves(1, posts[150:])
    ridges = [0.01, 1, 100]
    recall = {ridge: mean_recall(Ease(train, ridge=ridge), pairs) for ridge in ridges}
    assert recall[100] > recall[1] > recall[0.01]  # few posts, so that a small ridge overfits
    chosen = climb(partial(Ease, train), {"ridge": ridges}, {"ridge": 0.01}, pairs)
    assert mean_recall(chosen, pairs) == recall[100]
    assert "λ = 100" in chosen.described
