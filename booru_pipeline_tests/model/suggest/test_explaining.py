import pytest

from booru_pipeline.model.pairs import wilson_bounds
from booru_pipeline.model.predictor import Predictor
from booru_pipeline_tests.model.suggest.asked import suggest
from booru_pipeline_tests.model.suggest.test_asking import latest_posts, places


@pytest.fixture(scope="module")
def predictor(world):
    return Predictor.load(world.checkpoint)


def explained(world, *given):
    return suggest(given, **places(world), top=1000, explained=True)


def test_the_t5s_own_view_stands_beside_the_answer(world, predictor):
    index = predictor.vocabulary.index
    knowing = [index[tag] for tag in ("1girl", "rabbit_ears", "usada_pekora")]
    [closed, typed] = predictor.t5.probabilities([knowing, [index["usada_pekora"]]])
    for one in explained(world, "usada_pekora"):
        # Of what is implied the T5 says nothing when it sees it, so it is asked without.
        expected = (typed if one.implied else closed)[index[one.tag]]
        assert one.explanation.t5 == pytest.approx(expected, abs=1e-6)
        assert 0 < one.explanation.t5 < 1
        assert one.implied or one.probability == pytest.approx(one.explanation.t5, abs=1e-6)  # nothing is mixed in


def test_the_tag_that_speaks_for_a_suggestion_most_is_found_by_counting(world):
    given = ("smile", "usada_pekora", "twintails")
    posts = list(latest_posts().values())
    for one in explained(world, *given):
        bounds = {}
        for tag in given:
            with_tag = [tags for tags in posts if tag in tags]
            bounds[tag] = float(wilson_bounds(sum(one.tag in tags for tags in with_tag), len(with_tag))[0])
        [tag] = one.explanation.strongest.tags
        assert bounds[tag] == max(bounds.values())
        assert one.explanation.strongest.posts == sum(tag in tags for tags in posts)
        assert one.explanation.strongest.together == sum({tag, one.tag} <= tags for tags in posts)
    by_tag = {one.tag: one.explanation.strongest.tags for one in explained(world, *given)}
    assert by_tag["carrot"] == ("usada_pekora",)
    assert by_tag["hatsune_miku"] == ("twintails",)


def test_each_given_tag_is_left_out_in_turn(world):
    given = ("carrot", "usada_pekora", "twintails")
    full = explained(world, *given)
    left_out = {
        tag: {one.tag: one.probability for one in explained(world, *(other for other in given if other != tag))}
        for tag in given
    }
    named = set()
    for one in full:
        answers = {tag: left_out[tag][one.tag] for tag in given}
        lowest = min(answers, key=answers.get)
        if answers[lowest] < one.probability - 1e-6:
            assert one.explanation.without == lowest
            assert one.explanation.probability_without == pytest.approx(answers[lowest], abs=1e-6)
            named.add(lowest)
    assert "usada_pekora" in named  # without it, nothing is implied
    implied = {one.tag: one.explanation.without for one in full if one.implied}
    assert implied == {"rabbit_ears": "usada_pekora", "1girl": "usada_pekora"}


def test_one_tag_alone_cannot_be_left_out(world):
    assert {one.explanation.without for one in explained(world, "smile")} == {None}


def test_explaining_changes_nothing_else(world):
    plain = suggest(["usada_pekora", "smile"], **places(world), top=1000)
    assert [vars(one) | {"explanation": None} for one in explained(world, "usada_pekora", "smile")] == [
        vars(one) for one in plain
    ]


def test_few_posts_speak_softly():
    low, high = wilson_bounds([1, 181, 0], [1, 190, 7])
    assert low == pytest.approx([0.2065, 0.9125, 0.0], abs=1e-3)
    assert high == pytest.approx([1.0, 0.9747, 0.3543], abs=1e-3)
