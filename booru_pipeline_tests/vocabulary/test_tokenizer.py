import csv
import gzip
from dataclasses import dataclass

import pytest
import sentencepiece
import transformers

from booru_pipeline.errors import BooruError
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.text import label_text
from booru_pipeline.vocabulary.tokenizer import (
    add_label_tokens,
    base_tokenizer,
    encode_pieces,
    label_tokens,
    sentencepiece_model,
)

KAOMOJI = [">_<", "^_^", ":<", "\\m/", "<o>_<o>", "uu~", "ko~n", "`_`", "|_|", "rabbit_ears", "saber_(fate)", "'_'"]


def lost(tokenizer, texts):
    ids = encode_pieces(tokenizer, texts)
    decoded = tokenizer.batch_decode(ids, clean_up_tokenization_spaces=False)
    return [text for text, piece, back in zip(texts, ids, decoded, strict=True) if back != text or 2 in piece]


def test_tiny_cuts_every_text_that_it_was_trained_on():
    texts = [label_text(label) for label in KAOMOJI]
    assert lost(base_tokenizer(BaseModel("tiny", None), texts)[0], texts) == []


def test_tiny_is_the_same_every_time():
    texts = [label_text(label) for label in KAOMOJI]
    first, second = (encode_pieces(base_tokenizer(BaseModel("tiny", None), texts)[0], texts) for _ in range(2))
    assert first == second


@dataclass(frozen=True)
class Cut:
    """Danbooru's labels as texts, T5's tokenizer as it comes and ours made of it, and what each cuts the texts into."""

    texts: list[str]
    plain: transformers.PreTrainedTokenizerBase
    before: list[list[int]]
    ours: transformers.PreTrainedTokenizerBase
    first_added: int
    after: list[list[int]]


@pytest.fixture(scope="module")
def danbooru(shared):
    with gzip.open(shared / "data" / "danbooru_tags.csv.gz", "rt", encoding="utf-8") as file:
        texts = [label_text(row["tag"]) for row in csv.DictReader(file)]
    plain = transformers.AutoTokenizer.from_pretrained(shared / "t5")
    ours, first_added = base_tokenizer(BaseModel("t5", str(shared / "t5")), texts)
    return Cut(texts, plain, encode_pieces(plain, texts), ours, first_added, encode_pieces(ours, texts))


def test_t5_loses_no_danbooru_label_and_cuts_other_text_as_before(danbooru, tmp_path):
    unknown = [text for text, ids in zip(danbooru.texts, danbooru.before, strict=True) if 2 in ids]
    assert len(unknown) == len(lost(danbooru.plain, unknown)) == 102
    assert danbooru.first_added == len(danbooru.plain)
    assert danbooru.ours.batch_decode(danbooru.after, clean_up_tokenization_spaces=False) == danbooru.texts
    assert not any(2 in ids for ids in danbooru.after)
    assert len(set(map(tuple, danbooru.after))) == len(danbooru.texts)
    unchanged = [pair for pair in zip(danbooru.before, danbooru.after, strict=True) if 2 not in pair[0]]
    assert all(before == after for before, after in unchanged)
    danbooru.ours.save_pretrained(tmp_path)
    some = [*danbooru.texts[::20], *unknown]
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert encode_pieces(loaded, some) == encode_pieces(danbooru.ours, some)


def test_the_model_made_of_the_tokenizer_cuts_as_t5s_own_sentencepiece(shared, danbooru):
    """And not quite as transformers does: where two ways to cut tie, the two add up in another precision."""
    texts = danbooru.texts
    ours = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(danbooru.ours)).encode(texts)
    own = sentencepiece.SentencePieceProcessor(model_file=str(shared / "t5" / "spiece.model")).encode(texts)
    assert [text for text, ids, theirs in zip(texts, ours, own, strict=True) if ids != theirs and 2 not in theirs] == []
    assert sum(2 in ids for ids in own) == 102
    different = [(ids, theirs) for ids, theirs in zip(ours, danbooru.after, strict=True) if ids != theirs]
    assert 0 < len(different) < 200
    assert all(sorted(ids) == sorted(theirs) for ids, theirs in different)


def test_a_folder_without_tokenizer_names_what_is_missing(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(BooruError, match=r"none of tokenizer\.json, spiece\.model"):
        base_tokenizer(BaseModel("mine", str(tmp_path)), ["a"])
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(BooruError, match=r"cannot read the tokenizer in .*save_pretrained"):
        base_tokenizer(BaseModel("mine", str(tmp_path)), ["a"])


def test_a_checkpoint_of_ours_as_the_base_is_refused(tmp_path):
    tokenizer, _ = base_tokenizer(BaseModel("tiny", None), ["rabbit ears"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(BooruError, match="the model that it was made from"):
        base_tokenizer(BaseModel("ours", str(tmp_path)), ["rabbit ears"])


def test_label_tokens_stand_side_by_side_without_running_into_each_other(shared):
    labels = [*KAOMOJI, ">", "<", "<>", "_", "a", "ab"]
    tokenizer, _ = base_tokenizer(BaseModel("t5", str(shared / "t5")), [label_text(label) for label in labels])
    first = add_label_tokens(tokenizer, labels)
    rows = list(range(len(labels))) + list(reversed(range(len(labels))))
    text = "".join(label_tokens(tokenizer, [labels[row] for row in rows]))
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == [first + row for row in rows]


def test_a_base_model_that_is_not_here_says_what_to_do():
    with pytest.raises(BooruError, match=r"--preset tiny"):
        base_tokenizer(BaseModel("nobody/nothing", "nobody/nothing"), ["a"])


def test_a_tokenizer_that_has_label_tokens_already_is_refused():
    tokenizer, _ = base_tokenizer(BaseModel("tiny", None), ["rabbit ears"])
    add_label_tokens(tokenizer, ["rabbit_ears"])
    with pytest.raises(BooruError, match="only 0 of 1"):
        add_label_tokens(tokenizer, ["rabbit_ears"])
