import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booru_pipeline.evaluation.figures.ranks import label_precision

POSTS, LABELS = 8, 4
MATRIX = st.lists(st.integers(0, 3), min_size=POSTS * LABELS, max_size=POSTS * LABELS)


def slow_average_precision(cells):
    """Sum over thresholds of the rise of recall times precision, as scikit-learn defines it."""
    total = sum(right for _, right in cells)
    area, before = 0.0, 0
    for threshold in sorted({score for score, _ in cells}, reverse=True):
        passed = [right for score, right in cells if score >= threshold]
        area += (sum(passed) - before) / total * sum(passed) / len(passed)
        before = sum(passed)
    return area


@given(MATRIX, MATRIX, MATRIX, st.integers(1, 3))
def test_it_equals_the_slow_reference(scores, right, asked, support):
    scores = np.array(scores, dtype=np.float32).reshape(POSTS, LABELS)
    scores[scores == 0] = -np.inf  # as a baseline may say of what it does not know
    asked = np.array(asked).reshape(POSTS, LABELS) > 0
    right = (np.array(right).reshape(POSTS, LABELS) > 1) & asked
    counts = [label for label in range(LABELS) if right[:, label].sum() >= support]
    cells = {
        label: [(float(scores[post, label]), bool(right[post, label])) for post in range(POSTS) if asked[post, label]]
        for label in counts
    }
    found = label_precision(scores, right, asked, support=support)
    assert found.labels == len(counts)
    if counts:
        assert found.micro == pytest.approx(slow_average_precision([cell for own in cells.values() for cell in own]))
        assert found.macro == pytest.approx(np.mean([slow_average_precision(own) for own in cells.values()]))
    else:
        assert (found.micro, found.macro) == (None, None)


def test_an_oracle_has_1_and_a_constant_the_share_of_hidden_cells():
    rng = np.random.default_rng(0)
    right = rng.random((300, 20)) < 0.1
    asked = np.ones_like(right)
    oracle = label_precision(right.astype(np.float32), right, asked, support=1)
    assert (oracle.micro, oracle.macro, oracle.labels) == (1, 1, 20)
    constant = label_precision(np.zeros(right.shape, dtype=np.float32), right, asked, support=1)
    assert constant.micro == pytest.approx(right.mean())
    assert constant.macro == pytest.approx(right.mean(axis=0).mean())
