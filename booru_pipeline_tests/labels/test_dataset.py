import datasets
import pytest

from booru_pipeline.artifact import Record
from booru_pipeline.errors import BooruError
from booru_pipeline.labels.dataset import build_dataset, read_summary
from booru_pipeline.labels.gate import inspect, read_gate
from booru_pipeline.labels.options import DatasetOptions, VocabularyOptions
from booru_pipeline.labels.vocabulary import Vocabulary, build_vocabulary
from booru_pipeline.presets import BaseModel
from booru_pipeline_tests.labels.test_vocabulary import latest_posts

RECORD = Record("tokenized_dataset", "2021b", "key", {}, {})


@pytest.fixture(scope="module")
def vocabulary(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    tiny = BaseModel("tiny", None)
    return build_vocabulary(shards, tiny, folder / "v", folder / "s", VocabularyOptions(), RECORD)


def test_captions_are_the_posts_own_labels_each_post_once_on_its_side(shards, vocabulary, tmp_path):
    options = DatasetOptions(min_labels=6)
    summary = build_dataset(shards, vocabulary, tmp_path / "d", tmp_path / "s", options, RECORD)
    loaded = datasets.load_from_disk(str(tmp_path / "d"))
    found = {
        (row["booru"], row["fid"]): (split, row["release"], row["group_md5"], set(row["input_ids"]))
        for split, dataset in loaded.items()
        for row in dataset
    }
    expected = {}
    for row in latest_posts(shards):
        ids = {vocabulary.first_token_id + vocabulary.index[tag] for tag in row["tags"] if tag in vocabulary.index}
        if len(ids) >= 6:
            expected[row["booru"], row["fid"]] = (row["split"], row["release"], row["group_md5"], ids)
    assert found == expected
    assert summary.posts == {split: len(dataset) for split, dataset in loaded.items()}
    assert read_summary(tmp_path / "d") == summary


def test_no_caption_repeats_a_label(shards, vocabulary, tmp_path):
    build_dataset(shards, vocabulary, tmp_path / "d", tmp_path / "s", DatasetOptions(), RECORD)
    for dataset in datasets.load_from_disk(str(tmp_path / "d")).values():
        assert all(len(set(row["input_ids"])) == len(row["input_ids"]) >= 4 for row in dataset)


def test_the_gate_passes_on_the_sample_world(shards, vocabulary, tmp_path):
    build_dataset(shards, vocabulary, tmp_path / "d", tmp_path / "s", DatasetOptions(), RECORD)
    report = read_gate(tmp_path / "d")
    assert report.passed
    assert report.labels == len(vocabulary)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("text", "rabbit  ears", "text_lost"),
        ("text", "☃", "unknown_piece"),
        ("text", "short hair", "shared_pieces"),
        ("label", "not_a_token", "token_lost"),
    ],
)
def test_the_gate_names_a_label_that_is_lost(vocabulary, column, value, reason):
    row = vocabulary.index["long_hair"]
    values = vocabulary.table[column].to_pylist()
    values[row] = value
    position = vocabulary.table.column_names.index(column)
    broken = Vocabulary(vocabulary.folder, vocabulary.table.set_column(position, column, [values]))
    report = inspect(broken)
    assert not report.passed
    assert broken.labels[row] in report.failures[reason] or "short_hair" in report.failures[reason]


def test_a_dataset_without_a_caption_is_refused_and_does_not_appear(shards, vocabulary, tmp_path):
    with pytest.raises(BooruError, match="min_labels = 500"):
        build_dataset(shards, vocabulary, tmp_path / "d", tmp_path / "s", DatasetOptions(min_labels=500), RECORD)
    assert not (tmp_path / "d").exists()
    with pytest.raises(BooruError, match="--to tokenized_dataset"):
        read_gate(tmp_path / "d")
