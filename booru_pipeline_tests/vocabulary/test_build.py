from collections import Counter

import pyarrow.parquet as pq
import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary

RECORD = Record(stage="vocabulary", release="2021b", key="key")
TINY = BaseModel("tiny", None)


def latest_posts(shards):
    posts = {}
    for folder in shards.values():  # in release order: a later listing replaces the earlier one
        for path in shard_files(folder):
            for row in pq.read_table(path).to_pylist():
                posts[row["booru"], row["fid"]] = row
    return list(posts.values())


def test_counts_are_over_all_releases_with_each_post_as_it_was_listed_last(shards, tmp_path):
    options = VocabularyOptions(min_general_posts=5, min_name_posts=8)
    built = build_vocabulary(shards, TINY, tmp_path / "v", Staging(tmp_path / "s"), options, RECORD)
    posts, train, categories = Counter(), Counter(), {}
    for row in latest_posts(shards):
        for tag, category in zip(row["tags"], row["categories"], strict=True):
            posts[tag] += 1
            train[tag] += row["split"] == "train"
            categories.setdefault(tag, Counter())[category] += 1
    expected = {}
    for tag, count in posts.items():
        most = max(categories[tag].values())
        category = min(category for category, times in categories[tag].items() if times == most)
        if category in (0, 3, 4) and count >= (5 if category == 0 else 8):
            expected[tag] = (category, count, train[tag])
    found = built.table.select(["label", "category", "posts", "train_posts"]).to_pylist()
    assert {row["label"]: (row["category"], row["posts"], row["train_posts"]) for row in found} == expected
    assert built.posts[built.by_posts].tolist() == sorted((row["posts"] for row in found), reverse=True)


def test_rows_tokens_and_tokenizer_agree(shards, tmp_path):
    import transformers

    built = build_vocabulary(shards, TINY, tmp_path / "v", Staging(tmp_path / "s"), VocabularyOptions(), RECORD)
    assert Vocabulary.load(tmp_path / "v").table.equals(built.table)
    tokenizer = transformers.AutoTokenizer.from_pretrained(built.tokenizer_folder)
    tokens = [f"<{label}>" for label in built.labels]
    assert tokenizer.convert_tokens_to_ids(tokens) == list(
        range(built.first_token_id, built.first_token_id + len(built))
    )
    assert built.table["token_id"].to_pylist() == tokenizer.convert_tokens_to_ids(tokens)
    assert tokenizer.batch_decode(built.piece_ids) == built.table["text"].to_pylist()


def test_thresholds_that_leave_nothing_are_named_and_no_artifact_appears(shards, tmp_path):
    options = VocabularyOptions(min_general_posts=10**6, min_name_posts=10**6)
    with pytest.raises(BooruError, match="Lower min_general_posts"):
        build_vocabulary(shards, TINY, tmp_path / "v", Staging(tmp_path / "s"), options, RECORD)
    assert not (tmp_path / "v").exists()


def test_a_vocabulary_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(BooruError, match="--to vocabulary"):
        Vocabulary.load(tmp_path)
