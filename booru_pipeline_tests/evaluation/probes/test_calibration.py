import numpy as np
import pytest

from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.calibration import (
    BUCKETS,
    Questions,
    draw,
    first,
    probe_calibration,
    reliability_of,
)
from booru_pipeline.evaluation.probes.counts import Split
from booru_pipeline_tests.evaluation.probes.exact_world import SLOTS, ExactWorld, Sure
from booru_pipeline_tests.evaluation.probes.known_scores import exam_of, relations_of, split_of, vocabulary_of

ONE, FEW, SOME, MANY = BUCKETS


@pytest.fixture(scope="module")
def world():
    return ExactWorld()


def exam(world, model, **others):
    return exam_of({"model": model}, world.vocabulary, world.train, world.test, **others)


def test_exact_probabilities_hold_and_too_sure_ones_do_not(world):
    found = probe_calibration(exam(world, world.exact, t5=Sure(world, 2.0), questions=2_000))
    assert [one.visible for one in found] == [bucket.name for bucket in BUCKETS]
    for one in found:
        assert one.questions == (2_000 if one.visible != "9 and more" else 3 * 125)  # 9, 10 and 11 of 12 labels
        assert one.model.error < 3 * one.model.noise < 0.05
    assert found[0].t5.error > 0.05
    assert found[1].t5.error > 0.05


def test_without_counting_there_is_no_t5_beside(world):
    assert {one.t5 for one in probe_calibration(exam(world, world.exact, questions=10))} == {None}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_exactly_so_many_labels_are_visible_each_number_as_often(world, bucket):
    questions = draw(exam(world, world.exact, questions=160), bucket)
    sizes = [len(given) for given in questions.given]
    numbers = range(bucket.least, min(bucket.most, SLOTS - 1) + 1)
    each = 160 // (bucket.most + 1 - bucket.least)
    counts = np.bincount(sizes, minlength=bucket.most + 1)
    assert set(sizes) == set(numbers)
    assert all(each <= counts[number] <= each + 1 for number in numbers)
    for given, hidden in zip(questions.given, questions.hidden, strict=True):
        assert len(given) + len(hidden) == SLOTS
        assert not set(given) & set(hidden)


def test_one_visible_label_is_as_likely_of_a_long_post_as_of_a_short_one():
    labels = ["shared", *(f"label_{number}" for number in range(30))]
    known = vocabulary_of(*labels)
    test = split_of(known, (1_000, " ".join(labels)), (1_000, "shared label_0"))
    questions = draw(exam_of({"model": None}, known, test, test, questions=20_000), ONE)
    long = [len(hidden) > 1 for given, hidden in zip(questions.given, questions.hidden, strict=True) if given[0] == 0]
    assert len(long) == pytest.approx(20_000 * 2_000 / 33_000, rel=0.1)
    assert np.mean(long) == pytest.approx(0.5, abs=0.05)


def test_more_visible_labels_are_drawn_of_each_post_that_has_one_more():
    labels = [f"label_{number}" for number in range(30)]
    known = vocabulary_of(*labels)
    test = split_of(known, (500, " ".join(labels)), (500, " ".join(labels[:4])), (500, " ".join(labels[:3])))
    questions = draw(exam_of({"model": None}, known, test, test, questions=600), FEW)
    sizes = [(len(given), len(given) + len(hidden)) for given, hidden in zip(*vars(questions).values(), strict=True)]
    assert {size for number, size in sizes if number == 3} == {4, 30}
    assert np.mean([size == 30 for number, size in sizes if number == 3]) == pytest.approx(0.5, abs=0.1)
    assert {size for number, size in sizes if number == 2} == {3, 4, 30}


def test_few_posts_are_asked_with_several_sets_each():
    labels = [f"label_{number}" for number in range(20)]
    known = vocabulary_of(*labels)
    test = split_of(known, (5, " ".join(labels)))
    questions = draw(exam_of({"model": None}, known, test, test, questions=1_000), FEW)
    assert len(questions.given) == 2 * 5 * 4
    assert len({tuple(given) for given in questions.given}) > 30


def test_neither_the_order_of_posts_nor_that_of_the_vocabulary_changes_what_is_asked(world):
    def asked(labels, test):
        questions = draw(exam_of({"model": None}, vocabulary_of(*labels), test, test, questions=50), SOME)
        return {tuple(sorted(labels[row] for row in given)) for given in questions.given}

    labels = list(world.vocabulary.labels)
    posts, keys = world.test.posts[:200], np.arange(200) + 7
    shuffled = np.random.default_rng(0).permutation(200)
    backwards = posts[shuffled][:, ::-1].tocsr()
    backwards.sort_indices()
    first_order = asked(labels, Split(posts, keys))
    assert asked(labels[::-1], Split(backwards, keys[shuffled])) == first_order
    other = draw(exam(world, world.exact, questions=50, options=ProbeOptions(seed=1)), SOME)
    assert {tuple(sorted(labels[row] for row in given)) for given in other.given} != first_order


def test_what_the_visible_labels_imply_is_given_and_not_asked():
    known = vocabulary_of("rabbit_ears", "animal_ears", "smile")
    test = split_of(known, (50, "rabbit_ears animal_ears smile"), (50, "rabbit_ears smile"))
    relations = relations_of({"rabbit_ears": ["animal_ears"]})
    questions = draw(exam_of({"model": None}, known, test, test, relations=relations, questions=200), ONE)
    for given, hidden in zip(questions.given, questions.hidden, strict=True):
        if 0 in given:
            assert given.tolist() == [0, 1]
            assert hidden.tolist() == [2]


def test_numbers_that_no_post_is_large_enough_for_are_left_out():
    known = vocabulary_of("a", "b", "c")
    test = split_of(known, (5, "a b c"), (3, "a"))

    class Half:
        def probabilities(self, contexts):
            return np.full((len(contexts), 3), 0.5)

    found = probe_calibration(exam_of({"model": Half()}, known, test, test, questions=40))
    assert [(one.visible, one.questions) for one in found] == [("1", 15), ("2 to 3", 20)]
    assert found[0].model.error == pytest.approx(0.5)  # both others are always there
    assert probe_calibration(exam_of({"model": Half()}, known, test, split_of(known, "a"))) == []


def test_a_guess_is_right_if_the_post_has_the_label_and_it_is_not_given():
    class Says:
        def probabilities(self, contexts):
            return np.tile([0.9, 0.8, 0.7, 0.1], (len(contexts), 1))

    questions = Questions([np.array([0])], [np.array([1, 3])])
    found = reliability_of(Says(), questions, top=2)
    assert [(one.probability, one.found) for one in found.bins] == [(0.7, 0), (0.8, 1)]


def test_first_guesses_are_the_most_probable_ones_but_the_known():
    chance = np.array([0.2, 0.9, 0.5, 0.5, 0.0, 0.5])
    assert first(chance, [1], 2).tolist() == [2, 3]  # ties in vocabulary order
    assert first(chance, [1], 9).tolist() == [2, 3, 5, 0, 4]
    assert first(chance, list(range(6)), 3).tolist() == []
