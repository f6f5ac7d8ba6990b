import numpy as np
import pytest

from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.one_tag import probe_one_tag
from booru_pipeline_tests.evaluation.probes.exact_world import ExactWorld, Sure
from booru_pipeline_tests.evaluation.probes.known_scores import Oracle, exam_of, relations_of, split_of, vocabulary_of


@pytest.fixture(scope="module")
def world():
    return ExactWorld(posts=1_500)


def ask(world, model, *, t5=None, **options):
    options = ProbeOptions(**{"probe_tag_support": 50, "bootstrap_samples": 200, **options})
    return probe_one_tag(exam_of({"model": model}, world.vocabulary, world.train, world.test, t5=t5, options=options))


def test_exact_probabilities_are_off_by_the_noise_of_held_out_shares():
    worlds = [ExactWorld(posts=1_500, seed=seed) for seed in range(6)]
    found = [ask(world, world.exact) for world in worlds]
    errors = [one.methods["model"].error for one in found]
    assert np.mean(errors) == pytest.approx(np.mean([one.noise for one in found]), rel=0.1)


def test_what_is_better_and_what_is_worse_than_counting_is_told(world):
    found = ask(world, world.exact, t5=Sure(world, 2.5))
    model, alone, counts = (found.methods[name] for name in ("model", "T5 alone", "counts"))
    assert found.supported
    assert model.error < counts.error < 2 * model.error  # counts have noise of their own
    assert model.more_than_counts.high < 0
    assert alone.error > 2 * found.noise
    assert alone.more_than_counts.low > 0
    assert counts.more_than_counts is None


def test_without_counting_there_are_two_methods(world):
    assert set(ask(world, world.exact).methods) == {"model", "counts"}


def test_tags_are_drawn_from_those_with_support(world):
    found = ask(world, world.exact, probe_tags=5)
    enough = {world.vocabulary.labels[row] for row in np.flatnonzero(world.test.support >= 50)}
    assert found.eligible == len(enough) > 5
    assert len(found.tags) == 5
    assert set(found.tags) <= enough
    assert found.tags == ask(world, world.exact, probe_tags=5).tags
    assert set(found.tags) != set(ask(world, world.exact, probe_tags=5, seed=1).tags)


KNOWN = vocabulary_of("usada_pekora", "rabbit_ears", "animal_ears", "hololive", "carrot", "smile")
TRAIN = split_of(KNOWN, (80, "usada_pekora rabbit_ears animal_ears hololive"), (20, "usada_pekora carrot hololive"))
TEST = split_of(
    KNOWN,
    (20, "usada_pekora rabbit_ears animal_ears hololive"),
    (9, "usada_pekora hololive carrot"),
    (1, "usada_pekora"),
    (2, "smile"),
)


class Says:
    """The same of everything."""

    def __init__(self, probability):
        self.probability = probability

    def probabilities(self, contexts):
        chances = np.full((len(contexts), len(KNOWN)), self.probability)
        for row, context in zip(chances, contexts, strict=True):
            row[list(context)] = 0
        return chances


def pekora(model, **implied):
    options = ProbeOptions(probe_tags=1, probe_tag_support=30)
    exam = exam_of({"model": model}, KNOWN, TRAIN, TEST, relations=relations_of(implied), options=options)
    return probe_one_tag(exam)


def test_errors_are_those_counted_by_hand():
    found = pekora(Says(0.9))
    assert found.tags == ["usada_pekora"]
    assert found.pairs == 5  # all others, smile too: the model guesses it
    shares = np.array([20 / 30, 20 / 30, 29 / 30, 9 / 30, 0])
    assert found.methods["model"].error == pytest.approx(np.abs(shares - 0.9).mean())
    assert found.methods["counts"].error == pytest.approx(np.abs(shares - [0.8, 0.8, 1, 0.2, 0]).mean())
    assert found.noise == pytest.approx(np.sqrt(2 * shares * (1 - shares) / (np.pi * 29)).mean())
    assert found.methods["model"].more_than_counts is None  # one tag shows no spread
    assert (found.certain, found.methods["model"].shown, found.methods["counts"].shown) == (1, 1, 1)
    assert pekora(Says(0.89)).methods["model"].shown == 0
    worst = found.misses[0]
    assert (worst.tag, worst.label, worst.share, worst.posts) == ("usada_pekora", "smile", 0, 30)


def test_what_the_tag_implies_is_given_and_no_question():
    asked = []

    class Listening(Says):
        def probabilities(self, contexts):
            asked.extend(map(tuple, contexts))
            return super().probabilities(contexts)

    found = pekora(Listening(0.9), usada_pekora=["hololive"])
    assert asked == [(0, 3), (0,)]
    assert (found.pairs, found.certain, found.derivable) == (4, 0, 1)
    assert found.methods["model"].derivable_shown == found.methods["counts"].derivable_shown == 1
    assert "hololive" not in {miss.label for miss in found.misses}


def test_with_too_few_tags_of_support_the_best_supported_are_taken():
    options = ProbeOptions(probe_tags=9, probe_tag_support=30)
    found = probe_one_tag(exam_of({"model": Oracle(TRAIN)}, KNOWN, TRAIN, TEST, options=options))
    assert found.tags == ["usada_pekora", "hololive", "rabbit_ears", "animal_ears", "carrot"]  # smile: on two posts
    assert (found.supported, found.eligible) == (False, 1)


def test_without_a_tag_on_enough_posts_nothing_is_found():
    test = split_of(KNOWN, "usada_pekora smile")
    assert probe_one_tag(exam_of({"model": Says(0.5)}, KNOWN, TRAIN, test)) is None
