import numpy as np
import pytest

from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.objective_name import ObjectiveName
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.ranking import best_of
from booru_pipeline.model.ranking.torch_rankers import ranker_for
from booru_pipeline.model.shortlist import ShortlistScorer
from booru_pipeline.model.t5_alone import T5Alone
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline_tests.training.themed_dataset import small_t5
from booru_pipeline_tests.vocabulary.labels import LABELS, make_vocabulary

CONTEXTS = [[0, 3], [5], list(range(4, 20)), []]


class ByRow:
    """Proposes the labels in the vocabulary's order, the most frequent first."""

    def scores(self, contexts, batch_size=256):
        scores = np.tile(-np.arange(len(LABELS), dtype=np.float32), (len(contexts), 1))
        for row, context in zip(scores, contexts, strict=True):
            row[context] = -np.inf
        return scores


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    vocabulary = make_vocabulary(tmp_path_factory.mktemp("vocabulary"))
    ranker = ranker_for(small_t5(vocabulary), vocabulary, EncodingName.PIECES, ObjectiveName.SEQUENCE)
    return Predictor(T5Alone(ranker, len(vocabulary), Calibration()), vocabulary)


def test_the_shortlist_is_in_the_models_order_and_the_rest_in_the_proposers(predictor):
    size = 6
    found = ShortlistScorer(predictor, ByRow(), size).scores(CONTEXTS)
    whole = predictor.scores(CONTEXTS)
    for context, row, every in zip(CONTEXTS, found, whole, strict=True):
        free = [label for label in range(len(LABELS)) if label not in context]
        expected = sorted(free[:size], key=lambda label: -every[label]) + free[size:]
        order = np.argsort(-row, kind="stable")
        assert order[: len(free)].tolist() == expected
        assert np.isneginf(row[context]).all()
        assert np.isfinite(row[free]).all()
        assert np.exp(row).sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(np.diff(row[free[:size]]), np.diff(every[free[:size]]), rtol=1e-3, atol=1e-4)


def test_a_shortlist_of_all_labels_changes_nothing(predictor):
    found = ShortlistScorer(predictor, ByRow(), len(LABELS)).scores(CONTEXTS, batch_size=2)
    np.testing.assert_allclose(found, predictor.scores(CONTEXTS), rtol=1e-4, atol=1e-4)


def test_no_order_of_the_shortlist_recalls_more_than_the_ceiling(predictor):
    scorer = ShortlistScorer(predictor, ByRow(), 4)
    # Of the first, 1, 2, 4 and 5 are proposed; of the second 0, 1, 2 and 3.
    hidden = [[1, 2, 10, 11], [0], [], []]
    assert scorer.ceiling(CONTEXTS, hidden) == pytest.approx((2 / 4 + 1) / 2)
    assert np.isnan(scorer.ceiling([[1]], [[]]))


def test_what_is_visible_is_not_proposed():
    assert [rows.tolist() for rows in best_of(np.array([[-np.inf, 1.0, 3.0, 1.0], [-np.inf] * 4]), 3)] == [
        [2, 1, 3],
        [],
    ]


def test_the_best_are_those_of_a_stable_sort_whatever_ties():
    random = np.random.default_rng(0)
    scores = random.integers(0, 6, size=(50, 40)).astype(np.float64)
    scores[random.random(scores.shape) < 0.2] = -np.inf
    for size in (1, 7, 39, 40, 99):
        for best, row in zip(best_of(scores, size), scores, strict=True):
            order = np.argsort(-row, kind="stable")[:size]
            assert best.tolist() == [label for label in order.tolist() if np.isfinite(row[label])]
    assert [rows.tolist() for rows in best_of(np.empty((2, 0)), 3)] == [[], []]
