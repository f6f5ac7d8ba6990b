import numpy as np
import pytest
from scipy import sparse

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.errors import BooruError
from booru_pipeline.model.pair_table import PAIRS_FILE, PairTable
from booru_pipeline.model.pairs import PairCounts, count_together, edlae
from booru_pipeline_tests.dataset.label_rows import posts_of, random_posts, sets

LABELS = 30


def table_of(*posts, **options) -> PairTable:
    return PairTable.of(incidence(posts, LABELS), **options)


@pytest.fixture(scope="module")
def train():
    return incidence(random_posts(500, LABELS, most=12).labels, LABELS)


def test_counts_are_those_of_the_posts(train):
    table = PairTable.of(train)
    whole = (train.T @ train).toarray()
    together, known = table.beside_all(np.arange(LABELS))
    assert known.all()
    assert (table.counts == whole.diagonal()).all()
    assert (together == whole - np.diag(whole.diagonal())).all()


def test_estimates_are_those_of_the_regressions_and_their_logarithms(train):
    visible = random_posts(20, LABELS, seed=1, most=6)
    said = PairTable.of(train).says(visible)
    for name, (ridge, dropout) in {"linear": (10, 0.1), "sparse": (30, 0.5)}.items():
        estimate = incidence(visible.labels, LABELS) @ edlae(PairCounts.of(train), ridge=ridge, dropout=dropout)
        assert said[name] == pytest.approx(4 * np.clip(estimate, -0.2, 1.2), abs=1e-4)
        assert said[f"log {name}"] == pytest.approx(np.log(np.maximum(estimate, 1e-4)), abs=1e-2)
    assert (said["strongest"] == PairTable.of(train).strongest(visible)).all()


def test_the_strongest_is_the_highest_share_with_a_prior_of_ten_posts():
    table = table_of(*[[0, 1]] * 90, *[[0, 2]] * 10, *[[3, 2]] * 100)
    odds = table.strongest(posts_of([0], [0, 3]))
    share = 1 / (1 + np.exp(-odds))
    prior = 10 * (90 + 0.5) / 201
    assert share[0, 1] == pytest.approx((90 + prior) / 110, abs=1e-6)
    assert share[1, 1] == pytest.approx((90 + prior) / 110, abs=1e-6)
    assert share[1, 2] > 0.9  # by 3, though 0 says little of it
    assert share[0, 3] < 0.06  # never with 0: what the prior leaves


def test_bounds_keep_the_strongest_partners_and_say_what_is_not_known(train):
    table = PairTable.of(train, partners=5)
    whole = PairTable.of(train)
    assert np.diff(table.together.indptr).max() == 5
    assert all(np.diff(weights.tocsc().indptr).max() == 5 for weights in table.linear.values())
    for label in range(LABELS):
        partners, counts = table.beside(label)
        assert counts.min() >= np.sort(whole.beside(label)[1])[-5]
        together, known = (part[0] for part in table.beside_all(np.array([label])))
        assert known.sum() == 5
        assert (together[partners] == counts).all()


def test_linear_weights_are_of_the_most_frequent_labels_alone(train):
    table = PairTable.of(train, linear_labels=8)
    frequent = np.argsort(-table.counts, kind="stable")[:8]
    for weights in table.linear.values():
        assert set(np.concatenate(weights.nonzero()).tolist()) <= set(frequent.tolist())
        assert np.count_nonzero(weights.data) == 8 * 7


def test_a_label_that_always_brings_the_others_speaks_for_them():
    table = table_of(*[[0, 1, 2]] * 5, *[[1, 2]] * 5, *[[2, 3]] * 5)
    assert table.alone(np.array([3])) == 3
    assert table.alone(np.array([2, 0, 1])) == 0
    assert table.alone(np.array([1, 3])) is None
    assert table.alone(np.array([], dtype=np.int64)) is None


def test_closing_moves_what_is_certain_to_the_visible_labels():
    table = table_of(*[[0, 1, 2]] * 5, *[[1, 2]] * 5, *[[2, 3]] * 5)
    visible, hidden = table.close(posts_of([0], [3]), posts_of([1, 2, 5], [1]))
    assert sets(visible) == [[0, 1, 2], [3]]
    assert sets(hidden) == [[5], [1]]


def test_it_comes_back_as_it_was_written(tmp_path, train):
    table = PairTable.of(train)
    table.write(tmp_path)
    again = PairTable.read(tmp_path)
    visible = random_posts(9, LABELS, seed=4)
    assert again.posts == 500
    assert (again.strongest(visible) == table.strongest(visible)).all()
    assert again.says(visible)["linear"] == pytest.approx(table.says(visible)["linear"], abs=0.01)  # half precision


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_a_broken_file_is_named_with_what_to_do(tmp_path, content):
    if content is not None:
        (tmp_path / PAIRS_FILE).write_bytes(content)
    with pytest.raises(BooruError, match=r"pairs\.safetensors cannot be read: .*booru run --to checkpoint"):
        PairTable.read(tmp_path)


def test_no_posts_and_no_labels_are_no_failure():
    assert PairTable.of(incidence([], LABELS)).strongest(posts_of([1])).shape == (1, LABELS)
    assert PairTable.of(incidence([[]], 0)).labels == 0


@pytest.mark.parametrize("at_a_time", [1, 7, 10_000])
def test_pairs_are_counted_alike_however_few_labels_at_a_time(monkeypatch, at_a_time):
    monkeypatch.setattr("booru_pipeline.model.pairs._PRODUCT", at_a_time)
    train = sparse.random_array((40, 15), density=0.3, rng=np.random.default_rng(1), format="csr")
    train.data[:] = 1
    whole = train.toarray()
    assert (count_together(train.astype(np.float32)).toarray() == whole.T @ whole).all()
