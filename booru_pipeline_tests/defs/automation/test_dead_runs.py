"""Runs that were killed: what becomes of them, and how often they are asked for again."""

import time

import dagster as dg
import duckdb

from booru_pipeline.defs.runs.instance import bury_dead_runs, process_tag
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
    automated.instance.wipe_assets([shards])  # as if the next run had published it, and were about to say so
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


def test_a_run_that_died_before_it_said_where_it_is_does_not_block_its_release(automated):
    automated.put()
    (request,) = automated.settled_tick().run_requests
    run = automated.past(request, dg.DagsterRunStatus.STARTED)
    _began(automated, run, 1000)
    assert bury_dead_runs(automated.instance) == [run.run_id]
