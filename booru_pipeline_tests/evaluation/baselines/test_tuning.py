import weakref
from functools import partial

import numpy as np
import pytest

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.evaluation.baselines.ease import Ease
from booru_pipeline.evaluation.baselines.tuning import climb, standing
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
        self.described = f"at {x}, {y}"

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
    assert standing(scorer, PAIRS).recall == pytest.approx(16 / 32)
    many = [([0], np.arange(20))]
    assert standing(scorer, many).recall == pytest.approx(1.0)  # ten of ten, though twenty are hidden
    assert standing(scorer, [([39], np.array([30, 0]))]).recall == pytest.approx(0.5)


def test_the_climb_reaches_the_top_of_a_hill_and_visits_nothing_twice():
    grid = {"x": [0, 1, 2, 3, 4], "y": [0, 1, 2, 3]}
    worth = lambda x, y: 30 - 5 * abs(x - 3) - 4 * abs(y - 2)  # noqa: E731
    [best] = climb(partial(Rigged, worth=worth), grid, {"x": 0, "y": 0}, [PAIRS])
    assert best == ({"x": 3, "y": 2}, "at 3, 2")
    assert len(MADE) == len(set(MADE))


def test_of_equal_ones_the_first_stays_and_without_pairs_the_start_does():
    assert climb(partial(Rigged, worth=lambda x, y: 7), {"x": [0, 1, 2]}, {"x": 1}, [PAIRS])[0].settings == {"x": 1}
    assert climb(partial(Rigged, worth=lambda x, y: x), {"x": [0, 1, 2]}, {"x": 1}, [[]])[0].settings == {"x": 1}
    assert MADE[-1] == (1, 0.0)


class Hidden(Rigged):
    """Two hills, one for each kind of question: the first label given says which."""

    def __init__(self, x=0.0, y=0.0, tops=()):
        super().__init__(x, y, worth=lambda x, y: 0)
        self.worth = [12 - 3 * abs(x - at_x) - 2 * abs(y - at_y) for at_x, at_y in tops]

    def scores(self, contexts, batch_size=256):
        scores = np.tile(np.arange(40.0, dtype=np.float32), (len(contexts), 1))
        for row, context in zip(scores, contexts, strict=True):
            if context[0] % 20 < self.worth[context[0] // 20]:
                row[:10] += 100
        return scores


FIRST = [([place], np.arange(10)) for place in range(20)]
SECOND = [([place], np.arange(10)) for place in range(20, 40)]
GRID = {"x": [0, 1, 2, 3], "y": [0, 1, 2, 3]}


def test_each_question_gets_its_own_optimum_and_no_setting_is_made_twice():
    made = partial(Hidden, tops=[(0, 3), (3, 1)])
    start = {"x": 0, "y": 0}
    first, second = climb(made, GRID, start, [FIRST, SECOND])
    assert (first.settings, second.settings) == ({"x": 0, "y": 3}, {"x": 3, "y": 1})
    assert len(MADE) == len(set(MADE)) < 16
    both = len(MADE)
    MADE.clear()
    for question in (FIRST, SECOND):
        climb(made, GRID, start, [question])
    assert len(MADE) > both  # apart they visit some settings twice


def test_one_is_in_memory_at_a_time():
    alive, most = weakref.WeakSet(), 0

    class Counted(Hidden):
        def __init__(self, **settings):
            nonlocal most
            super().__init__(**settings, tops=[(0, 3), (3, 1)])
            alive.add(self)
            most = max(most, len(alive))

    assert len(climb(Counted, GRID, {"x": 0, "y": 0}, [FIRST, SECOND])) == 2
    assert len(MADE) > most == 1
    assert not alive


def test_one_setting_may_be_best_for_several_and_a_question_without_pairs_takes_the_start():
    made = partial(Hidden, tops=[(2, 2), (2, 2)])
    first, second, third = climb(made, GRID, {"x": 1, "y": 1}, [FIRST, SECOND, []])
    assert first is second
    assert (first.settings, third.settings) == ({"x": 2, "y": 2}, {"x": 1, "y": 1})


def test_of_settings_with_equal_recall_the_one_with_the_better_mrr_is_taken():
    class Placed(Rigged):
        """Finds one of ten hidden labels, the first at a rank that depends on the setting."""

        def __init__(self, x=0.0):
            super().__init__(x, worth=lambda x, y: 0)

        def scores(self, contexts, batch_size=256):
            scores = np.tile(np.arange(40.0, dtype=np.float32), (len(contexts), 1))
            scores[:, 0] = 30.5 + self.x
            return scores

    pairs = [([20], np.arange(10))]
    assert standing(Placed(1), pairs).recall == standing(Placed(5), pairs).recall == 0.1
    [best] = climb(Placed, {"x": [1, 3, 5]}, {"x": 1}, [pairs])
    assert best.settings == {"x": 5}


def test_what_cannot_be_fitted_is_passed_by():
    worth = lambda x, y: 20 - x  # noqa: E731
    broken = [(0, 0.0), (1, 0.0), (2, 0.0)]
    [best] = climb(partial(Rigged, worth=worth, broken=broken), {"x": [0, 1, 2, 3, 4]}, {"x": 1}, [PAIRS])
    assert best.settings == {"x": 3}
    with pytest.raises(np.linalg.LinAlgError):
        climb(partial(Rigged, worth=worth, broken=[(0, 0.0), (1, 0.0)]), {"x": [0, 1]}, {"x": 0}, [PAIRS])


def test_ease_takes_the_ridge_that_does_better_on_validation_posts():
    posts = correlated_posts(0, 450)
    train, pairs = PairCounts.of(incidence(posts[:150], 60)), halves(1, posts[150:])
    ridges = [0.01, 1, 100]
    recall = {ridge: standing(Ease(train, ridge=ridge), pairs).recall for ridge in ridges}
    assert recall[100] > recall[1] > recall[0.01]  # few posts, so that a small ridge overfits
    [chosen] = climb(partial(Ease, train), {"ridge": ridges}, {"ridge": 0.01}, [pairs])
    assert chosen.settings == {"ridge": 100}
    assert "λ = 100" in chosen.described
