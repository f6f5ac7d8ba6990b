from dataclasses import replace

import pytest

from booru_pipeline.errors import printable
from booru_pipeline.model.suggest import wording
from booru_pipeline.model.suggest.answer import Answer, Explanation, LeftOut, Observed, Pair, Suggestion


def suggestion(tag="hat", probability=0.5, *, implied=False, observed=None, explanation=None):
    seen = observed or Observed(("a",), 100, 50)
    return Suggestion(tag, probability, "general", 50, 100, 0.5, implied, seen, explanation)


def answer(given=("a", "b"), observed_on=("a", "b"), posts=12, suggestions=(), apart=(), exclusive=(), mixes=True):
    return Answer(given, observed_on, posts, list(suggestions), list(apart), list(exclusive), mixes, ("general",))


@pytest.mark.parametrize(
    ("share", "digits", "shown"),
    [
        (0.9526, 0, "95 %"),
        (0.9526, 1, "95.3 %"),
        (1.0, 1, "100 %"),
        (0.0, 1, "0 %"),
        (0.9996, 0, ">99 %"),
        (0.9996, 1, ">99.9 %"),
        (0.0004, 0, "<1 %"),
        (0.0004, 1, "<0.1 %"),
    ],
)
def test_what_is_not_all_or_nothing_is_not_rounded_to_it(share, digits, shown):
    assert wording.percent(share, digits) == shown


def test_only_what_is_implied_is_certain():
    assert wording.probability(suggestion(probability=1.0)) == ">99.9 %"
    assert wording.probability(suggestion(probability=1.0, implied=True)) == "100 %"


@pytest.mark.parametrize(
    ("posts", "together", "shown"),
    [(190, 181, "95 % (181 of 190)"), (12000, 3, "<1 % (3 of 12,000)"), (3, 3, "3 of 3"), (0, 0, "never seen")],
)
def test_a_share_stands_with_its_support_and_of_few_posts_not_at_all(posts, together, shown):
    assert wording.observed(Observed(("a",), posts, together)) == shown


def test_how_a_question_was_understood_is_said_only_where_it_differs():
    asked = replace(answer(), asked=("1girl", "rabbit_ears"))
    assert wording.about_the_question(asked, ["1girl", "Rabbit Ears"]) == []
    assert wording.about_the_question(asked, ["1girl, rabbit ears"]) == ["understood: 1girl, rabbit_ears"]
    more = replace(asked, left_out=(LeftOut("x", "no label is called x."),), idle=("[", "a*"))
    assert wording.about_the_question(more, ["1girl", "rabbit_ears", "x"]) == [
        "left out: no label is called x.",
        "understood: 1girl, rabbit_ears",
        "no label matches --exclude '[': it leaves nothing out; [ begins a set, such as [abc]",
        "no label matches --exclude 'a*': it leaves nothing out",
    ]


def test_the_part_that_was_observed_is_named():
    assert wording.about_the_given(answer()) == []
    part = answer(("1girl", "1boy", "x"), ("1girl", "x"))
    assert wording.about_the_given(part) == [
        "no post has all of 1girl, 1boy, x; observed: on the 12 posts with 1girl, x"
    ]
    assert "on the 1 post with a" in wording.about_the_given(answer(observed_on=("a",), posts=1))[0]
    assert wording.about_the_given(answer(observed_on=(), posts=0)) == ["no post has a or b: nothing is observed"]


def test_a_given_tag_that_is_deprecated_is_said():
    [line] = wording.about_the_given(replace(answer(), deprecated=("b",)))
    assert line.startswith("b is deprecated on Danbooru: ")


def test_pairs_are_said_and_many_are_counted():
    apart = [Pair("1girl", "1boy", 3, 12_000, 140.4)]
    line = "1girl and 1boy: 3 of 12,000 posts with either (by chance: 140)"
    assert wording.about_the_given(answer(apart=apart)) == [line]
    assert wording.about_the_given(answer(apart=apart * 6))[4:] == [line, "1 more pair that hardly stand together"]
    exclusive = [Pair("blue_eyes", "red_eyes", 12, 4_100, 300.0), Pair("day", "night", 0, 60, 15.0, ("hat", "bow"))]
    assert wording.about_the_suggestions(answer(exclusive=exclusive)) == [
        "blue_eyes and red_eyes exclude each other: together on 12 of 4,100 posts with either",
        "day and night exclude each other: together on 0 of 60 posts with hat, bow and either",
    ]


def test_an_explanation_has_both_views_and_the_tag_that_speaks():
    strongest = Observed(("pekora",), 190, 181)
    same = suggestion(explanation=Explanation(0.4, strongest, "pekora", 0.111))
    assert wording.explanation(same) == [
        "hat 50.0 %: T5 40.0 %, counting 50 % (50 of 100)",
        "most from pekora: 95 % (181 of 190); without it: 11.1 %",
    ]
    other = suggestion(explanation=Explanation(0.4, strongest, "bow", 0.111))
    assert wording.explanation(other)[1:] == ["most from pekora: 95 % (181 of 190)", "without bow: 11.1 %"]
    assert len(wording.explanation(suggestion(explanation=Explanation(0.4, None, None, None)))) == 1
    assert wording.explanation(suggestion()) == []


def test_it_is_said_where_counting_has_no_part():
    explained = [suggestion(explanation=Explanation(0.4, None, None, None))]
    [line] = wording.about_the_suggestions(answer(suggestions=explained, mixes=False))
    assert "counting has no part" in line
    assert wording.about_the_suggestions(answer(suggestions=explained)) == []
    assert wording.about_the_suggestions(answer(suggestions=[suggestion()], mixes=False)) == []


def test_control_bytes_are_written_out():
    assert printable("a\x1b[31m\x07\x9b\u202e\udcffé 初音") == "a\\x1b[31m\\x07\\x9b\\u202e\\xffé 初音"
