"""Dagster's history loses what nobody needs, and neither the UI nor `booru status` misses anything."""

import sqlite3
from contextlib import closing

import dagster as dg
import pytest

from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.resources import run_config
from booru_pipeline.defs.runs.history import PARTITION, TARGET
from booru_pipeline.defs.runs.instance import existing_instance, open_instance
from booru_pipeline.defs.runs.old_runs import find_old_runs, remove_runs
from booru_pipeline.defs.status import pipeline_status, what_is_next
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage


@pytest.fixture(scope="module")
def settings(raw, tmp_path_factory):
    """A home with real runs: both releases loaded, one again as a whole, then its stages one by one."""
    settings = load_settings(raw=raw, home=tmp_path_factory.mktemp("home"))
    definitions = build_defs(settings)
    job = definitions.resolve_job_def("load_only")
    with open_instance(settings.lake) as instance:
        instance.add_dynamic_partitions("release", ["2021a", "2021b"])
        for release, stages in (
            ("2021a", None),
            ("2021b", None),
            ("2021a", None),
            ("2021a", Stage.TAG_TABLE),
            ("2021a", Stage.TRAINING_SHARDS),
        ):
            part = job.get_subset(asset_selection={dg.AssetKey(stages.value)}) if stages else job
            done = part.execute_in_process(
                instance=instance, partition_key=release, run_config=run_config(settings), raise_on_error=True
            )
            assert done.success
    return settings


def ids(instance):
    """Of all runs, the oldest first."""
    return [run.run_id for run in instance.get_runs()][::-1]


def seen(settings):
    """What the UI and `booru status` show."""
    with existing_instance(settings.lake) as instance:
        made = {}
        for stage in (Stage.TAG_TABLE, Stage.TRAINING_SHARDS):
            for release in ("2021a", "2021b"):
                which = dg.AssetRecordsFilter(asset_key=dg.AssetKey(stage.value), asset_partitions=[release])
                (record,) = instance.fetch_materializations(which, limit=1).records
                logged = {entry.dagster_event_type for entry in instance.all_logs(record.run_id)}
                made[stage, release] = (record.run_id, record.storage_id, logged)
        statuses = [item.as_dict() for item in pipeline_status(settings, instance)]
        return made, statuses, what_is_next(settings, instance)


def test_young_runs_stay(settings):
    with existing_instance(settings.lake) as instance:
        assert find_old_runs(instance, settings.lake, days=1).ids == []


def test_what_made_the_present_artifacts_stays_and_nobody_misses_the_rest(settings):
    lake = settings.lake
    before = seen(settings)
    with existing_instance(lake) as instance:
        first, _, second, *_ = everyone = ids(instance)
        old = find_old_runs(instance, lake, days=0)
        assert old.ids == [second, first]
        assert old.bytes > 100_000
        gained = remove_runs(instance, lake, old)
        assert gained >= old.bytes
        assert ids(instance) == [run for run in everyone if run not in old.ids]
        assert find_old_runs(instance, lake, days=0).ids == []
    assert seen(settings) == before
    assert not [path for run in old.ids for path in lake.dagster_home.rglob(f"*{run}*")]
    with closing(sqlite3.connect(lake.dagster_home / "history" / "runs.db")) as connection:
        tagged = {run for (run,) in connection.execute("select distinct run_id from run_tags")}
    assert tagged.isdisjoint(old.ids)


def test_decisions_find_the_runs_they_go_by(tmp_path, raw):
    settings = load_settings(raw=raw, home=tmp_path)
    job = build_defs(settings).resolve_job_def("load_only")
    success, failure = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
    with open_instance(settings.lake) as instance:
        made = [
            instance.create_run_for_job(
                job, tags={PARTITION: release, **({TARGET: target} if target else {})}, status=state
            )
            for release, target, state in (
                ("2021a", "former", failure),
                ("2021a", "now", failure),
                ("2021a", None, success),
                ("2021a", None, success),
                ("2021a", "now", failure),  # the second attempt
                ("2021a", None, failure),
                ("2021a", None, dg.DagsterRunStatus.STARTED),
                ("2021b", None, failure),
            )
        ]
        old = find_old_runs(instance, settings.lake, days=0).ids
        assert [made.index(next(run for run in made if run.run_id == one)) for one in old] == [5, 2, 0]
