import numpy as np

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.evaluation.probes.counts import Split, choose
from booru_pipeline_tests.evaluation.probes.known_scores import split_of, vocabulary_of


def test_counts_are_those_of_the_posts():
    known = vocabulary_of("a", "b", "c", "d")
    split = split_of(known, "a b", "a b c", "c", "a")
    assert split.support.tolist() == [3, 2, 2, 0]
    assert (split.counts(0)[0], split.counts(0)[1].tolist()) == (3, [3, 2, 1, 0])
    assert (split.counts(0, 1)[0], split.counts(0, 1)[1].tolist()) == (2, [2, 2, 1, 0])
    assert (split.counts(3)[0], split.counts(3)[1].tolist()) == (0, [0, 0, 0, 0])


def test_counts_equal_a_slow_reference():
    dense = np.random.default_rng(0).random((50, 6)) < 0.4
    from scipy import sparse

    split = Split(sparse.csr_array(dense.astype(np.float32)))
    for labels in ([0], [1, 4], [5, 0, 3]):
        showing = dense[dense[:, labels].all(axis=1)]
        posts, counts = split.counts(*labels)
        assert posts == len(showing)
        assert counts.tolist() == showing.sum(axis=0).tolist()


def test_counts_with_each_of_many_labels_are_those_with_one_at_a_time():
    random = np.random.default_rng(0)
    split = Split(incidence([np.flatnonzero(random.random(150) < 0.3) for _ in range(60)], 150))
    others = np.flatnonzero(random.random(150) < 0.6)  # more than fit a block
    together = list(split.counts_with_each(7, others))
    assert [row.tolist() for row in together] == [split.counts(7, label)[1].tolist() for label in others.tolist()]
    assert list(split.counts_with_each(7, others[:0])) == []


def test_those_with_support_are_chosen_if_they_are_enough():
    supports = [50, 2, 90, 60, 49, 50, 70]
    assert choose(supports, least=50, limit=9) == ([2, 6, 3, 0, 5], True)
    assert choose(supports, least=50, limit=2) == ([2, 6], True)


def test_else_the_best_supported_are_and_it_says_so():
    supports = [4, 2, 90, 3, 60]
    assert choose(supports, least=50, limit=9) == ([2, 4, 0, 3], False)
    assert choose(supports, least=50, limit=2) == ([2, 4], True)
    assert choose([2, 1], least=50, limit=9) == ([], True)
    assert choose([], least=50, limit=9) == ([], True)
