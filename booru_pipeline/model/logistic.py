"""Logistic regression of few weights on many rows, with a quadratic penalty towards a start; odds of a known sum."""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Floats = npt.NDArray[np.float64]

_GRADIENT = 1e-8  # of the mean loss, at which the fit ends
_HALVINGS = 40  # of the interval from e^-20 to e^20, in which a factor is looked for


def fit_logistic(features: Floats, target: Floats, weight: Floats, *, start: Floats, penalty: Floats) -> Floats:
    """Maximum likelihood by Newton's method in a trust region; the likelihood is concave.

    scikit-learn's has no penalty matrix and pulls towards zero, so that parts which say nothing would lose their start.

    Args:
        features: [rows, weights].
        target: [rows], 0 or 1.
        weight: [rows], how many rows each stands for.
        start: [weights], where the fit begins and what the penalty pulls to.
        penalty: [weights, weights], symmetric and positive: half of (w - start)' penalty (w - start) is added.

    Returns:
        [weights].
    """

    from scipy.optimize import minimize  # takes as long to import as an answer

    def loss(at: Floats) -> tuple[float, Floats]:
        odds = features @ at
        pull = penalty @ (at - start)
        gradient = features.T @ (weight * (expit(odds) - target)) + pull
        value = float((weight * (np.logaddexp(0.0, odds) - target * odds)).sum()) + 0.5 * float((at - start) @ pull)
        return value, gradient

    def curvature(at: Floats) -> Floats:
        chance = expit(features @ at)
        return (features * (weight * chance * (1 - chance))[:, None]).T @ features + penalty

    found = minimize(
        loss, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": _GRADIENT * len(target)}
    )
    return np.asarray(found.x, dtype=np.float64)


def summing_to(total: int, probability: Floats) -> Floats:
    """Probabilities [labels] whose odds are these odds times one number, so that they sum to a total, or nearly so.

    They are those of labels that have nothing to do with each other, once it is known about how many are there.
    """
    low, high = -20.0, 20.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        factor = math.exp(middle)
        found = factor * probability / (1 - probability + factor * probability)
        low, high = (low, middle) if found.sum() > total else (middle, high)
    return found
