"""What becomes of a caption: each rule, what it must leave alone, and that a second time changes nothing."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from booru_pipeline.captions.rewriting import Rewriter, Rules
from booru_pipeline.captions.text import Reader
from booru_pipeline.errors import BooruError
from booru_pipeline.sample.world import load_world
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations

WORLD = load_world()
RELATIONS = Relations(
    {**WORLD.aliases, "old_name": "smile"},
    {
        **{tag: frozenset(implied) for tag, implied in WORLD.implications.items()},
        "tiny_rabbit": frozenset({"rabbit_ears"}),
    },
    "",
    deprecated=frozenset({"blush_stickers"}),
)
CATEGORIES = {tag: int(category) for tag, category in WORLD.categories.items()}


def rewritten(text, **rules):
    rewriter = Rewriter(Rules(relations=RELATIONS, **rules))
    return rewriter.rewrite(rewriter.read(text))


@pytest.mark.parametrize(
    ("text", "rules", "becomes"),
    [
        # cleaning
        ("Hatsune Miku, hatsune_miku, smile", {"clean": True}, "Hatsune Miku, smile"),
        ("bunny ears, smile", {"clean": True}, "rabbit ears, smile"),
        ("bunny_ears, rabbit_ears", {"clean": True}, "rabbit_ears"),
        ("rabbit ears, (bunny ears:1.2)", {"clean": True}, "rabbit ears"),
        ("((bunny ears:1.2)), solo", {"clean": True}, "((rabbit_ears:1.2)), solo".replace("_", " ")),
        ("blush stickers, (blush_stickers:0.8), solo", {"clean": True}, "solo"),
        ("solo, solo, unheard of, unheard_of", {"clean": True}, "solo, unheard of"),
        ("solo, (solo)", {"expand": True}, "solo, (solo)"),
        # expanding: chains, what is there already, styles
        ("tiny rabbit, smile", {"expand": True}, "tiny rabbit, smile, animal ears, rabbit ears"),
        ("rabbit_ears, animal_ears", {"expand": True}, "rabbit_ears, animal_ears"),
        ("bunny_ears", {"expand": True}, "bunny_ears, animal_ears"),
        ("(rabbit ears:1.3),", {"expand": True}, "(rabbit ears:1.3), animal ears,"),
        ("rabbit_ears", {"expand": True, "remove": ["animal*"]}, "rabbit_ears"),
        ("saber \\(fate\\)", {"expand": True}, "saber \\(fate\\), artoria pendragon \\(fate\\)"),
        ("saber_(fate)", {"expand": True}, "saber_(fate), artoria_pendragon_(fate)"),
        ("rabbit_ears\nsolo\n", {"expand": True}, "rabbit_ears\nsolo\nanimal_ears\n"),
        ("rabbit_ears\r\nsolo", {"expand": True}, "rabbit_ears\r\nsolo\r\nanimal_ears"),
        ("rabbit_ears,solo", {"expand": True}, "rabbit_ears,solo,animal_ears"),
        # consolidating: by two, along a chain
        ("animal_ears, tiny_rabbit, rabbit_ears, cat_ears", {"consolidate": True}, "tiny_rabbit, cat_ears"),
        ("animal_ears, animal ears, smile", {"consolidate": True}, "animal_ears, animal ears, smile"),
        # removing
        ("red eyes, (blue_eyes:1.1), eyes, solo", {"remove": ["*_eyes"]}, "eyes, solo"),
        ("saber \\(fate\\), solo", {"remove": ["saber (fate)"]}, "solo"),
        ("solo", {"remove": ["*"]}, ""),
        ("solo,\n", {"remove": ["solo"]}, "\n"),
        # order
        (
            "unheard, smile, vocaloid, Hatsune Miku, solo",
            {"order": True, "categories": CATEGORIES},
            "unheard, Hatsune Miku, vocaloid, smile, solo",
        ),
        (
            "smile, unheard, vocaloid, Hatsune Miku, solo",
            {"order": True, "categories": CATEGORIES},
            "Hatsune Miku, vocaloid, smile, solo, unheard",
        ),
        (
            "photo of ohwx, 1girl, rabbit ears, usada pekora",
            {"order": True, "categories": CATEGORIES},
            "photo of ohwx, usada pekora, 1girl, rabbit ears",
        ),
        ("rabbit ears, (animal ears:1.5), solo", {"consolidate": True}, "rabbit ears, (animal ears:1.5), solo"),
        ("smile, artist:somebody", {"order": True, "categories": CATEGORIES}, "artist:somebody, smile"),
        ("smile ||| solo, hatsune_miku", {"order": True, "categories": CATEGORIES}, "smile ||| hatsune_miku, solo"),
        (
            "smile, BREAK, solo, hatsune_miku",
            {"order": True, "categories": CATEGORIES},
            "smile, BREAK, hatsune_miku, solo",
        ),
        # style
        ("long hair, ^_^, o_o, (o)_(o), >_<", {"spaces": False}, "long_hair, ^_^, o_o, (o)_(o), >_<"),
        (
            "long_hair, ^_^, (o)_(o), ||_||, score_9, 3_3",
            {"spaces": True},
            "long hair, ^_^, (o)_(o), ||_||, score_9, 3_3",
        ),
        ("saber_(fate), (smile:1.2), :)", {"escape": True}, "saber_\\(fate\\), (smile:1.2), :\\)"),
        ("saber_\\(fate\\), (smile:1.2), :\\)", {"escape": False}, "saber_(fate), (smile:1.2), :)"),
        ("(saber_(fate):1.2)", {"escape": True, "spaces": True}, "(saber \\(fate\\):1.2)"),
        ("red_hair|smile", {"separator": ", "}, "red_hair|smile"),
        ("a,b ,  c,,\n", {"separator": ", "}, "a, b, c\n"),
        ("a\nb", {"separator": ", "}, "a, b"),
        # triggers
        ("1girl, ohwx woman", {"triggers": ["ohwx woman"]}, "ohwx woman, 1girl"),
        ("Ohwx_Woman, 1girl", {"triggers": ["ohwx woman"]}, "ohwx woman, 1girl"),
        ("(ohwx:1.2), 1girl", {"triggers": ["ohwx"], "clean": True}, "(ohwx:1.2), 1girl"),
        ("1girl", {"triggers": ["a_b", "ohwx"], "spaces": True, "remove": ["ohwx"]}, "a_b, ohwx, 1girl"),
        ("animal_ears, solo", {"triggers": ["rabbit_ears"], "consolidate": True}, "rabbit_ears, solo"),
        ("BREAK, solo", {"triggers": ["ohwx"]}, "ohwx, BREAK, solo"),
        ("A girl stands here.", {"triggers": ["ohwx"]}, "ohwx, A girl stands here."),
        (
            "1girl, solo\nA girl sits there.\n\n",
            {"triggers": ["ohwx"]},
            "ohwx, 1girl, solo\nohwx, A girl sits there.\n\n",
        ),
        ("", {"triggers": ["ohwx"], "expand": True}, ""),
        (" \n", {"triggers": ["ohwx"]}, " \n"),
    ],
)
def test_a_caption_becomes(text, rules, becomes):
    assert rewritten(text, **rules) == becomes
    assert rewritten(becomes, **rules) == becomes


EVERYTHING = {
    "clean": True,
    "expand": True,
    "order": True,
    "categories": CATEGORIES,
    "spaces": False,
    "escape": True,
    "separator": ", ",
}


@pytest.mark.parametrize(
    "text",
    [
        "re:zero",
        "<lora:my_lora:1>",
        "(solo, some hat:1.2)",
        "{red hair, green|hair}",
        "A girl with long_hair stands, bunny ears on her head, in the rain.",
        "a photograph of a girl who wears bunny_ears (long ones)",
        "see https://example.org/a_(b), and",
        "tag1;;;long hair",
        "saber (fate:1.2)",
        "foo:3",
        "1girl\uff0csmile",
    ],
)
def test_what_is_no_tag_stays_as_it_is(text):
    assert rewritten(text, **EVERYTHING) == text


def test_what_does_not_change_stays_byte_for_byte():
    text = " 1girl ,solo,,  long hair, blue_hair \t, \r\n"
    assert rewritten(text, clean=True, expand=True, consolidate=False, order=True, categories={}) == text


def test_a_caption_without_a_style_gets_that_of_the_others():
    rewriter = Rewriter(Rules(relations=RELATIONS, expand=True))
    read = [rewriter.read(text) for text in ("long hair, saber \\(fate\\)", "^_^", "rabbit_ears")]
    assert [rewriter.rewrite(parts) for parts in read][1:] == ["^_^, closed eyes", "rabbit_ears, animal_ears"]


def test_changes_are_counted():
    rewriter = Rewriter(Rules(relations=RELATIONS, clean=True, expand=True, remove=["sol?", "nothing"], spaces=True))
    for text in ("bunny_ears, solo, long_hair", "rabbit ears, animal ears, rabbit_ears", "blush stickers"):
        rewriter.rewrite(rewriter.read(text))
    found = rewriter.changes
    assert (found.captions, found.changed, found.before, found.after) == (3, 3, 7, 5)
    assert dict(found.added) == {"animal_ears": 1}
    assert {why: dict(tags) for why, tags in found.dropped.items()} == {
        "implied": {},
        "removed": {"solo": 1},
        "deprecated": {"blush_stickers": 1},
        "doubled": {"rabbit_ears": 1},
    }
    assert dict(found.renamed) == {("bunny_ears", "rabbit_ears"): 1}
    assert found.respelled == 1
    assert list(rewriter.idle) == ["nothing"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"expand": True, "consolidate": True}, "give one of them"),
        ({"separator": " "}, "not a comma"),
        ({"separator": ",\n"}, "not a comma"),
        ({"triggers": ["a, b"]}, "not one word or phrase"),
        ({"triggers": [" "]}, "not one word or phrase"),
        ({"remove": [""]}, "--remove is empty"),
    ],
)
def test_what_cannot_be_asked_is_refused(rules, says):
    with pytest.raises(BooruError, match=says):
        Rewriter(Rules(relations=RELATIONS, **rules))


PIECES = st.sampled_from(
    [
        *["smile", "rabbit ears", "Rabbit_Ears", "bunny ears", "(bunny ears:1.2)", "animal_ears", "hatsune miku"],
        *["saber (fate)", "saber_\\(fate\\)", "vocaloid", "blush_stickers", "^_^", ":)", ":(", "(", "foo)", "(foo"],
        *["(a, b:1.1)", "BREAK", "AND", "|||", "A girl stands here.", "A girl stands, smile, there", "there!", "ohwx"],
        *["<lora:x:1>", "unheard of", "unheard_of", "", " ", "re:zero", "artist:me", "score_9", "{a|b}", "GUNS AND x"],
        *["hand on own hip", "(smile)", "((smile:1.2))", "[solo]", "love live!", "BREAK_dance", "and, or", "\u3000x"],
    ]
)
TEXTS = st.lists(
    st.tuples(PIECES, st.sampled_from([", ", ",", ",, ", "\n", "\r\n", " ", " , ", "\t"])), max_size=8
).map(lambda pairs: "".join(piece + end for piece, end in pairs))
RULES = st.fixed_dictionaries(
    {
        "clean": st.booleans(),
        "way": st.sampled_from(["", "expand", "consolidate"]),
        "order": st.booleans(),
        "spaces": st.sampled_from([None, True, False]),
        "escape": st.sampled_from([None, True, False]),
        "separator": st.sampled_from([None, ", ", ","]),
        "triggers": st.sampled_from([[], ["ohwx"], ["rabbit_ears", "A photo of ohwx"]]),
        "remove": st.sampled_from([[], ["sm*"], ["*ears"]]),
    }
)


@given(TEXTS, RULES)
def test_a_second_time_changes_nothing(text, rules):
    way = rules.pop("way")
    asked = {**rules, "categories": CATEGORIES, **({way: True} if way else {})}
    once = rewritten(text, **asked)
    # Several captions of which one tag each is left look like one caption of a tag a line.
    assume(len(Reader(CATEGORIES.__contains__).read(once)) == len(Reader(CATEGORIES.__contains__).read(text)))
    assert rewritten(once, **asked) == once


@given(TEXTS, st.sampled_from([None, True, False]), st.sampled_from([None, True, False]), st.booleans())
def test_style_and_order_lose_nothing(text, spaces, escape, order):
    """The letters are the same ones, but for what spells a style."""
    new = rewritten(text, spaces=spaces, escape=escape, order=order, categories=CATEGORIES)
    assert sorted(letters(new)) == sorted(letters(text))


def letters(text):
    return [letter for letter in text if letter not in ", _\t\r\n\\\u3000"]


def test_the_ranks_are_those_of_trainers():
    tags = {"g": Category.GENERAL, "a": Category.ARTIST, "c": Category.COPYRIGHT, "h": Category.CHARACTER}
    tags |= {"m": Category.META, "u": Category.UNCATALOGUED}
    assert rewritten("x, u, m, g, a, c, h", order=True, categories=tags) == "x, h, c, a, g, m, u"
