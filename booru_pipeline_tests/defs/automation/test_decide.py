"""Which runs are asked for, in which order, and what is left to people."""

import json
import os
import shutil

import dagster as dg
import pytest

from booru_pipeline.defs.automation.decide import decide
from booru_pipeline.defs.automation.failed_runs import describe_failure
from booru_pipeline.defs.status import pipeline_status
from booru_pipeline.pipeline.retention import find_removable, remove
from booru_pipeline.pipeline.settings import RetentionOptions
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import find_releases
from booru_pipeline_tests.defs.automation.automated_home import CHAIN, LOADING, asked


def test_six_releases_at_the_first_start_load_at_once_and_their_chains_follow_in_order(automated):
    keys = ["2021a", "2021b", "2021c", "2022a", "2022b", "2022aa"]
    order = ["2021a", "2021b", "2021c", "2022a", "2022b", "2022aa"]
    for key in keys:
        automated.put("2021a", key)
    tick = automated.settled_tick()
    assert asked(tick) == [
        ("2021a", "refresh_release", CHAIN),
        *[(key, "load_only", LOADING) for key in order[1:]],
    ]
    priorities = [int(request.tags["dagster/priority"]) for request in tick.run_requests]
    assert priorities[1:] == sorted(priorities[1:], reverse=True)
    assert min(priorities[1:]) >= 0 >= priorities[0]
    for request in tick.run_requests[1:3]:
        assert automated.execute(request).success
    running = automated.past(tick.run_requests[0], dg.DagsterRunStatus.STARTED)
    loading = [automated.past(request, dg.DagsterRunStatus.STARTED) for request in tick.run_requests[3:]]
    waits = automated.waits()
    assert f"2021a is being made by run {running.run_id[:8]}" in waits
    assert "2021b waits for the training shards of 2021a" in waits
    automated.make("2021a", Stage.TRAINING_SHARDS)
    assert asked(automated.tick()) == [(key, "refresh_release", CHAIN[2:]) for key in ("2021b", "2021c")]
    for key, run in zip(order[3:], loading, strict=True):
        automated.make(key, Stage.TRAINING_SHARDS)
        automated.instance.report_run_failed(run)  # the rest of it is not looked at: the shards are there
    tick = automated.tick()
    assert asked(tick) == [(key, "refresh_release", CHAIN[2:]) for key in order[1:]]
    priorities = [int(request.tags["dagster/priority"]) for request in tick.run_requests]
    assert priorities == sorted(priorities, reverse=True)


def test_a_chain_of_checkpoints_has_no_gap(automated):
    automated.change(checkpoint={"strategy": "continue"})
    for key in ("2021a", "2021b", "2021c"):
        automated.put("2021a", key)
        automated.make(key, Stage.TRAINING_SHARDS)
    tick = automated.settled_tick()
    assert asked(tick) == [("2021a", "refresh_release", CHAIN[2:])]
    automated.instance.report_run_failed(automated.past(tick.run_requests[0], dg.DagsterRunStatus.STARTED))
    automated.make("2021a", Stage.CHECKPOINT)
    assert asked(automated.tick()) == [
        ("2021a", "refresh_release", CHAIN[5:]),
        ("2021b", "refresh_release", CHAIN[2:]),
    ]
    automated.make("2021a")
    automated.make("2021b")
    assert asked(automated.tick()) == [("2021c", "refresh_release", CHAIN[2:])]


def test_a_corrected_file_other_options_and_other_aliases_are_noticed_and_nothing_else_is(automated):
    automated.put()
    automated.put("2021b")
    for key in ("2021a", "2021b"):
        automated.make(key)
    assert "2 of 2 releases are made and fresh" in automated.settled_tick().skip_reason.skip_message
    os.utime(automated.path("2021b", "tags"))
    assert not automated.settled_tick().run_requests
    original = automated.path("2021b", "tags").read_bytes()
    automated.path("2021b", "tags").write_bytes(original.replace(b"\t0\t0\tGENERAL\n", b"\t7\t0\tGENERAL\n", 1))
    tick = automated.settled_tick()
    assert asked(tick) == [("2021b", "refresh_release", CHAIN)]
    assert "2021b" in tick.run_requests[0].run_key
    corrected = tick.run_requests[0].run_key
    automated.past(tick.run_requests[0], dg.DagsterRunStatus.SUCCESS)
    automated.make("2021b")
    automated.path("2021b", "tags").write_bytes(original)
    tick = automated.settled_tick()  # back to what it was: neither run is this one
    assert asked(tick) == [("2021b", "refresh_release", CHAIN)]
    assert tick.run_requests[0].run_key != corrected
    automated.make("2021b")
    automated.change(evaluation_report={"seed": 7})
    assert asked(automated.tick()) == [(key, "refresh_release", CHAIN[5:]) for key in ("2021a", "2021b")]
    automated.change()
    (automated.raw / "tag_aliases.json").write_text(
        json.dumps({"antecedent_name": "bunny_ears", "consequent_name": "rabbit_ears"}) + "\n"
    )
    assert asked(automated.tick()) == [("2021a", "refresh_release", CHAIN[1:]), ("2021b", "load_only", [CHAIN[1]])]


