import numpy as np
import pytest
from scipy.special import expit, logit

from booru_pipeline.errors import BooruError
from booru_pipeline.model.mixture import KNOTS, Mixture, Views, fit_known, fit_mixture, fit_prior


def views(contexts: int, labels: int, seed: int = 0) -> Views:
    random = np.random.default_rng(seed)
    t5, linear, strongest = (random.normal(-3, 2, (contexts, labels)) for _ in range(3))
    visible = random.choice([1, 2, 3, 5, 8, 12, 20, 40], contexts)
    t5[np.arange(contexts), random.integers(0, labels, contexts)] = -np.inf
    return Views(t5, {"linear": linear, "strongest": strongest}, visible)


def mixture(**weights) -> Mixture:
    flat = {"bias": 0.0, "t5": 1.0, "linear": 0.0, "strongest": 0.0} | weights
    by_knot = {name: tuple(np.broadcast_to(value, len(KNOTS)).tolist()) for name, value in flat.items()}
    return Mixture(bias=by_knot.pop("bias"), weights=by_knot, prior_posts=10.0)


TRUTH = mixture(bias=0.4, t5=np.linspace(0.9, 0.4, 6), linear=np.linspace(0.1, 0.6, 6), strongest=0.3)


@pytest.mark.parametrize("labels", [40, 900])  # all cells, and some cells that stand for the others
def test_the_fit_finds_weights_that_depend_on_the_number_of_visible_labels(labels):
    view = views(60_000 // labels * 4, labels)
    present = np.random.default_rng(1).random(view.t5.shape) < expit(TRUTH.log_odds(view).astype(np.float64))
    found = fit_mixture([(view, present)])
    held_out = views(500, labels, seed=2)
    error = np.abs(expit(found.log_odds(held_out)) - expit(TRUTH.log_odds(held_out)))
    assert error.mean() < 0.01
    assert found.weights["t5"][0] > found.weights["t5"][-1] + 0.2
    assert found.weights["linear"][-1] > found.weights["linear"][0] + 0.2


def test_parts_that_say_nothing_leave_the_t5_alone():
    view = views(400, 60)
    present = np.random.default_rng(1).random(view.t5.shape) < expit(view.t5)
    found = fit_mixture([(view, present)])
    assert np.abs(found.weights["t5"] - np.ones(6)).max() < 0.1
    assert np.abs([*found.weights["linear"], *found.weights["strongest"]]).max() < 0.1


def test_without_any_present_label_the_fit_is_finite():
    view = views(3, 20)
    found = fit_mixture([(view, np.zeros(view.t5.shape, dtype=bool))])
    assert np.isfinite([found.bias, *found.weights.values()]).all()


def test_visible_labels_stay_out_and_extremes_stay_finite():
    view = Views(
        np.array([[-np.inf, np.inf, -1e30]]),
        {"linear": np.full((1, 3), -9.2), "strongest": np.full((1, 3), 1e9)},
        np.array([500]),
    )
    odds = TRUTH.log_odds(view)
    assert np.isneginf(odds[0, 0])
    assert np.isfinite(odds[0, 1:]).all()


def test_between_two_knots_the_weights_lie_between():
    sure, silent = np.full((1, 1), 2.0), np.zeros((1, 1))
    counted = {"linear": silent, "strongest": silent}
    four, six, eight = (TRUTH.log_odds(Views(sure, counted, np.array([n])))[0, 0] for n in (4, 6, 8))
    assert four > six > eight  # the T5 weighs less the more is visible


def test_the_posterior_is_the_share_where_posts_are_many_and_the_mixture_where_there_are_none():
    odds = np.array([logit(0.4)])
    assert mixture().posterior(odds, np.array([0]), np.array([0])) == pytest.approx(0.4)
    assert mixture().posterior(odds, np.array([9_000]), np.array([10_000])) == pytest.approx(0.9, abs=1e-3)


def test_what_is_known_is_calibrated_by_how_much_is_known():
    random = np.random.default_rng(0)
    visible = random.choice([1, 2, 4, 8, 16], 3000)
    odds = random.normal(-1, 2, (3000, 30))
    odds[:, 3] = -np.inf
    truth = (
        np.where(visible == 1, 0.5, 1.0)[:, None] * np.where(np.isneginf(odds), 0, odds) + np.log(visible)[:, None] / 4
    )
    present = random.random(odds.shape) < expit(truth)
    found = fit_known(mixture(), odds, visible, present)
    assert found.known_slope[0] == pytest.approx(0.5, abs=0.1)
    assert found.known_slope[3] == pytest.approx(1.0, abs=0.1)
    assert found.known_bias[3] == pytest.approx(np.log(8) / 4, abs=0.15)
    known = found.of_known(odds, visible)
    assert np.isneginf(known[:, 3]).all()
    assert np.abs(expit(known) - expit(truth))[:, :3].mean() < 0.02


@pytest.mark.parametrize(("trust", "least", "most"), [("mixture", 300, 1000), ("counts", 1, 10)])
def test_the_prior_is_as_strong_as_the_mixture_is_good(trust, least, most):
    random = np.random.default_rng(0)
    truth = random.uniform(0.05, 0.95, (200, 30))
    other = random.uniform(0.05, 0.95, truth.shape)
    posts = np.full(200, 40)
    held_out = random.binomial(60, truth)
    # Either the mixture is right and the counts are of something else, or the other way round.
    odds, seen = (logit(truth), other) if trust == "mixture" else (logit(other), truth)
    together = random.binomial(40, seen)
    found = fit_prior(mixture(), odds, (together, posts), (held_out, np.full(200, 60)))
    assert least <= found.prior_posts <= most


def test_it_is_written_and_read(tmp_path):
    TRUTH.write(tmp_path)
    assert Mixture.read(tmp_path) == TRUTH
    (tmp_path / "mixture.json").write_text("{")
    with pytest.raises(BooruError, match=r"mixture\.json cannot be read"):
        Mixture.read(tmp_path)
