import numpy as np
import pytest
from scipy.stats import chi2_contingency, false_discovery_control

from booru_pipeline.evaluation.comparison.drift import drift
from booru_pipeline_tests.evaluation.named_posts import posts_of

LABELS = [f"label_{row}" for row in range(30)]
RARE = 29  # on too few pictures to test


def make(shares, count, release, seed, pictures=None):
    rng = np.random.default_rng(seed)
    labels = [np.flatnonzero(rng.random(len(shares)) < shares) for _ in range(count)]
    group = [f"{release} {row if pictures is None else row % pictures}" for row in range(count)]
    return posts_of(labels, group=group, release=release)


SHARES = np.array([*np.linspace(0.05, 0.6, 29), 0.0005])
MOVED = SHARES.copy()
MOVED[4] += 0.2
MOVED[20] -= 0.15


@pytest.fixture(scope="module")
def splits():
    return [make(SHARES, 1500, "2021a", 0), make(SHARES, 700, "2021b", 1), make(MOVED, 900, "2021c", 2)]


@pytest.fixture(scope="module")
def found(splits):
    return drift(splits, {"2021a", "2021b"}, LABELS, shown=15)


def test_planted_changes_are_found_and_nothing_else(found):
    assert [one.label for one in found.risen] == ["label_4"]
    assert [one.label for one in found.fallen] == ["label_20"]
    assert found.significant == 2
    assert found.tested == len(LABELS) - 1
    assert (found.pictures_before, found.pictures_now) == (2200, 900)


def test_shares_and_q_equal_a_plain_count_and_scipy_s_test(splits, found):
    earlier, now = [*splits[0].labels, *splits[1].labels], splits[2].labels
    p, shares = [], []
    for row in range(RARE):
        before, after = sum(row in own for own in earlier), sum(row in own for own in now)
        p.append(chi2_contingency([[before, 2200 - before], [after, 900 - after]], correction=False).pvalue)
        shares.append((before, after))
    q = false_discovery_control(p)
    for one in (*found.risen, *found.fallen):
        row = LABELS.index(one.label)
        assert (one.pictures_before, one.pictures_now) == shares[row]
        assert (one.share_before, one.share_now) == (shares[row][0] / 2200, shares[row][1] / 900)
        assert one.q == pytest.approx(q[row])


def test_posts_of_one_picture_count_once():
    """Ten listings of 40 pictures are 40 observations: what 400 would show, these do not."""
    base = np.full(20, 0.3)
    moved = base + 0.1
    loud = [make(base, 3000, "2021a", 0), make(moved, 400, "2021b", 1)]
    assert drift(loud, {"2021a"}, LABELS[:20], shown=99).significant > 10
    repeated = posts_of(loud[1].labels[:1] * 10, group=["one"] * 10, release="2021b")
    once = drift([loud[0], repeated], {"2021a"}, LABELS[:20], shown=99)
    assert once.pictures_now == 1
    assert once.tested == 0


def test_the_lists_are_bounded_and_ordered_by_points():
    rng = np.random.default_rng(3)
    shares = np.full(30, 0.3)
    moved = shares + np.linspace(-0.25, 0.25, 30)[rng.permutation(30)]
    found = drift([make(shares, 2000, "a", 0), make(moved, 2000, "b", 1)], {"a"}, LABELS, shown=5)
    for part, sign in ((found.risen, 1), (found.fallen, -1)):
        change = [sign * (one.share_now - one.share_before) for one in part]
        assert len(change) == 5
        assert change == sorted(change, reverse=True)
        assert change[-1] > 0


@pytest.mark.parametrize("before", [set(), {"2021a", "2021b", "2021c"}])
def test_without_posts_of_both_kinds_there_is_no_drift(splits, before):
    assert drift(splits, before, LABELS, shown=15) is None
