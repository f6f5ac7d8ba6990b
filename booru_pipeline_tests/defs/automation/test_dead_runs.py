"""Runs that were killed: what becomes of them, and how often they are asked for again."""

import time
import uuid

import dagster as dg
import duckdb
from dagster._core.events import JobFailureData, RunFailureReason

from booru_pipeline.defs.runs.history import Outcome, runs_of
from booru_pipeline.defs.runs.process import bury_dead_runs, process_tag
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline_tests.defs.automation.automated_home import CHAIN, stages


def _gone():
    """The tag of a process that was here and is not any more: ours, had it begun at another time."""
    host, number, _ = process_tag()[".dagster/booru_process"].split(":")
    return f"{host}:{number}:1"


def _began(automated, run, seconds_ago):
    start = dg.DagsterEvent("PIPELINE_START", run.job_name)
    automated.instance.report_dagster_event(start, run.run_id, timestamp=time.time() - seconds_ago)


def test_what_a_killed_run_published_is_recorded_and_checked_before_anything_builds_on_it(automated):
    automated.put()
    automated.tick()
    (request,) = automated.tick().run_requests
    load = dg.RunRequest(
        partition_key="2021a",
        job_name="load_only",
        run_config=request.run_config,
        asset_selection=request.asset_selection[:2],
        asset_check_keys=[],
        tags=request.tags,
    )
    assert automated.execute(load).success
    shards = dg.AssetKey(Stage.TRAINING_SHARDS.value)
    automated.instance.wipe_assets([shards])  # published, and killed before it said so
    automated.instance.report_run_failed(automated.past(request, dg.DagsterRunStatus.STARTED))
    with duckdb.connect(str(automated.settings.lake.tag_table("2021a"))) as connection:
        connection.execute(
            "DELETE FROM tags WHERE fid = (SELECT min(fid) FROM tags)"
        )  # what was published is not sound
    (again,) = automated.tick().run_requests
    assert automated.instance.get_materialized_partitions(shards) == {"2021a"}
    assert stages(again) == CHAIN[2:]
    result = automated.execute(again)
    assert [item.check_name for item in result.get_asset_check_evaluations() if not item.passed] == ["nothing_is_lost"]
    assert result.get_asset_materialization_events() == []
    assert len(automated.instance.fetch_materializations(shards, limit=9).records) == 1
    automated.past(again, dg.DagsterRunStatus.STARTED, **process_tag())
    automated.instance.wipe_assets([shards])  # as if this run had published it, and were about to say so
    automated.tick()
    assert not automated.instance.fetch_materializations(shards, limit=9).records


def test_a_killed_run_is_asked_for_again_so_many_times(automated):
    automated.change(automation={"attempts": 2})
    automated.put()
    (first,) = automated.settled_tick().run_requests
    dead = automated.past(first, dg.DagsterRunStatus.STARTED, **{**process_tag(), ".dagster/booru_process": _gone()})
    (second,) = automated.tick().run_requests
    assert automated.instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE
    assert second.run_key == f"{first.run_key}:2"
    automated.past(second, dg.DagsterRunStatus.FAILURE, **{"booru/interrupted": "the training"})
    assert "2021a was interrupted 2 times" in automated.waits()


def test_only_kills_count_as_attempts_and_only_those_since_it_was_made(automated):
    automated.change(automation={"attempts": 2})
    automated.put()
    (request,) = automated.settled_tick().run_requests
    for outcome in ("killed", "made", "overtaken", "killed"):
        tags = {"killed": {"booru/interrupted": "the training"}, "overtaken": {"booru/overtaken": "by 2020a"}}
        status = dg.DagsterRunStatus.SUCCESS if outcome == "made" else dg.DagsterRunStatus.FAILURE
        automated.past(request, status, **tags.get(outcome, {}))
    (again,) = automated.tick().run_requests
    assert again.run_key == f"{request.run_key}:5"
    automated.past(again, dg.DagsterRunStatus.FAILURE, **{"booru/interrupted": "the training"})
    assert "2021a was interrupted 2 times" in automated.waits()


def test_a_kill_after_a_stage_was_made_is_no_reason_to_give_up(automated):
    automated.change(automation={"attempts": 2})
    automated.put()
    (request,) = automated.settled_tick().run_requests
    for stage in CHAIN[:4]:
        automated.past(request, dg.DagsterRunStatus.FAILURE, **{"booru/interrupted": "the machine"})
        automated.make("2021a", stage)
        (request,) = automated.tick().run_requests
    for _ in range(2):
        automated.past(request, dg.DagsterRunStatus.FAILURE, **{"booru/interrupted": "the training"})
    assert "2021a was interrupted 2 times at checkpoint" in automated.waits()


def test_living_runs_are_not_buried(automated):
    automated.put()
    (request,) = automated.settled_tick().run_requests
    ((tag, name),) = process_tag().items()
    host, number, began = name.split(":")
    for moved in (-1, 0, 1):  # the clock, by a second
        run = automated.past(request, dg.DagsterRunStatus.STARTED, **{tag: f"{host}:{number}:{int(began) + moved}"})
        _began(automated, run, 1000)
    _began(automated, automated.past(request, dg.DagsterRunStatus.STARTED), 10)  # it has not come to say where
    assert bury_dead_runs(automated.instance) == []


def test_a_dead_run_is_told_from_one_under_way_before_anybody_buries_it(automated):
    automated.put()
    (request,) = automated.settled_tick().run_requests
    dead = automated.past(request, dg.DagsterRunStatus.STARTED, **{".dagster/booru_process": _gone()})
    assert [run.outcome for run in runs_of(automated.instance, "2021a")] == [Outcome.INTERRUPTED]
    assert automated.instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.STARTED
    automated.past(request, dg.DagsterRunStatus.STARTED, **process_tag())
    assert runs_of(automated.instance, "2021a")[0].outcome is Outcome.UNDER_WAY


def test_a_run_that_is_executed_again_inherits_neither_the_process_nor_the_fate_of_the_first(automated):
    automated.put()
    (request,) = automated.settled_tick().run_requests
    fate = {"booru/interrupted": "the training", ".dagster/booru_process": _gone()}
    first = automated.past(request, dg.DagsterRunStatus.FAILURE, **fate)
    again = automated.instance.add_run(  # as the UI does it: with all tags of the first
        first.with_status(dg.DagsterRunStatus.STARTED)._replace(
            run_id=str(uuid.uuid4()), parent_run_id=first.run_id, root_run_id=first.run_id
        )
    )
    assert bury_dead_runs(automated.instance) == []
    newest = runs_of(automated.instance, "2021a")[0]
    assert (newest.id, newest.outcome, newest.asked_by) == (again.run_id, Outcome.UNDER_WAY, None)
    failed = dg.DagsterEvent(
        "PIPELINE_FAILURE",
        again.job_name,
        event_specific_data=JobFailureData(error=None, failure_reason=RunFailureReason.STEP_FAILURE),
    )
    automated.instance.report_dagster_event(failed, again.run_id)
    assert runs_of(automated.instance, "2021a")[0].outcome is Outcome.FAILED


def test_a_run_that_died_before_it_said_where_it_is_does_not_block_its_release(automated):
    automated.put()
    (request,) = automated.settled_tick().run_requests
    run = automated.past(request, dg.DagsterRunStatus.STARTED)
    _began(automated, run, 1000)
    assert bury_dead_runs(automated.instance) == [run.run_id]