def test_what_failed_is_not_asked_for_again_until_it_changed_and_says_why(automated):
    automated.put()
    path = automated.path("2021a", "tags")
    path.write_text(path.read_text().replace("TAG_CAT", "TAG_DOG", 1))
    (request,) = automated.settled_tick().run_requests
    result = automated.execute(request)
    assert not result.success
    waits = automated.waits()
    assert f"2021a failed at raw_release (run {result.run_id[:8]})" in waits
    assert "column TAG_CAT is missing" in waits
    path.write_text(path.read_text().replace("TAG_DOG", "TAG_CAT", 1))
    (again,) = automated.settled_tick().run_requests
    assert again.run_key != request.run_key


def test_a_failed_load_of_a_waiting_release_is_not_tried_in_its_chain(automated):
    automated.put()
    automated.put("2021b")
    path = automated.path("2021b", "tags")
    path.write_text(path.read_text().replace("TAG_CAT", "TAG_DOG", 1))
    chain, load = automated.settled_tick().run_requests
    automated.past(chain, dg.DagsterRunStatus.SUCCESS)
    assert not automated.execute(load).success
    automated.make("2021a")
    assert "2021b failed at raw_release" in automated.waits()


def test_a_run_that_an_earlier_release_overtakes_is_asked_for_again_after_it(automated):
    automated.put("2021b")
    (request,) = automated.settled_tick().run_requests
    automated.put("2021a")  # while the run is under way
    result = automated.execute(request)
    message = describe_failure(automated.instance, automated.instance.get_run_by_id(result.run_id))
    assert message["text"].startswith("release 2021b was overtaken at vocabulary: release 2021b builds on 2021a")
    tick = automated.settled_tick()
    assert asked(tick) == [("2021a", "refresh_release", CHAIN)]
    automated.past(tick.run_requests[0], dg.DagsterRunStatus.SUCCESS)
    automated.make("2021a")
    tick = automated.tick()
    assert asked(tick) == [("2021b", "refresh_release", CHAIN[2:])]
    assert tick.run_requests[0].run_key == f"{request.run_key}:2"


def test_a_run_that_took_too_long_or_was_canceled_is_left_to_people(automated):
    automated.change(automation={"run_timeout_s": 100})
    automated.put()
    (request,) = automated.settled_tick().run_requests
    assert request.tags["dagster/max_runtime"] == "100"
    automated.past(request, dg.DagsterRunStatus.CANCELED)
    assert "2021a was canceled" in automated.waits()


def test_a_removed_artifact_is_left_to_people_and_to_the_schedule(automated):
    automated.put()
    (request,) = automated.settled_tick().run_requests
    automated.past(request, dg.DagsterRunStatus.SUCCESS)
    automated.make("2021a")
    shutil.rmtree(automated.settings.lake.evaluation_report("2021a"))
    assert "has been changed or removed since" in automated.waits()


def test_what_a_person_made_with_other_options_stays(automated):
    automated.put()
    (request,) = automated.settled_tick().run_requests
    by_hand = dg.RunRequest(partition_key="2021a", job_name=request.job_name)
    automated.past(by_hand, dg.DagsterRunStatus.SUCCESS)
    automated.change(checkpoint={"seed": 5})
    automated.make("2021a")
    automated.change()
    assert "made by hand with other options (checkpoint is stale: seed was 5, is 0)" in automated.waits()


