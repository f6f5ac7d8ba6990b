import time

import pytest

from booru_pipeline.model.suggest.prompt import read_prompt
from booru_pipeline.release.names import canonical_tag

NAMES = {
    *("1girl", "blue_hair", "rabbit_ears", "rabbit", "hat", "hat_ribbon", "ribbon", "smile", "hololive", "black_hat"),
    *(
        ":)",
        ";)",
        ":3",
        ":x",
        "^_^",
        "-_-",
        ">:(",
        "(o)_(o)",
        "<o>_<o>",
        "\\m/",
        "...",
        "!?",
        "p|pe",
        "a,b",
        "reverse:1999",
    ),
    *("fate/stay_night", "re:zero", "saber_(fate)", "saber", "usada_pekora_(hololive)", "hatsune_miku", "steins;gate"),
    *("hatsune_miku_(append)", "hand_on_another's_head", "pokémon", "break"),
}


def read(*arguments):
    return [piece.tag if piece.is_known else f"{piece.tag}?" for piece in read_prompt(arguments, NAMES.__contains__)]


@pytest.mark.parametrize("name", sorted(NAMES - {"break"}))
def test_every_name_is_read_as_itself_however_it_looks(name):
    beside = ["1girl", "smile"] if name not in ("1girl", "smile") else ["hat"]
    assert read(name) == [name]
    assert read(name.upper()) == [name]
    assert read(name.replace("_", " ")) == [name]
    assert read(name, *beside) == [name, *beside]
    if "," not in name:
        assert read(f"{beside[0]}, {name.replace('_', ' ')}") == [beside[0], name]
        assert read(f"({name}:1.2), {beside[0]}") == [name, beside[0]]
        assert read(f"(({name}))\n[{name}], {{{name}}}") == [name]


@pytest.mark.parametrize(
    ("typed", "tags"),
    [
        ("1girl, rabbit ears", ["1girl", "rabbit_ears"]),
        ("1girl hat", ["1girl", "hat"]),
        ("1girl blue hair hat", ["1girl", "blue_hair", "hat"]),
        ("black hat ribbon", ["black_hat", "ribbon"]),
        (r"\(hololive\)", ["hololive"]),
        (r"1girl, usada pekora \(hololive\), saber \(fate\)", ["1girl", "usada_pekora_(hololive)", "saber_(fate)"]),
        (r"(usada pekora \(hololive\):1.3), (saber (fate):.9)", ["usada_pekora_(hololive)", "saber_(fate)"]),
        ("(blue hair:1.2), ((rabbit ears)), [hat], {smile}", ["blue_hair", "rabbit_ears", "hat", "smile"]),
        ("( blue hair : 1.2 ), hat:0.8", ["blue_hair", "hat"]),
        ("(1girl, blue hair:1.2), (hat)", ["1girl", "blue_hair", "hat"]),
        ("(1girl)(hat:1.1)", ["1girl", "hat"]),
        ("(blue hair)1.3, hat++, (smile)-", ["blue_hair", "hat", "smile"]),
        ("1.2::blue hair, hat::, smile", ["blue_hair", "hat", "smile"]),
        ("[hat|smile], [ribbon:rabbit:0.5]", ["hat", "smile", "ribbon", "rabbit"]),
        ("1girl BREAK hat AND smile", ["1girl", "hat", "smile"]),
        ("1girl\r\nrabbit ears\n\nhat,\n", ["1girl", "rabbit_ears", "hat"]),
        ("1girl\uff0crabbit ears\u3001\uff08hat\uff1a1.2\uff09\u3000smile", ["1girl", "rabbit_ears", "hat", "smile"]),
        ("\"1girl\", 'hat', \u201csmile\u201d.", ["1girl", "hat", "smile"]),
        ("character:hatsune miku, copyright:hololive", ["hatsune_miku", "hololive"]),
        ("hand on another&#039;s head", ["hand_on_another's_head"]),
        ("poke\u0301mon", ["pokémon"]),
        ("hat :3", ["hat", ":3"]),
        ("hat, hat, HAT", ["hat"]),
        (" ,, \n", []),
    ],
)
def test_a_prompt_is_understood_as_it_is_written(typed, tags):
    assert read(typed) == tags


@pytest.mark.parametrize(
    ("arguments", "tags"),
    [
        (["hat", "ribbon"], ["hat", "ribbon"]),  # two arguments that are names stay two
        (["hat ribbon"], ["hat_ribbon"]),
        (["rabbit", "ears"], ["rabbit_ears"]),
        (["1girl,", "rabbit", "ears,", "hat"], ["1girl", "rabbit_ears", "hat"]),  # a prompt without quotes
        (["1girl, hat", "smile"], ["1girl", "hat", "smile"]),
        (["1girl", "BREAK", "hat"], ["1girl", "hat"]),
        (["saber", "(fate)"], ["saber_(fate)"]),
        (["foo", "bar"], ["foo?", "bar?"]),
        (["smile", "---"], ["smile", "---?"]),  # no weight of what stands before it
    ],
)
def test_arguments_are_put_together_only_where_that_explains_more(arguments, tags):
    assert read(*arguments) == tags


@pytest.mark.parametrize(
    ("typed", "tags"),
    [
        ("1girl, blu hairr, (red hairr:1.2), hat", ["1girl", "blu_hairr?", "red_hairr?", "hat"]),
        ("1girl, very big hat", ["1girl", "very_big_hat?"]),  # between commas it is one name or several
        ("1girl hat very big", ["1girl", "hat", "very_big?"]),
        ("hatsune miku (snow)", ["hatsune_miku", "snow?"]),
        ("<lora:pekora_v1:0.8>1girl, <lora:b:1>", ["<lora:pekora_v1:0.8>?", "1girl", "<lora:b:1>?"]),
        ("-hat", ["-hat?"]),
        ("=_=", ["=_=?"]),
        ("saber_(extra)", ["saber_(extra)?"]),
        ("reverse:2000", ["reverse:2000?"]),
        ("smile\udcff", ["smile\udcff?"]),
    ],
)
def test_what_is_no_name_is_left_without_what_surrounds_it(typed, tags):
    assert read(typed) == tags


def test_what_loads_a_network_is_told_from_a_name():
    pieces = read_prompt(["<o>_<o>, <lora:x:1>"], NAMES.__contains__)
    assert [piece.is_network for piece in pieces] == [False, True]


@pytest.mark.parametrize("typed", ["foo (bar " * 500, "(" * 5000, "[a|" * 500, "hat " * 2000])
def test_a_long_prompt_takes_no_long_time(typed):
    began = time.process_time()
    assert read(typed)
    assert time.process_time() - began < 5


def test_names_are_spelled_as_tags_are():
    assert canonical_tag("  Bunny\u3000 EARS ") == "bunny_ears"
