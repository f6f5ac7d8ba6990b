"""A label's row and token are for ever: releases that come after add theirs."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.training_shards.shards import ShardManifest
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.counting import COUNTS_FILE
from booru_pipeline.vocabulary.faults import LabelFaults, find_faults
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline_tests.vocabulary.labels import TINY

RECORD = Record(stage="vocabulary", release="2021a", key="key")
OPTIONS = VocabularyOptions(min_general_posts=3, min_name_posts=3)

# By release: posts as (fid, tags). The second lists post 0 again without `dog`, the third post 10 as it was.
RELEASES = {
    "2021a": [
        (number, ["cat", "rabbit_ears"] + ["dog"] * (number < 3) + ["carrot"] * (number < 2)) for number in range(6)
    ],
    "2021b": [(0, ["cat"]), *((number, ["carrot", "cat_boy", "½_moon"]) for number in range(10, 20))],
    "2021c": [(10, ["carrot", "cat_boy", "½_moon"]), *((number, ["zebra", "cat", "★"]) for number in range(20, 25))],
}


def write(folder, release, posts):
    folder.mkdir(parents=True, exist_ok=True)
    columns = {
        "booru": ["b"] * len(posts),
        "fid": [fid for fid, _ in posts],
        "release": [release] * len(posts),
        "split": ["test" if fid % 5 == 4 else "train" for fid, _ in posts],
        "tags": [sorted(tags) for _, tags in posts],
        "categories": pa.array([[0] * len(tags) for _, tags in posts], pa.list_(pa.int8())),
    }
    pq.write_table(pa.table(columns), folder / "posts.parquet")
    sha = str(hash(str(posts)))
    ShardManifest(
        release=release, posts=len(posts), tags=9, splits={}, files=["posts.parquet"], content_sha256=sha
    ).write(folder)
    return folder


@pytest.fixture
def shards(tmp_path):
    return {release: write(tmp_path / "shards" / release, release, posts) for release, posts in RELEASES.items()}


@pytest.fixture
def build(tmp_path, shards):
    def run(release, earlier=None, *, to=None, options=OPTIONS, base=TINY):
        chosen = {key: shards[key] for key in shards if key <= release}
        before = tmp_path / earlier if earlier else None
        place = tmp_path / (to or release)
        return build_vocabulary(chosen, base, place, Staging(tmp_path / "s"), options, RECORD, before)

    return run


def content(vocabulary):
    return vocabulary.table, pq.read_table(vocabulary.folder / COUNTS_FILE)


@pytest.mark.parametrize("name", ["tiny", "t5"])
def test_each_release_adds_its_labels_after_those_that_are_there(build, request, name):
    base = TINY if name == "tiny" else BaseModel("t5", str(request.getfixturevalue("shared") / "t5"))
    first, second, third = (
        build("2021a", base=base),
        build("2021b", "2021a", base=base),
        build("2021c", "2021b", base=base),
    )
    assert first.labels == ["cat", "rabbit_ears", "dog"]
    assert second.labels == [*first.labels, "carrot", "cat_boy", "½_moon"]
    assert third.labels == [*second.labels, "zebra", "★"]
    for before, after in ((first, second), (second, third)):
        for column in ("text", "piece_ids", "token_id"):
            assert after.table[column].to_pylist()[: len(before)] == before.table[column].to_pylist()
        assert after.special_tokens == before.special_tokens
    assert find_faults(third).failures == {}


def test_counts_are_those_of_now_and_who_was_a_label_stays_one(build):
    build("2021a")
    second = build("2021b", "2021a")
    assert dict(zip(second.labels, second.posts.tolist(), strict=True)) == {
        **{"cat": 6, "rabbit_ears": 5, "dog": 2},  # post 0 is listed again
        **{"carrot": 11, "cat_boy": 10, "½_moon": 10},
    }
    assert second.train_posts[second.index["cat_boy"]] == 8


def test_without_what_was_made_before_the_result_is_the_same(build):
    build("2021a")
    build("2021b", "2021a")
    third, alone = build("2021c", "2021b"), build("2021c", to="alone")
    assert content(third) == content(alone)
    assert third.special_tokens == alone.special_tokens
    for file in ("tokenizer.json", "spiece.model"):
        assert (third.tokenizer_folder / file).read_bytes() == (alone.tokenizer_folder / file).read_bytes()


def test_a_corrected_release_keeps_the_rows_that_it_had(build, shards):
    build("2021a")
    second = build("2021b", "2021a")
    write(shards["2021a"], "2021a", [(number, ["aardvark", "dog"]) for number in range(9)])
    first = build("2021a")
    assert first.labels == ["cat", "rabbit_ears", "dog", "aardvark"]
    assert first.posts.tolist() == [0, 0, 9, 9]
    third = build("2021c", "2021b")
    assert third.labels[: len(second)] == second.labels
    assert third.posts[third.index["dog"]] == 8  # counted anew, as the corrected release has it


@pytest.mark.parametrize("other", ["options", "base model"])
def test_what_is_made_with_something_else_begins_anew(build, other, shared):
    build("2021a")
    given = {"options": VocabularyOptions(min_general_posts=2, min_name_posts=3)}
    if other == "base model":
        given = {"base": BaseModel("t5", str(shared / "t5"))}
    assert content(build("2021b", "2021a", **given)) == content(build("2021b", to="alone", **given))


def test_a_later_label_that_would_be_taken_for_an_earlier_one_is_left_out(build, shards):
    write(shards["2021a"], "2021a", [(number, ["<b>_or_not", "cat"]) for number in range(9)])
    write(shards["2021b"], "2021b", [(number, ["b", "cat_", "dog"]) for number in range(9)])
    build("2021a")
    second = build("2021b", "2021a")
    left_out = {item["label"]: item["faults"] for item in LabelFaults.read(second.folder).left_out}
    assert "cut_otherwise" in left_out["b"]
    assert second.labels[:2] == ["<b>_or_not", "cat"]
    assert "dog" in second.labels
    assert find_faults(second).failures == {}


def test_characters_beyond_the_spare_pieces_cost_their_labels_and_no_other(build, shards):
    first = build("2021a")
    odd = [chr(0x4E00 + number) for number in range(140)]
    write(shards["2021b"], "2021b", [(number, [*odd, "plain"]) for number in range(3)])
    second = build("2021b", "2021a")
    left_out = LabelFaults.read(second.folder).left_out
    assert {reason for item in left_out for reason in item["faults"]} >= {"unknown_piece"}
    assert len(left_out) == 140 - 128 + len(set("plain") - set("".join(first.labels)))
    assert "plain" in second.labels