@pytest.mark.parametrize("by", ["the sensor", "a person"])
def test_what_was_cut_short_by_a_limit_of_time_is_not_made_again(automated, by):
    automated.put()
    automated.change(checkpoint={"time_limit_s": 10})
    (request,) = automated.settled_tick().run_requests
    asked_for = request if by == "the sensor" else dg.RunRequest(partition_key="2021a", job_name=request.job_name)
    automated.past(asked_for, dg.DagsterRunStatus.SUCCESS)
    automated.make("2021a")
    (automated.settings.lake.checkpoint("2021a") / "provenance.json").write_text('{"training": {"seconds": 10.1}}')
    for limit in (None, 3600, 0, 5):
        automated.change(checkpoint={"time_limit_s": limit, "log_interval_s": 1}, tag_table={"max_reject_share": 0.3})
        assert automated.waits() == "1 of 1 releases are made and fresh"


def test_what_failed_is_tried_again_with_another_limit(automated):
    """So that a load which max_reject_share refused is made once that is raised."""
    automated.put()
    (request,) = automated.settled_tick().run_requests
    automated.past(request, dg.DagsterRunStatus.FAILURE, **{"dagster/failure_reason": "STEP_FAILURE"})
    assert "2021a failed" in automated.waits()
    automated.change(tag_table={"max_reject_share": 0.3})
    (again,) = automated.tick().run_requests
    assert again.run_key != request.run_key


def test_the_sensor_gives_the_reasons_that_status_gives(automated):
    automated.put()
    automated.make("2021a")
    automated.change(checkpoint={"learning_rate": 0.005})
    relations = automated.settings.tag_relations.fingerprints
    (request,) = decide(automated.settings, automated.instance, find_releases(automated.raw), {}, relations).requests
    (status,) = pipeline_status(automated.settings, automated.instance)
    first = next(item for item in status.stages if not item.is_fresh)
    assert request.why == str(first) == "checkpoint is stale: learning_rate was 0.02 (preset tiny), is 0.005"


def test_what_a_person_made_with_other_options_is_not_made_again_after_clean(automated):
    for key in ("2021a", "2021b"):
        automated.put("2021a", key)
    (request,) = [item for item in automated.settled_tick().run_requests if item.partition_key == "2021a"]
    by_hand = dg.RunRequest(partition_key="2021a", job_name=request.job_name)
    automated.past(by_hand, dg.DagsterRunStatus.SUCCESS)
    automated.change(checkpoint={"seed": 5})
    automated.make("2021a")
    automated.change()
    automated.make("2021b")
    items = find_removable(automated.settings.lake, RetentionOptions(checkpoints=1, reports=1), None)
    assert {item.release for item in items} == {"2021a"}
    remove(automated.settings.lake, items)
    assert (
        "2021a was made by hand with other options (checkpoint is missing: removed, and seed was 5, is 0)"
        in automated.waits()
    )


def test_what_a_person_made_with_other_options_can_be_gone_on_from(automated):
    automated.put()
    (request,) = automated.settled_tick().run_requests
    by_hand = dg.RunRequest(partition_key="2021a", job_name=request.job_name)
    automated.past(by_hand, dg.DagsterRunStatus.SUCCESS)
    automated.change(checkpoint={"strategy": "continue", "seed": 5})
    automated.make("2021a", Stage.TOKENIZED_DATASET)
    automated.put("2021a", "2021b")
    automated.make("2021b", Stage.TRAINING_SHARDS)
    automated.change(checkpoint={"strategy": "continue"})
    (request,) = automated.settled_tick().run_requests  # what is missing was not made another way
    assert asked(dg.SensorResult(run_requests=[request])) == [("2021a", "refresh_release", CHAIN[4:])]
    automated.change(checkpoint={"strategy": "continue", "seed": 5})
    automated.make("2021a")
    automated.change(checkpoint={"strategy": "continue"})
    tick = automated.tick()
    assert asked(tick) == [("2021b", "refresh_release", CHAIN[2:])]


def test_dated_releases_wait_for_the_shards_of_hand_tagged_ones(automated):
    automated.change(checkpoint={"strategy": "continue"})
    (automated.raw / "walfie.sql").write_text("insert into files values (1);")
    automated.put()
    automated.make("2021a", Stage.TRAINING_SHARDS)
    tick = automated.settled_tick()
    assert asked(tick) == [("walfie", "refresh_release", LOADING)]
    automated.past(tick.run_requests[0], dg.DagsterRunStatus.STARTED)
    assert "2021a waits for the training shards of walfie" in automated.waits()
