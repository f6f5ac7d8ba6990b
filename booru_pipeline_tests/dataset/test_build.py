import datasets
import numpy as np
import pytest

from booru_pipeline.dataset.build import DatasetSummary, build_dataset
from booru_pipeline.dataset.gate import GateReport
from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.dataset.posts import Posts, load_posts
from booru_pipeline.dataset.sides import Sides
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.options import EncodingName, VocabularyOptions
from booru_pipeline_tests.dataset.label_rows import sets
from booru_pipeline_tests.vocabulary.labels import TINY
from booru_pipeline_tests.vocabulary.test_build import latest_posts

RECORD = Record(stage="tokenized_dataset", release="2021b", key="key")


@pytest.fixture(scope="module")
def counted(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    return build_vocabulary(shards, TINY, folder / "v", Staging(folder / "s"), VocabularyOptions(), RECORD)


@pytest.fixture(scope="module")
def built(shards, counted, tmp_path_factory):
    """The dataset of the sample world, its summary, and its splits as `load_from_disk` gives them."""
    folder = tmp_path_factory.mktemp("dataset")
    summary = build_dataset(shards, counted, folder / "d", Staging(folder / "s"), DatasetOptions(), RECORD)
    return folder / "d", summary, datasets.load_from_disk(str(folder / "d"))


def test_captions_are_the_posts_own_labels_each_post_once_on_its_side(shards, counted, built):
    folder, _, loaded = built
    found = {
        (row["booru"], row["fid"]): (split, row["release"], row["group_md5"], sorted(row["label_rows"]))
        for split, dataset in loaded.items()
        for row in dataset
    }
    sides = {(row["booru"], row["fid"]): row for row in Sides.read(folder).table.to_pylist()}
    expected = {}
    for row in latest_posts(shards):
        rows = sorted(counted.index[tag] for tag in row["tags"] if tag in counted.index)
        side = sides[row["booru"], row["fid"]]
        if len(rows) >= 4 and side["left_out"] is None:
            expected[row["booru"], row["fid"]] = (side["split"], row["release"], side["group_md5"], rows)
    assert found == expected
    assert len(found) > 700


def test_the_figures_are_those_of_the_posts(shards, counted, built):
    folder, summary, loaded = built
    assert DatasetSummary.read(folder) == summary
    assert summary.posts == {split: len(dataset) for split, dataset in loaded.items()}
    every = [rows for dataset in loaded.values() for rows in dataset["label_rows"]]
    assert summary.labels_per_caption == pytest.approx(np.mean([len(rows) for rows in every]))
    for name in EncodingName:
        encoding = Encoding.of(counted, name)
        lengths = [len(encoding.encode(rows)) for rows in every]
        assert summary.tokens_per_caption[name.value] == pytest.approx(np.mean(lengths))
    assert summary.longest_caption == max(map(len, every))
    occurrences = [
        (tag in counted.index, Category.name_of(category))
        for row in latest_posts(shards)
        for tag, category in zip(row["tags"], row["categories"], strict=True)
    ]
    for name, item in summary.coverage.items():
        assert item["occurrences"] == sum(category == name for _, category in occurrences)
        assert item["kept"] == sum(kept for kept, category in occurrences if category == name)
    assert sum(summary.posts.values()) + sum(summary.left_out.values()) == 2 * 400
    assert summary.left_out["listed again in a later release"] > 0


def test_columns_say_what_they_are_and_posts_come_back_as_arrays(built):
    folder, _, loaded = built
    for split, dataset in loaded.items():
        assert "label_rows: its labels as rows" in dataset.info.description
        assert dataset["length"] == [len(rows) for rows in dataset["label_rows"]]
        assert all(len(set(rows)) == len(rows) for rows in dataset["label_rows"])
        posts = load_posts(folder, split)
        assert isinstance(posts, Posts)
        assert posts.keys.tolist() == sorted(dataset["post_key"])  # a hash: random order
        stored = dict(zip(dataset["post_key"], dataset["label_rows"], strict=True))
        assert sets(posts) == [stored[key] for key in posts.keys.tolist()]
    keys = [key for dataset in loaded.values() for key in dataset["post_key"]]
    assert len(set(keys)) == len(keys)


def test_the_dataset_is_memory_mapped(built):
    """Reading it costs no memory of the process: the rows stay in the file."""
    folder, _, loaded = built
    for split, dataset in loaded.items():
        assert {file["filename"] for file in dataset.cache_files} == set(map(str, (folder / split).glob("*.arrow")))


def test_train_is_the_largest_side(built):
    """The origin trained on 5 % and validated on 95 %."""
    _, summary, _ = built
    assert summary.posts["train"] > 0.8 * sum(summary.posts.values())


def test_tokens_decide_which_posts_are_too_short(shards, counted, tmp_path):
    options = DatasetOptions(encoding="pieces", min_tokens=40)
    summary = build_dataset(shards, counted, tmp_path / "d", Staging(tmp_path / "s"), options, RECORD)
    pieces = Encoding.of(counted, EncodingName.PIECES)
    lengths = [
        len(pieces.encode(rows))
        for dataset in datasets.load_from_disk(str(tmp_path / "d")).values()
        for rows in dataset["label_rows"]
    ]
    assert min(lengths) >= 40
    assert summary.left_out["too few labels"] > 0
    assert summary.captions.encoding == "pieces"
    assert summary.longest_caption == max(lengths)


def test_the_gate_passes_on_the_sample_world(counted, built):
    report = GateReport.read(built[0])
    assert report.passed
    assert report.faults.labels == len(counted)
    assert report.coverage["general"] > 0.8


def test_a_dataset_without_a_caption_is_refused_and_does_not_appear(shards, counted, tmp_path):
    with pytest.raises(BooruError, match="min_tokens = 500"):
        build_dataset(shards, counted, tmp_path / "d", Staging(tmp_path / "s"), DatasetOptions(min_tokens=500), RECORD)
    assert not (tmp_path / "d").exists()
    for reader in (GateReport.read, DatasetSummary.read):
        with pytest.raises(BooruError, match="--to tokenized_dataset"):
            reader(tmp_path / "d")
