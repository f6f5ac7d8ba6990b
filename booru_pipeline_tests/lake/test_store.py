"""Artifacts in an S3 server and in a folder."""

import contextlib

import pytest

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import read_record
from booru_pipeline.lake.store import Store, StoreError
from booru_pipeline.pipeline.promoted import clear, promote, read_promoted
from booru_pipeline_tests.lake.stored import NAME, RECORD, read, write


def test_what_one_home_publishes_another_has_and_the_later_one_counts(tmp_path, place):
    one, two = Lake(tmp_path / "one", Store(*place)), Lake(tmp_path / "two", Store(*place))
    assert one.record(one.home / NAME) is None
    assert one.bring(one.home / NAME) == one.home / NAME
    write(one, "first")
    assert two.record(two.home / NAME) == RECORD
    assert two.releases_with(two.training_shards) == ["2021a"]
    assert not (two.home / NAME).exists()
    assert two.read(two.home / NAME, "inner/a") == "first"
    assert read(two) == {"first"}
    write(two, "second")
    one.store.__init__(*place)  # a look that is not two seconds old
    assert read(one) == {"second"}
    assert read_record(one.home / NAME).made == read_record(two.home / NAME).made
    assert not one.store.uploads()


def test_what_is_later_here_is_not_overwritten(tmp_path, store):
    with_store, without = Lake(tmp_path, store), Lake(tmp_path)
    write(with_store, "first")
    write(without, "made while no store was configured")
    assert read(with_store) == {"made while no store was configured"}
    assert not with_store.is_stored(with_store.home / NAME)


def test_a_file_is_an_artifact_too(tmp_path, place):
    one, two = Lake(tmp_path / "one", Store(*place)), Lake(tmp_path / "two", Store(*place))
    with staged(one.promoted, one.staging) as draft:
        draft.write_text("2021a")
    assert two.bring(two.promoted).read_text() == "2021a"
    with staged(two.promoted, two.staging) as draft:
        draft.write_text("2021b")
    one.store.__init__(*place)
    assert one.bring(one.promoted).read_text() == "2021b"


def test_other_tools_open_what_the_url_names(tmp_path, place, store):
    import pyarrow as pa
    import pyarrow.parquet as pq

    lake = Lake(tmp_path / "home", store)
    with staged(lake.home / NAME, lake.staging) as draft:
        draft.mkdir()
        pq.write_table(pa.table({"fid": [1, 2]}), draft / "posts.parquet")
    import fsspec

    with fsspec.open(f"{store.url_of(NAME)}/posts.parquet", **place[1]) as file:
        assert pq.read_table(file)["fid"].to_pylist() == [1, 2]


def test_the_promoted_checkpoint_is_the_same_for_all(tmp_path, place):
    one, two = Lake(tmp_path / "one", Store(*place)), Lake(tmp_path / "two", Store(*place))
    with staged(one.checkpoint("2021a"), one.staging) as draft:
        draft.mkdir()
        RECORD.write(draft)
    promote(one, "2021a", "by hand")
    assert read_promoted(two).release == "2021a"
    clear(two)
    one.store.__init__(*place)
    assert read_promoted(Lake(tmp_path / "three", Store(*place))) is None


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("nowhere://x", {}, r"nowhere://x cannot be a store.*\[store\]"),
        ("s3://bucket", {"no_such_option": 1}, r"s3://bucket cannot be a store|did not read"),
    ],
)
def test_a_place_that_cannot_be_a_store_is_named(url, options, message):
    with pytest.raises(StoreError, match=message):
        Store(url, options).listing()


def test_a_store_that_does_not_answer_or_has_no_bucket_is_named(tmp_path, endpoint):
    with pytest.raises(StoreError, match=r"s3://bucket did not read.*\[store\].*AWS_ACCESS_KEY_ID"):
        Store("s3://bucket", {"endpoint_url": "http://127.0.0.1:9"}).listing()
    lake = Lake(tmp_path, Store("s3://no-such-bucket/lake", {"endpoint_url": endpoint}, waits_s=()))
    with pytest.raises(StoreError, match="s3://no-such-bucket/lake did not take"):
        write(lake, "x")
    assert not (lake.home / NAME).exists()


def test_staging_without_a_store_publishes_here_only(tmp_path):
    with staged(tmp_path / "x", Staging(tmp_path / ".staging")) as draft:
        draft.write_text("x")
    assert (tmp_path / "x").read_text() == "x"


def test_moving_an_artifact_tells_how_much_of_it_has_moved(tmp_path, place, monkeypatch):
    told = {}

    def noted(what, measure):
        told[what.partition("/")[0]] = measure
        return contextlib.nullcontext()

    monkeypatch.setattr("booru_pipeline.lake.store.step", noted)
    write(Lake(tmp_path / "one", Store(*place)), "some bytes")
    two = Lake(tmp_path / "two", Store(*place))
    assert read(two) == {"some bytes"}
    assert [what.split()[0] for what in told] == ["sending", "fetching"]
    assert [measure() for measure in told.values()] == [1, 1]
