"""The audit of a dataset's sides goes through what its own releases concern, and finds what is planted there."""

from dataclasses import replace

import pyarrow as pa
import pytest

from booru_pipeline.dataset.ledger import Ledger
from booru_pipeline.dataset.settling import settle
from booru_pipeline.dataset.sides import audit_sides, contents_of
from booru_pipeline_tests.dataset.listed_posts import CAT, CAT_AND, DOG, OPTIONS, Post

FIRST = (Post(1, "train 1", CAT), Post(2, "train 2", DOG), Post(3, "test 3"))
SECOND = (Post(4, "train 4", CAT_AND), Post(5, "train 2"), Post(6, "train 6"))


@pytest.fixture
def made(lake, tmp_path):
    """The shards of two releases, and a function that writes the sides of both, the second's with other values."""
    shards = lake(FIRST, SECOND)

    def write(name, fid=0, **values):
        ledger = Ledger.read(tmp_path / "r0") if name != "r0" else Ledger.empty(OPTIONS)
        release = "r0" if name == "r0" else "r1"
        ledger = settle(ledger, release, shards[release], contents_of(shards)[release])
        part = ledger.parts[-1]
        rows = [{**row, **values} if row["fid"] == fid else row for row in part.to_pylist()]
        part = pa.Table.from_pylist(rows, part.schema)
        folder = tmp_path / name
        folder.mkdir()
        replace(ledger, parts=[*ledger.parts[:-1], part]).write(folder)
        return folder

    write("r0")
    return shards, write


def audit(made, **planted):
    shards, write = made
    dataset = write("planted", **planted)
    grown, whole = audit_sides(dataset, shards, dataset.parent / "r0"), audit_sides(dataset, shards, None)
    assert grown.compared_with == "r0"
    assert (whole.compared_with, whole.moved) == (None, None)
    assert (grown.straddling, grown.across) == (whole.straddling, whole.across)
    return grown


def test_sound_sides_have_nothing(made):
    found = audit(made)
    assert (found.straddling.examples, found.across.pairs, found.moved.examples) == ([], 0, [])


def test_a_new_post_that_is_like_an_earlier_one_on_another_side_is_found(made):
    found = audit(made, fid=4, split="test", group_md5="test 9", group_token=9)
    assert found.across.examples == ["b 4 and b 1"]
    assert found.straddling.examples == []


def test_a_new_post_with_an_earlier_ones_picture_on_another_side_is_found(made):
    found = audit(made, fid=5, split="test", group_md5="test 9", group_token=9)
    assert found.straddling.examples == ["picture train 2"]
    assert found.moved.examples == ["picture train 2"]


def test_an_earlier_dataset_of_other_sides_is_compared_and_not_trusted(made, lake):
    shards, write = made
    dataset = write("r1")
    other = lake([Post(4, "test 4", CAT_AND)], name="other")
    ledger = settle(Ledger.empty(OPTIONS), "r0", other["r0"], "")
    folder = dataset.parent / "before"
    folder.mkdir()
    ledger.write(folder)
    found = audit_sides(dataset, shards, folder)
    assert found.moved.examples == ["post b 4"]
