import csv
import gzip
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from booru_pipeline.release.names import BOORU_RULES, TAG_RULES, NameRule, canonical, canonical_booru, canonical_tag

E_ACUTE = "pok\u00e9mon"


@pytest.mark.parametrize(
    ("written", "name", "rules"),
    [
        ("hatsune miku", "hatsune_miku", "spaces"),
        (" hatsune_miku\t", "hatsune_miku", "spaces"),
        ("hatsune\u3000\u00a0miku", "hatsune_miku", "spaces"),
        ("Rabbit_Ears", "rabbit_ears", "case"),
        ("\u00c9CLAIR", "\u00e9clair", "case"),
        ("poke\u0301mon", E_ACUTE, "unicode"),
        ("pok&eacute;mon", E_ACUTE, "entities"),
        ("pok&#233;mon", E_ACUTE, "entities"),
        ("pok&#xE9;mon", E_ACUTE, "entities"),
        ("POKE\u0301MON", E_ACUTE, "unicode case"),
        ("hand_on_another&#039;s_head", "hand_on_another's_head", "entities"),
        ("&amp;gt;_&amp;lt;", ">_<", "entities"),
        ("rabbit\u200b_ears\ufeff", "rabbit_ears", "invisible"),
        ("\u202eears\x1b", "ears", "invisible"),
        ("\u2764\ufe0f", "\u2764", "invisible"),
        ("&#8203;", "", "entities invisible"),
        (" \u3000 ", "", "spaces"),
    ],
)
def test_a_name_has_one_spelling_and_says_which_rules_made_it(written, name, rules):
    assert canonical(written) == (name, tuple(NameRule(rule) for rule in rules.split()))


@pytest.mark.parametrize(
    "name", [">_<", "^_^", "__", ":d", "rock&copyright", "a&b;", "1girl", "\u2026", "\uff57", E_ACUTE]
)
def test_what_is_a_name_already_stays(name):
    assert canonical(name) == (name, ())


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Danbooru.donmai.us ", "danbooru.donmai.us"),
        ("https://danbooru.donmai.us/posts/1", "danbooru.donmai.us"),
        ("HTTP://Danbooru.Donmai.us", "danbooru.donmai.us"),
        ("danbooru.donmai.us/", "danbooru.donmai.us"),
        ("danbooru.donmai.us.", "danbooru.donmai.us"),
        ("danbooru.donmai.us:443", "danbooru.donmai.us"),
        ("http://localhost:8000/", "localhost"),
        ("www.zerochan.net", "www.zerochan.net"),
        ("manual_ink", "manual_ink"),
        ("a/b", "a/b"),
    ],
)
def test_of_a_boorus_address_the_host_counts(written, name):
    assert canonical_booru(written) == name


names = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("&#;ampltg39 \u200b\u0301eA_/.:")))


@given(names, st.sets(st.sampled_from(NameRule)))
@example("&am\u200bp;lt;", set())
@example("\u0130", set())
def test_a_canonical_name_stays_as_it_is_whatever_rules_are_off(text, skipped):
    for rules in (TAG_RULES, BOORU_RULES):
        in_force = [rule for rule in rules if rule not in skipped]
        name, changed = canonical(text, in_force)
        assert canonical(name, in_force) == (name, ())
        assert set(changed) <= set(in_force)
        assert (name == text) == (not changed)


@given(names)
def test_a_tags_name_has_no_white_space_capitals_or_control_characters(text):
    name = canonical_tag(text)
    assert name == name.lower() == unicodedata.normalize("NFC", name)
    assert not any(letter.isspace() or unicodedata.category(letter) in ("Cc", "Cf") for letter in name)


def test_all_of_danboorus_labels_stay_as_they_are(shared):
    with gzip.open(shared / "data" / "danbooru_tags.csv.gz", "rt", encoding="utf-8") as file:
        labels = [row["tag"] for row in csv.DictReader(file)]
    assert len(labels) > 100_000
    assert [label for label in labels if canonical(label) != (label, ())] == []
