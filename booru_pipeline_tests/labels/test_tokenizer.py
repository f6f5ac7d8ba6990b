import csv
import gzip

import pytest
import transformers

from booru_pipeline.errors import BooruError
from booru_pipeline.labels.text import label_text
from booru_pipeline.labels.tokenizer import add_label_tokens, base_tokenizer, encode_pieces, label_token
from booru_pipeline.presets import BaseModel

KAOMOJI = [">_<", "^_^", ":<", "\\m/", "<o>_<o>", "uu~", "ko~n", "`_`", "|_|", "rabbit_ears", "saber_(fate)", "'_'"]


def lost(tokenizer, texts):
    ids = encode_pieces(tokenizer, texts)
    decoded = tokenizer.batch_decode(ids, clean_up_tokenization_spaces=False)
    return [text for text, piece, back in zip(texts, ids, decoded, strict=True) if back != text or 2 in piece]


def test_tiny_cuts_every_text_that_it_was_trained_on():
    texts = [label_text(label) for label in KAOMOJI]
    assert lost(base_tokenizer(BaseModel("tiny", None), texts), texts) == []


def test_tiny_is_the_same_every_time():
    texts = [label_text(label) for label in KAOMOJI]
    first, second = (encode_pieces(base_tokenizer(BaseModel("tiny", None), texts), texts) for _ in range(2))
    assert first == second


def test_t5_loses_no_danbooru_label_and_cuts_other_text_as_before(shared, tmp_path):
    with gzip.open(shared / "data" / "danbooru_tags.csv.gz", "rt", encoding="utf-8") as file:
        texts = [label_text(row["tag"]) for row in csv.DictReader(file)]
    plain = transformers.AutoTokenizer.from_pretrained(shared / "t5")
    assert len(lost(plain, texts)) == 102
    tokenizer = base_tokenizer(BaseModel("t5", str(shared / "t5")), texts)
    assert lost(tokenizer, texts) == []
    ids = encode_pieces(tokenizer, texts)
    assert len(set(map(tuple, ids))) == len(texts)
    unchanged = [
        (before, after) for before, after in zip(encode_pieces(plain, texts), ids, strict=True) if 2 not in before
    ]
    assert all(before == after for before, after in unchanged)
    tokenizer.save_pretrained(tmp_path)
    assert encode_pieces(transformers.AutoTokenizer.from_pretrained(tmp_path), texts) == ids


def test_label_tokens_stand_side_by_side_without_running_into_each_other(shared):
    labels = [*KAOMOJI, ">", "<", "<>", "_", "a", "ab"]
    tokenizer = base_tokenizer(BaseModel("t5", str(shared / "t5")), [label_text(label) for label in labels])
    first = add_label_tokens(tokenizer, labels)
    rows = list(range(len(labels))) + list(reversed(range(len(labels))))
    text = "".join(label_token(labels[row]) for row in rows)
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == [first + row for row in rows]


def test_a_base_model_that_is_not_here_says_what_to_do():
    with pytest.raises(BooruError, match=r"--preset tiny"):
        base_tokenizer(BaseModel("nobody/nothing", "nobody/nothing"), ["a"])


def test_a_tokenizer_that_has_label_tokens_already_is_refused():
    tokenizer = base_tokenizer(BaseModel("tiny", None), ["rabbit ears"])
    add_label_tokens(tokenizer, ["rabbit_ears"])
    with pytest.raises(BooruError, match="only 0 of 1"):
        add_label_tokens(tokenizer, ["rabbit_ears"])
