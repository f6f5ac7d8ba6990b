import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booru_pipeline.evaluation.figures.reliability import BINS, reliability


@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=60), st.randoms())
def test_it_equals_the_slow_reference_in_any_order(guesses, random):
    ordered = sorted((tenths / 10, right) for tenths, right in guesses)
    number = min(BINS, len(ordered))
    sizes = [len(ordered) // number + (place < len(ordered) % number) for place in range(number)]
    error, bins, start = 0.0, [], 0
    for size in sizes:
        own = ordered[start : start + size]
        start += size
        bins.append((size, sum(chance for chance, _ in own) / size, sum(right for _, right in own) / size))
        error += size / len(ordered) * abs(bins[-1][1] - bins[-1][2])
    random.shuffle(guesses)
    found = reliability(np.array([tenths / 10 for tenths, _ in guesses]), np.array([right for _, right in guesses]))
    assert found.error == pytest.approx(error)
    for own, expected in zip(found.bins, bins, strict=True):
        assert (own.guesses, own.probability, own.found) == pytest.approx(expected)


def test_the_noise_is_the_error_of_exact_probabilities():
    rng = np.random.default_rng(0)
    probability = rng.random(3_000) ** 2
    errors = [reliability(probability, rng.random(3_000) < probability) for _ in range(200)]
    assert np.mean([found.error for found in errors]) == pytest.approx(errors[0].noise, rel=0.05)
    assert reliability(np.array([0.0, 1.0]), np.array([False, True])).noise == 0


def test_exact_probabilities_have_next_to_no_error_and_halved_ones_have():
    rng = np.random.default_rng(0)
    probability = rng.random(200_000)
    right = rng.random(200_000) < probability
    # A bin's share has a standard deviation of at most 0.5 / sqrt(200,000 / 15).
    assert reliability(probability, right).error < 3 * 0.5 / np.sqrt(200_000 / BINS)
    assert reliability(probability / 2, right).error == pytest.approx(0.25, abs=0.01)
