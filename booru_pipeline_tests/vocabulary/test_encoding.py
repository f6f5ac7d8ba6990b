import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st

from booru_pipeline.errors import BooruError
from booru_pipeline.ragged import gather
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.dataset.label_rows import posts_of
from booru_pipeline_tests.vocabulary.labels import LABELS

CAPTIONS = st.lists(st.integers(0, len(LABELS) - 1), unique=True, max_size=12)


@pytest.fixture(params=list(EncodingName))
def encoding(vocabulary, request):
    return Encoding.of(vocabulary, request.param)


@given(rows=CAPTIONS)
def test_labels_come_back_from_a_caption_in_either_encoding(vocabulary, rows):
    for name in EncodingName:
        encoding = Encoding.of(vocabulary, name)
        assert encoding.decode(encoding.encode(rows)) == rows


def test_a_caption_is_as_long_as_is_said(encoding):
    posts = posts_of([3], [0, 5, 9], [], list(range(len(LABELS))))
    expected = [len(encoding.encode(rows)) for rows in ([3], [0, 5, 9], [], range(len(LABELS)))]
    assert encoding.caption_lengths(posts.rows, posts.offsets).tolist() == expected


def test_what_is_no_label_decodes_to_none(vocabulary):
    labels = Encoding.of(vocabulary, EncodingName.LABELS)
    assert labels.decode([1, labels.encode([4])[0]]) == [None, 4]
    pieces = Encoding.of(vocabulary, EncodingName.PIECES)
    assert pieces.decode([*pieces.encode([4, 2]), pieces.separator]) == [4, 2, None]


def test_a_caption_of_pieces_is_what_the_tokenizer_makes_of_its_text(vocabulary):
    """A label a line: the separator is a token of the tokenizer, so that nothing here is known to our code alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder)
    pieces = Encoding.of(vocabulary, EncodingName.PIECES)
    rows = list(range(len(LABELS)))
    texts = vocabulary.table["text"].to_pylist()
    ids = tokenizer("\n".join(texts[row] for row in rows), add_special_tokens=False)["input_ids"]
    assert ids == pieces.encode(rows)


def test_a_label_named_after_a_series_has_the_pieces_of_the_series(vocabulary):
    pieces = Encoding.of(vocabulary, EncodingName.PIECES)
    series, character = (pieces.encode([vocabulary.index[label]]) for label in ("fate", "saber_(fate)"))
    assert any(character[at : at + len(series)] == series for at in range(len(character)))
    assert vocabulary.table["qualifiers"][vocabulary.index["saber_(fate)"]].as_py() == ["fate"]


def test_a_vocabulary_of_an_older_version_says_so(vocabulary):
    old = Vocabulary(vocabulary.folder, vocabulary.table.replace_schema_metadata(None))
    with pytest.raises(BooruError, match="older version"):
        Encoding.of(old, EncodingName.PIECES)


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=8), st.data())
def test_gathering_lists_is_indexing_them(lists, data):
    index = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=10))
    values = np.array([value for item in lists for value in item], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(item) for item in lists])]).astype(np.int64)
    found, starts = gather(values, offsets, index)
    assert [part.tolist() for part in np.split(found, starts[1:-1])][: len(index)] == [lists[row] for row in index]
