import csv
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booru_pipeline.vocabulary.text import SEPARATOR, label_text, split_qualifiers, text_label


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("rabbit_ears", "rabbit ears"),
        ("saber_(fate)", "saber ( fate )"),
        ("don-chan_(usada_pekora)", "don-chan ( usada pekora )"),
        ("hatsune_miku_(cosplay)", "hatsune miku ( cosplay )"),
        (">_<_(meme)", ">_< ( meme )"),
        (":_(", ":_("),
        ("a_(_b", "a_(_b"),
        ("shin_(sakoku_(oyatsu3ji_))", "shin_(sakoku_(oyatsu3ji_))"),
        (">_<", ">_<"),
        ("^_^", "^_^"),
        ("o_o", "o_o"),
        ("1girl", "1girl"),
        ("__init", "__init"),
        ("a__bcd", "a__bcd"),
    ],
)
def test_underscores_become_spaces_but_not_in_kaomoji(label, text):
    assert label_text(label) == text


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("rabbit_ears", ("rabbit_ears", ())),
        ("saber_(fate)", ("saber", ("fate",))),
        ("artoria_pendragon_(swimsuit_ruler)_(fate)", ("artoria_pendragon", ("swimsuit_ruler", "fate"))),
        ("hatsune_miku_(cosplay)", ("hatsune_miku", ("cosplay",))),
        (":_(", (":_(", ())),
        ("(o)_(o)", ("(o)", ("o",))),
    ],
)
def test_qualifiers_are_split_off(label, parts):
    assert split_qualifiers(label) == parts


@given(st.text(st.characters(exclude_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1))
def test_every_label_comes_back_and_its_text_survives_white_space_folding(label):
    text = label_text(label)
    assert text_label(text) == label
    assert " ".join(text.split(" ")) == text.strip(" ")
    assert "  " not in text
    assert SEPARATOR not in text


def test_every_danbooru_label_has_a_text_of_its_own(shared):
    with gzip.open(shared / "data" / "danbooru_tags.csv.gz", "rt", encoding="utf-8") as file:
        labels = [row["tag"] for row in csv.DictReader(file)]
    texts = {label_text(label) for label in labels}
    assert len(texts) == len(labels)
    assert all(text_label(label_text(label)) == label for label in labels)
