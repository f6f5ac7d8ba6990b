# ruff: noqa: RUF001  (look-alikes are what this is about)
"""Labels that collide with what a tokenizer has for itself, or that its normaliser would change."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.release.names import canonical_tag
from booru_pipeline.training_shards.shards import ShardManifest
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.faults import LabelFaults, find_faults
from booru_pipeline.vocabulary.options import EncodingName, VocabularyOptions
from booru_pipeline_tests.vocabulary.labels import LABELS, TINY, make_vocabulary

RESERVED = ["pad", "unk", "/s", "s", "extra_id_0", "extra_id_99", "mask"]
NORMALISED = ["ranma_½", "ranma_1⁄2", "…", "...", "ｏｋ", "ok", "´", "㈱", "ﬁ", "fi", "x²", "x2", "ℌ", "①", "™", "tm"]
RECORD = Record(stage="vocabulary", release="2021a", key="key")


@pytest.fixture(params=["tiny", "t5"])
def base(request):
    """The tiny preset's tokenizer, and T5's own."""
    return TINY if request.param == "tiny" else BaseModel("t5", str(request.getfixturevalue("shared") / "t5"))


def come_back(vocabulary):
    for name in EncodingName:
        encoding = Encoding.of(vocabulary, name)
        rows = list(range(len(vocabulary)))
        assert encoding.decode(encoding.encode(rows)) == rows


@pytest.mark.parametrize("odd", [RESERVED, NORMALISED], ids=["reserved", "normalised"])
def test_they_are_labels_like_any_other(tmp_path, base, odd):
    vocabulary = make_vocabulary(tmp_path, [*LABELS, *odd], base)
    assert find_faults(vocabulary).failures == {}
    come_back(vocabulary)


def test_a_tokenizer_keeps_its_normaliser_where_no_label_needs_it_away(tmp_path, shared):
    import transformers

    base = BaseModel("t5", str(shared / "t5"))
    for labels, gone in ((LABELS, False), ([*LABELS, "ｏｋ"], True)):
        folder = tmp_path / str(gone)
        make_vocabulary(folder, labels, base)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer")
        assert (tokenizer.backend_tokenizer.normalizer is None) == gone


def shards_of(folder, tags):
    """A folder of shards with ten posts of each of these sets of tags."""
    folder.mkdir()
    posts = [(number, tag) for number, tag in enumerate(tag for tag in tags for _ in range(10))]
    columns = {
        "booru": ["b"] * len(posts),
        "fid": [number for number, _ in posts],
        "release": ["2021a"] * len(posts),
        "split": ["train"] * len(posts),
        "tags": [list(tag) for _, tag in posts],
        "categories": pa.array([[0] * len(tag) for _, tag in posts], pa.list_(pa.int8())),
    }
    pq.write_table(pa.table(columns), folder / "posts.parquet")
    manifest = ShardManifest(
        release="2021a", posts=len(posts), tags=len(posts), splits={}, files=["posts.parquet"], content_sha256=""
    )
    manifest.write(folder)
    return {"2021a": folder}


def build(tmp_path, tags, base=TINY):
    return build_vocabulary(
        shards_of(tmp_path / "shards", tags), base, tmp_path / "v", Staging(tmp_path / "s"), VocabularyOptions(), RECORD
    )


def test_a_label_that_cannot_be_told_apart_is_left_out_named_and_counted(tmp_path):
    tags = [("hatsune_miku", "hatsune miku"), ("hatsune_miku", "smile"), ("a\u2581b", "smile")]
    vocabulary = build(tmp_path, tags)
    assert vocabulary.labels == ["hatsune_miku", "smile"]
    left_out = {item["label"]: (item["posts"], item["faults"]) for item in LabelFaults.read(tmp_path / "v").left_out}
    assert left_out["hatsune miku"][0] == left_out["a\u2581b"][0] == 10
    assert "shared_pieces" in left_out["hatsune miku"][1]
    assert "text_lost" in left_out["a\u2581b"][1]
    assert vocabulary.table["token_id"].to_pylist() == [vocabulary.first_token_id, vocabulary.first_token_id + 1]
    come_back(vocabulary)


def test_no_vocabulary_is_made_of_nothing_but_such_labels(tmp_path):
    with pytest.raises(BooruError, match="none of the 1 labels of 2021a comes back"):
        build(tmp_path, [("\u2581",)])
    assert not (tmp_path / "v").exists()


letters = st.characters(exclude_categories=["Cs", "Cn"])
tags = st.text(st.one_of(letters, st.sampled_from("<>_()/ab½…ａ\u2028\x85\u0301")), min_size=1, max_size=12)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.lists(st.one_of(tags, st.sampled_from([*RESERVED, "<pad>", "</s>", "x" * 5000])), max_size=12))
def test_whatever_names_there_are_what_is_a_label_comes_back(tmp_path_factory, base, raw):
    names = list(dict.fromkeys(filter(None, [canonical_tag(name) for name in raw] + raw)))
    folder = tmp_path_factory.mktemp("any")
    vocabulary = build(folder, [(*names, "smile"), ("smile", "solo")], base)
    left_out = [item["label"] for item in LabelFaults.read(folder / "v").left_out]
    assert sorted([*vocabulary.labels, *left_out]) == sorted({*names, "smile", "solo"})
    come_back(vocabulary)
    assert {"smile", "solo"} <= set(vocabulary.labels)
