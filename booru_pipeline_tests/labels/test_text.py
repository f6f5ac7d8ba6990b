import csv
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booru_pipeline.labels.text import label_text, text_label


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("rabbit_ears", "rabbit ears"),
        ("saber_(fate)", "saber (fate)"),
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


@given(st.text(st.characters(exclude_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1))
def test_every_label_comes_back_and_its_text_survives_white_space_folding(label):
    text = label_text(label)
    assert text_label(text) == label
    assert " ".join(text.split(" ")) == text.strip(" ")
    assert "  " not in text


def test_every_danbooru_label_has_a_text_of_its_own(shared):
    with gzip.open(shared / "data" / "danbooru_tags.csv.gz", "rt", encoding="utf-8") as file:
        labels = [row["tag"] for row in csv.DictReader(file)]
    texts = {label_text(label) for label in labels}
    assert len(texts) == len(labels)
    assert all(text_label(label_text(label)) == label for label in labels)
