"""What the sensor sees in the raw folder: when releases are read, and what it remembers."""

import json
import os
import shutil
import time

import dagster as dg
import pytest

from booru_pipeline.defs.automation.sensor import Cursor
from booru_pipeline.defs.build import build_defs
from booru_pipeline_tests.defs.automation.automated_home import CHAIN, asked


def test_a_release_is_read_at_the_second_scan_and_asked_for_whole_as_one_run(automated):
    automated.put()
    first = automated.tick()
    assert not first.run_requests
    assert "release 2021a is new" in first.skip_reason.skip_message
    assert automated.instance.get_dynamic_partitions("release") == []
    second = automated.tick()
    assert asked(second) == [("2021a", "refresh_release", CHAIN)]
    assert automated.instance.get_dynamic_partitions("release") == ["2021a"]
    (request,) = second.run_requests
    assert request.run_key == f"2021a:{automated.expected('2021a')[CHAIN[-1]].key}"
    graph = build_defs(automated.settings).resolve_asset_graph()
    assert set(request.asset_check_keys) == {
        key for key in graph.asset_check_keys if key.name != "bytes_are_what_was_loaded"
    }
    assert automated.instance.get_materialized_partitions(dg.AssetKey("raw_release")) == {"2021a"}
    assert [item.run_key for item in automated.tick().run_requests] == [request.run_key]  # the daemon knows it


def test_it_waits_until_files_have_been_stable_for_some_time(automated, monkeypatch):
    automated.change(automation={"rest_s": 15})
    automated.put()
    now = time.time()
    automated.tick()

    def later(seconds):
        monkeypatch.setattr(time, "time", lambda: now + seconds)

    later(10)
    assert "once its files have been the same for 15 s" in automated.waits()
    later(14)
    with automated.path("2021a", "tags").open("a") as file:
        file.write("\n")
    assert "still being written since the last look" in automated.waits()
    later(20)
    assert "once its files have been the same for 15 s" in automated.waits()
    later(30)
    assert asked(automated.tick()) == [("2021a", "refresh_release", CHAIN)]


def test_it_waits_for_what_still_grows_is_downloaded_empty_or_not_readable(automated):
    folder = automated.put()
    automated.tick()
    with automated.path("2021a", "tags").open("a") as file:
        file.write("\n")
    assert "still being written since the last look" in automated.waits()
    (folder / "xyz.part").touch()
    assert "still being downloaded" in automated.waits()
    (folder / "xyz.part").unlink()
    automated.path("2021a", "files").rename(folder / "aside")
    automated.path("2021a", "files").touch()
    assert "V2021A_files.tsv of release 2021a is empty yet" in automated.settled_tick().skip_reason.skip_message
    automated.path("2021a", "files").unlink()
    assert "V2021A_files.tsv (or .tsv.gz) is missing" in automated.waits()
    automated.path("2021a", "files").symlink_to("nowhere")  # what root cannot read either
    assert "cannot be read" in automated.waits()
    automated.path("2021a", "files").unlink()
    (folder / "aside").rename(automated.path("2021a", "files"))
    assert asked(automated.settled_tick()) == [("2021a", "refresh_release", CHAIN)]


def test_a_name_that_is_not_utf_8_is_said_and_the_rest_goes_on(automated):
    folder = automated.put()
    (folder.parent / "caf\udce9").mkdir()
    assert "caf\\xe9: the name is not UTF-8" in automated.waits()
    assert asked(automated.settled_tick()) == [("2021a", "refresh_release", CHAIN)]


def test_a_release_that_is_taken_away_is_reported_and_nothing_is_deleted(automated):
    automated.put()
    automated.settled_tick()
    automated.make("2021a")
    shutil.rmtree(automated.raw / "somewhere")
    assert "2021a was taken away; what was made of it stays" in automated.waits()
    assert automated.instance.get_dynamic_partitions("release") == ["2021a"]
    assert automated.settings.lake.evaluation_report("2021a").is_dir()


def test_a_scan_of_what_did_not_change_reads_neither_releases_nor_relations(automated):
    automated.put()
    aliases = automated.raw / "tag_aliases.json"
    aliases.write_text(json.dumps({"antecedent_name": "bunny_ears", "consequent_name": "rabbit_ears"}) + "\n")
    automated.make("2021a")
    automated.settled_tick()
    watched = [automated.path("2021a", "tags"), aliases]
    for path in watched:
        os.utime(path, ns=(1, path.stat().st_mtime_ns))  # read long before it was written: the next read would show
    automated.settled_tick()
    if all(path.stat().st_atime_ns == 1 for path in watched):
        pytest.skip("this file system keeps no access times")
    for path in watched:
        os.utime(path, ns=(1, path.stat().st_mtime_ns))


def test_a_cursor_of_before_is_understood_and_one_that_is_none_starts_anew():
    text = json.dumps(
        {
            "agreed": "83a3b1fcfe1b3c47",
            "rests": {"2021a": {"look": {"/raw/V2021A_tags.tsv": [2063401, 1, 2, 5554184]}, "since": 1795734530.5}},
            "relations": [[False, {"/raw/tag_aliases.json": [8026, 1, 2, 5554188]}], ["6648a224", "e8f8f7a4"]],
            "gone": ["2020a"],
        }
    )
    assert json.loads(Cursor.parse(text).model_dump_json()) == json.loads(text)
    earlier = json.dumps({"moment": 1795734579.96165, "killed": ["3406b24f"], "gone": ["2020a"]})
    assert Cursor.parse(earlier) == Cursor(gone=["2020a"])
    for broken in (None, "", "[]", '{"agreed": []}'):
        assert Cursor.parse(broken) == Cursor()
