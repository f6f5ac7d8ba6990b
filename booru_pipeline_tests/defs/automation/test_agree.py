"""What people wipe, add and delete in the UI: after a scan it shows again what there is, as `booru status` does."""

import shutil

import dagster as dg
import pytest

from booru_pipeline.defs.assets.raw_release import RELEASES
from booru_pipeline.defs.automation.agree import taken_away
from booru_pipeline.defs.runs.process import process_tag
from booru_pipeline.defs.status import what_is_next
from booru_pipeline.lake.record import Record
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import find_releases

SHOWN = (Stage.TAG_TABLE, Stage.TRAINING_SHARDS)


@pytest.fixture
def loaded(automated):
    """A release of which tag table and shards are made by a run of the sensor's, and nothing else is asked for."""
    automated.put()
    (request,) = automated.settled_tick().run_requests
    load(automated, request)
    return automated


def load(automated, request):
    """Run what was asked for as far as the shards."""
    request = dg.RunRequest(
        partition_key=request.partition_key,
        job_name="load_only",
        run_config=request.run_config,
        asset_selection=request.asset_selection[:2],
        asset_check_keys=[],
        tags=request.tags,
    )
    return automated.execute(request)


def shown(automated, stage):
    """What the UI shows of an asset's partitions."""
    statuses = automated.instance.get_status_by_partition(dg.AssetKey(stage.value), partitions(automated), RELEASES)
    return {key: status.value for key, status in (statuses or {}).items() if status is not None}


def partitions(automated):
    return sorted(automated.instance.get_dynamic_partitions("release"))


def events(automated):
    return [
        len(automated.instance.fetch_materializations(dg.AssetKey(stage.value), limit=99).records) for stage in Stage
    ]


def test_what_was_wiped_is_recorded_again_with_its_version_and_once(loaded):
    tables = [dg.AssetKey(name) for name in ("raw_release", "tag_table", "training_shards")]
    loaded.instance.wipe_assets(tables)
    assert [shown(loaded, stage) for stage in SHOWN] == [{}] * 2
    said = what_is_next(loaded.settings, loaded.instance)
    assert "tag_table of 2021a is there, and the UI is told of it, at the next scan of `booru dev`" in said
    loaded.tick()
    assert [shown(loaded, stage) for stage in SHOWN] == [{"2021a": "MATERIALIZED"}] * 2
    assert loaded.instance.get_materialized_partitions(dg.AssetKey("raw_release")) == {"2021a"}
    (record,) = loaded.instance.fetch_materializations(dg.AssetKey("tag_table"), limit=9).records
    path = loaded.settings.lake.tag_table("2021a")
    assert record.asset_materialization.tags["dagster/data_version"] == loaded.settings.lake.record(path).key
    assert record.asset_materialization.metadata["path"].value == str(path)
    before = events(loaded)
    loaded.tick()
    assert events(loaded) == before
    assert not any("the UI" in line for line in what_is_next(loaded.settings, loaded.instance))


def test_a_partition_added_under_a_name_that_is_no_release_goes(loaded):
    loaded.instance.add_dynamic_partitions("release", ["2021 b", "2019z"])
    run = loaded.past(
        dg.RunRequest(partition_key="2019z", job_name="load_only"), dg.DagsterRunStatus.STARTED, **process_tag()
    )  # by a person: it may bring the release about
    assert taken_away(loaded.settings.lake, loaded.instance, find_releases(loaded.raw)) == ["2019z"]
    loaded.tick()
    assert partitions(loaded) == ["2019z", "2021a"]
    loaded.instance.report_run_canceled(run)
    loaded.tick()
    assert partitions(loaded) == ["2021a"]


def test_a_partition_of_which_something_was_made_stays_though_all_of_it_is_gone(loaded):
    shutil.rmtree(loaded.raw / "somewhere")
    shutil.rmtree(loaded.settings.lake.training_shards("2021a"))
    loaded.settings.lake.tag_table("2021a").unlink()
    assert "2021a was taken away" in loaded.waits()
    assert partitions(loaded) == ["2021a"]


@pytest.mark.parametrize("there", [True, False])
def test_a_deleted_partition_is_added_again_if_there_is_something_of_it(loaded, there):
    loaded.instance.delete_dynamic_partition("release", "2021a")
    if not there:
        shutil.rmtree(loaded.raw / "somewhere")  # the artifacts are there
    loaded.tick()
    assert partitions(loaded) == ["2021a"]
    assert [shown(loaded, stage) for stage in SHOWN] == [{"2021a": "MATERIALIZED"}] * 2


def test_a_failure_that_is_past_is_no_longer_shown_and_one_that_is_not_stays(loaded):
    tags = loaded.path("2021a", "tags")
    good = tags.read_bytes()
    tags.write_bytes(good + b"garbage\n" * 5000)
    (request,) = loaded.settled_tick().run_requests
    assert not load(loaded, request).success
    loaded.tick()
    assert shown(loaded, Stage.TAG_TABLE) == {"2021a": "FAILED"}  # stale, and the last attempt failed
    tags.write_bytes(good)  # what there was fits again
    loaded.settled_tick()
    assert [shown(loaded, stage) for stage in SHOWN] == [{"2021a": "MATERIALIZED"}] * 2


def put_trial(lake, trial):
    folder = lake.checkpoint(trial)
    folder.mkdir(parents=True)
    Record(stage="checkpoint", release="2021a", key=f"key of {trial}").write(folder)


def test_trials_agree_too_and_one_that_is_about_to_be_launched_is_left_alone(loaded):
    instance, lake = loaded.instance, loaded.settings.lake
    put_trial(lake, "2021a@1")  # kept when another took its place: nobody added a partition
    # Somebody types options for the first; the others cannot be trials.
    instance.add_dynamic_partitions("trial", ["2021a@slow", "lr5", "2019z@lr5", "2021a@2", "2021A@LR"])
    said = what_is_next(loaded.settings, instance)
    assert "2021a@1 is no partition in the UI, and becomes one, at the next scan of `booru dev`" in said
    assert any(line.startswith("partition lr5 names no trial") for line in said)
    loaded.tick()
    assert sorted(instance.get_dynamic_partitions("trial")) == ["2021a@1", "2021a@slow"]
    assert instance.get_materialized_partitions(dg.AssetKey("trial_checkpoint")) == {"2021a@1"}
    instance.wipe_assets([dg.AssetKey("trial_checkpoint")])
    instance.delete_dynamic_partition("trial", "2021a@1")
    loaded.tick()
    assert "2021a@1" in instance.get_dynamic_partitions("trial")
    assert instance.get_materialized_partitions(dg.AssetKey("trial_checkpoint")) == {"2021a@1"}
    assert partitions(loaded) == ["2021a"]
    assert not any("the UI" in line for line in what_is_next(loaded.settings, instance))
