import csv
import gzip
import re

import pyarrow as pa
import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.faults import LabelFaults, find_faults
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.vocabulary.labels import make_vocabulary


def replaced(vocabulary, column, row, value):
    """The vocabulary with another value in one place."""
    values = vocabulary.table[column].to_pylist()
    values[row] = value
    field = vocabulary.table.schema.field(column)
    position = vocabulary.table.column_names.index(column)
    table = vocabulary.table.set_column(position, field, pa.array(values, field.type))
    return Vocabulary(vocabulary.folder, table)


def test_nothing_is_wrong_with_a_sound_vocabulary(vocabulary):
    faults = find_faults(vocabulary)
    assert faults.failures == {}
    assert faults.labels == len(vocabulary)


@pytest.mark.parametrize(
    ("column", "value_of", "reason"),
    [
        ("piece_ids", lambda v: [2], "unknown_piece"),
        ("piece_ids", lambda v: [], "unknown_piece"),
        ("piece_ids", lambda v: v.piece_ids[v.index["solo"]], "shared_pieces"),
        ("piece_ids", lambda v: v.piece_ids[v.index["solo"]], "text_lost"),
        ("piece_ids", lambda v: v.piece_ids[v.index["carrot"]][::-1], "not_sentencepiece"),
        ("piece_ids", lambda v: [*v.piece_ids[v.index["carrot"]], v.special_tokens.separator], "holds_separator"),
        ("text", lambda v: "car\nrot", "holds_separator"),
        ("text", lambda v: "car  rot", "text_lost"),
        ("text", lambda v: "solo", "cut_otherwise"),
        ("label", lambda v: "not_a_token", "token_lost"),
    ],
)
def test_a_label_that_is_lost_is_named(vocabulary, column, value_of, reason):
    row = vocabulary.index["carrot"]
    broken = replaced(vocabulary, column, row, value_of(vocabulary))
    assert {"carrot", "not_a_token", "solo"} & set(find_faults(broken).failures[reason])


def test_faults_are_kept_with_the_vocabulary(vocabulary, tmp_path):
    faults = find_faults(replaced(vocabulary, "piece_ids", 1, [2]))
    faults.write(tmp_path)
    assert LabelFaults.read(tmp_path) == faults
    with pytest.raises(BooruError, match="Make the vocabulary again"):
        LabelFaults.read(tmp_path / "nothing")


def test_danbooru_labels_pass_in_both_encodings(shared, tmp_path):
    """All that have odd characters, among them the 102 that plain T5 loses, and one in eight of the others."""
    with gzip.open(shared / "data" / "danbooru_tags.csv.gz", "rt", encoding="utf-8") as file:
        labels = [row["tag"] for row in csv.DictReader(file)]
    chosen = [label for row, label in enumerate(labels) if row % 8 == 0 or re.search(r"[^a-z0-9_()-]", label)]
    vocabulary = make_vocabulary(tmp_path, chosen, BaseModel("t5", str(shared / "t5")))
    faults = find_faults(vocabulary)
    assert faults.labels == len(chosen) > 20_000
    assert faults.failures == {}
    assert 0 < len(faults.ties) < 200
