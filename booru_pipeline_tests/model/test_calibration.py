import numpy as np
import pytest
from scipy.special import expit

from booru_pipeline.model.calibration import Calibration, fit


def made_up(truth: Calibration, posts: int = 400, labels: int = 200, seed: int = 0):
    random = np.random.default_rng(seed)
    scores = random.normal(-6, 3, (posts, labels)).astype(np.float32)
    visible = random.integers(1, 30, posts)
    scores[np.arange(posts), random.integers(0, labels, posts)] = -np.inf
    chance = truth.probabilities(scores, visible)
    return scores, visible, random.random(scores.shape) < chance


def test_the_fit_finds_the_truth():
    truth = Calibration(bias=2.5, slope=0.9, lift=2.0, size=0.4, bend=-0.2)
    found = fit(*made_up(truth))
    scores, visible, _ = made_up(truth, seed=1)
    assert np.abs(found.probabilities(scores, visible) - truth.probabilities(scores, visible)).max() < 0.05
    assert found.slope == pytest.approx(truth.slope, abs=0.1)


def test_calibrated_probabilities_sum_to_what_is_there():
    scores, visible, present = made_up(Calibration(bias=1.0, slope=1.4, lift=0.2), seed=3)
    # The bias makes the likelihood's gradient zero exactly where the sums agree.
    assert fit(scores, visible, present).probabilities(scores, visible).sum() == pytest.approx(present.sum(), rel=1e-3)


@pytest.mark.parametrize("present", [np.zeros((3, 4), bool), np.ones((3, 4), bool)])
def test_degenerate_data_give_finite_weights(present):
    scores = np.full((3, 4), -5.0, dtype=np.float32)
    found = fit(scores, np.array([1, 1, 1]), present)
    assert np.isfinite(list(found.model_dump().values())).all()
    assert (np.abs(found.probabilities(scores, np.array([1, 1, 1])) - present) < 0.01).all()


def test_extreme_scores_stay_within_bounds():
    scores = np.array([[-1e30, -np.inf, 0.0, -50.0]])
    chance = Calibration(bias=3.0, slope=1.0, lift=2.0).probabilities(scores, np.array([0]))
    assert ((chance >= 0) & (chance <= 1)).all()
    assert chance[0, 1] == 0
    assert chance[0, 2] == pytest.approx(expit(3.0 + 2.0))


def test_written_and_read(tmp_path):
    calibration = Calibration(bias=1.5, slope=0.25, lift=-2.0, size=0.5, bend=0.125)
    calibration.write(tmp_path)
    assert Calibration.read(tmp_path) == calibration
