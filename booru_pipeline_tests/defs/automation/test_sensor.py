"""The sensor and the schedule, look after look, on the project's own kind of instance.

Loads are run; of longer chains the records are put in place of the artifacts, which is all that a look reads.
"""

import json
import os
import shutil
import time

import dagster as dg
import duckdb
import pytest

from booru_pipeline.defs.automation.failed_runs import describe_failure
from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.runs.instance import bury_dead_runs, open_instance, process_tag
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.pipeline.freshness import expected_records
from booru_pipeline.pipeline.retention import find_removable, remove
from booru_pipeline.pipeline.settings import RetentionOptions, load_settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import find_release

CHAIN = list(Stage)
LOADING = [Stage.TAG_TABLE, Stage.TRAINING_SHARDS]


class World:
    """A raw folder of real files, a home, an instance, and the graph on them."""

    def __init__(self, raw, folder, instance):
        self.source, self.raw, self.instance = raw, folder / "raw", instance
        self.raw.mkdir()
        self.home = folder / "home"
        self.change()
        self.cursor = None

    def change(self, automation=None, **settings):
        automation = {"rest_s": 0, **(automation or {})}  # two looks are enough, however soon
        self.settings = load_settings(raw=self.raw, home=self.home, automation=automation, **settings)

    def put(self, source="2021a", key=None):
        """Put a release there; under another key its content is the source's."""
        key = key or source
        folder = self.raw / "somewhere" / f"Safebooru {key}"
        folder.mkdir(parents=True, exist_ok=True)
        for table in ("files", "tags"):
            file = self.source / f"Safebooru {source}" / f"V{source.upper()}_{table}.tsv"
            shutil.copyfile(file, folder / f"V{key.upper()}_{table}.tsv")
        return folder

    def path(self, key, table):
        return self.raw / "somewhere" / f"Safebooru {key}" / f"V{key.upper()}_{table}.tsv"

    def tick(self):
        """One look of the sensor, its effects applied as the daemon applies them."""
        sensor = next(item for item in build_defs(self.settings).sensors if item.name == "new_releases")
        tick = sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        self.cursor = tick.cursor
        for event in tick.asset_events:
            self.instance.report_runless_asset_event(event)
        for request in tick.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return tick

    def waits(self):
        """What a look that asks for nothing says."""
        tick = self.tick()
        assert not tick.run_requests
        return tick.skip_reason.skip_message

    def settled_tick(self):
        self.tick()
        return self.tick()

    def execute(self, request, **more):
        """Run what was asked for, as asked for."""
        job = build_defs(self.settings).resolve_job_def(request.job_name)
        subset = job.get_subset(
            asset_selection=set(request.asset_selection), asset_check_selection=set(request.asset_check_keys)
        )
        return subset.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            run_config=request.run_config,
            tags={**request.tags, **more},
            raise_on_error=False,
        )

    def make(self, key, until=Stage.EVALUATION_REPORT):
        """Put the records that a chain leaves, in place of the artifacts."""
        records = self.expected(key)
        for stage in until.upto():
            put_record(self.settings.lake, stage, key, records[stage])

    def expected(self, key):
        """The records that a release's artifacts would have if they were made now."""
        sources = self.settings.sources(find_release(self.raw, key), self.settings.tag_relations.fingerprints)
        return expected_records(key, sources, self.settings)

    def past(self, request, status, **tags):
        """A run as the daemon would have created it, that has come to an end without running."""
        run = dg.DagsterInstance.create_run_for_job(
            self.instance,
            build_defs(self.settings).resolve_job_def(request.job_name),
            asset_selection=frozenset(request.asset_selection) if request.asset_selection else None,
            tags={**request.tags, "dagster/partition": request.partition_key, **tags},
            status=status,
        )
        return run


def put_record(lake, stage, key, record: Record):
    path = stage.path(lake, key)
    shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    record.write(path)


@pytest.fixture
def world(raw, tmp_path):
    with open_instance(Lake(tmp_path / "home")) as instance:
        yield World(raw, tmp_path, instance)


def asked(tick):
    return [(request.partition_key, request.job_name, stages(request)) for request in tick.run_requests]


def stages(request):
    named = {key.to_user_string() for key in request.asset_selection}
    return [stage for stage in CHAIN if stage.value in named]


def test_a_release_is_read_at_the_second_look_and_asked_for_whole_as_one_run(world):
    world.put()
    first = world.tick()
    assert not first.run_requests
    assert "release 2021a is new" in first.skip_reason.skip_message
    assert world.instance.get_dynamic_partitions("release") == []
    second = world.tick()
    assert asked(second) == [("2021a", "refresh_release", CHAIN)]
    assert world.instance.get_dynamic_partitions("release") == ["2021a"]
    (request,) = second.run_requests
    assert request.run_key == f"2021a:{world.expected('2021a')[Stage.EVALUATION_REPORT].key}"
    graph = build_defs(world.settings).resolve_asset_graph()
    assert set(request.asset_check_keys) == {
        key for key in graph.asset_check_keys if key.name != "bytes_are_what_was_loaded"
    }
    assert world.instance.get_materialized_partitions(dg.AssetKey("raw_release")) == {"2021a"}
    assert [item.run_key for item in world.tick().run_requests] == [request.run_key]  # which the daemon knows by now


def test_it_waits_until_files_have_been_at_rest_for_some_time(world, monkeypatch):
    world.change(automation={"rest_s": 15})
    world.put()
    now = time.time()
    world.tick()

    def later(seconds):
        monkeypatch.setattr(time, "time", lambda: now + seconds)

    later(10)
    assert "once its files have been the same for 15 s" in world.waits()
    later(14)
    with world.path("2021a", "tags").open("a") as file:
        file.write("\n")
    assert "still being written since the last look" in world.waits()
    later(20)
    assert "once its files have been the same for 15 s" in world.waits()
    later(30)
    assert asked(world.tick()) == [("2021a", "refresh_release", CHAIN)]


def test_it_waits_for_what_still_grows_is_downloaded_empty_or_not_readable(world):
    folder = world.put()
    world.tick()
    with world.path("2021a", "tags").open("a") as file:
        file.write("\n")
    assert "still being written since the last look" in world.waits()
    (folder / "xyz.part").touch()
    assert "still being downloaded" in world.waits()
    (folder / "xyz.part").unlink()
    world.path("2021a", "files").rename(folder / "aside")
    world.path("2021a", "files").touch()
    assert "V2021A_files.tsv of release 2021a is empty yet" in world.settled_tick().skip_reason.skip_message
    world.path("2021a", "files").unlink()
    assert "V2021A_files.tsv (or .tsv.gz) is missing" in world.waits()
    world.path("2021a", "files").symlink_to("nowhere")  # what root cannot read either
    assert "cannot be read" in world.waits()
    world.path("2021a", "files").unlink()
    (folder / "aside").rename(world.path("2021a", "files"))
    assert asked(world.settled_tick()) == [("2021a", "refresh_release", CHAIN)]


def test_six_releases_at_the_first_start_load_at_once_and_their_chains_follow_in_order(world):
    keys = ["2021a", "2021b", "2021c", "2022a", "2022b", "2022aa"]
    order = ["2021a", "2021b", "2021c", "2022a", "2022b", "2022aa"]
    for key in keys:
        world.put("2021a", key)
    tick = world.settled_tick()
    assert asked(tick) == [
        ("2021a", "refresh_release", CHAIN),
        *[(key, "load_only", LOADING) for key in order[1:]],
    ]
    priorities = [int(request.tags["dagster/priority"]) for request in tick.run_requests]
    assert priorities[1:] == sorted(priorities[1:], reverse=True)
    assert min(priorities[1:]) >= 0 >= priorities[0]
    for request in tick.run_requests[1:3]:
        assert world.execute(request).success
    running = world.past(tick.run_requests[0], dg.DagsterRunStatus.STARTED)
    loading = [world.past(request, dg.DagsterRunStatus.STARTED) for request in tick.run_requests[3:]]
    waits = world.waits()
    assert f"2021a is being made by run {running.run_id[:8]}" in waits
    assert "2021b waits for the training shards of 2021a" in waits
    world.make("2021a", Stage.TRAINING_SHARDS)
    assert asked(world.tick()) == [(key, "refresh_release", CHAIN[2:]) for key in ("2021b", "2021c")]
    for key, run in zip(order[3:], loading, strict=True):
        world.make(key, Stage.TRAINING_SHARDS)
        world.instance.report_run_failed(run)  # the rest of it is not looked at: the shards are there
    tick = world.tick()
    assert asked(tick) == [(key, "refresh_release", CHAIN[2:]) for key in order[1:]]
    priorities = [int(request.tags["dagster/priority"]) for request in tick.run_requests]
    assert priorities == sorted(priorities, reverse=True)


def test_a_chain_of_checkpoints_has_no_gap(world):
    world.change(checkpoint={"strategy": "continue"})
    for key in ("2021a", "2021b", "2021c"):
        world.put("2021a", key)
        world.make(key, Stage.TRAINING_SHARDS)
    tick = world.settled_tick()
    assert asked(tick) == [("2021a", "refresh_release", CHAIN[2:])]
    world.instance.report_run_failed(world.past(tick.run_requests[0], dg.DagsterRunStatus.STARTED))
    world.make("2021a", Stage.CHECKPOINT)
    assert asked(world.tick()) == [
        ("2021a", "refresh_release", CHAIN[5:]),
        ("2021b", "refresh_release", CHAIN[2:]),
    ]
    world.make("2021a")
    world.make("2021b")
    assert asked(world.tick()) == [("2021c", "refresh_release", CHAIN[2:])]


def test_a_corrected_file_other_options_and_other_aliases_are_noticed_and_nothing_else_is(world):
    world.put()
    world.put("2021b")
    for key in ("2021a", "2021b"):
        world.make(key)
    assert "2 of 2 releases are made and fresh" in world.settled_tick().skip_reason.skip_message
    os.utime(world.path("2021b", "tags"))
    assert not world.settled_tick().run_requests
    original = world.path("2021b", "tags").read_bytes()
    world.path("2021b", "tags").write_bytes(original.replace(b"\t0\t0\tGENERAL\n", b"\t7\t0\tGENERAL\n", 1))
    tick = world.settled_tick()
    assert asked(tick) == [("2021b", "refresh_release", CHAIN)]
    assert "2021b" in tick.run_requests[0].run_key
    corrected = tick.run_requests[0].run_key
    world.past(tick.run_requests[0], dg.DagsterRunStatus.SUCCESS)
    world.make("2021b")
    world.path("2021b", "tags").write_bytes(original)
    tick = world.settled_tick()  # back to what it was: neither run is this one
    assert asked(tick) == [("2021b", "refresh_release", CHAIN)]
    assert tick.run_requests[0].run_key != corrected
    world.make("2021b")
    world.change(evaluation_report={"seed": 7})
    assert asked(world.tick()) == [(key, "refresh_release", CHAIN[5:]) for key in ("2021a", "2021b")]
    world.change()
    (world.raw / "tag_aliases.json").write_text(
        json.dumps({"antecedent_name": "bunny_ears", "consequent_name": "rabbit_ears"}) + "\n"
    )
    assert asked(world.tick()) == [("2021a", "refresh_release", CHAIN[1:]), ("2021b", "load_only", [CHAIN[1]])]


def test_what_failed_is_not_asked_for_again_until_it_changed_and_says_why(world):
    world.put()
    path = world.path("2021a", "tags")
    path.write_text(path.read_text().replace("TAG_CAT", "TAG_DOG", 1))
    (request,) = world.settled_tick().run_requests
    result = world.execute(request)
    assert not result.success
    waits = world.waits()
    assert f"2021a failed at raw_release (run {result.run_id[:8]})" in waits
    assert "column TAG_CAT is missing" in waits
    path.write_text(path.read_text().replace("TAG_DOG", "TAG_CAT", 1))
    (again,) = world.settled_tick().run_requests
    assert again.run_key != request.run_key


def test_a_failed_load_of_a_waiting_release_is_not_tried_in_its_chain(world):
    world.put()
    world.put("2021b")
    path = world.path("2021b", "tags")
    path.write_text(path.read_text().replace("TAG_CAT", "TAG_DOG", 1))
    chain, load = world.settled_tick().run_requests
    world.past(chain, dg.DagsterRunStatus.SUCCESS)
    assert not world.execute(load).success
    world.make("2021a")
    assert "2021b failed at raw_release" in world.waits()


def test_a_run_that_an_earlier_release_overtakes_is_asked_for_again_after_it(world):
    world.put("2021b")
    (request,) = world.settled_tick().run_requests
    world.put("2021a")  # while the run is under way
    result = world.execute(request)
    message = describe_failure(world.instance, world.instance.get_run_by_id(result.run_id))
    assert message["text"].startswith("release 2021b was overtaken at vocabulary: release 2021b builds on 2021a")
    tick = world.settled_tick()
    assert asked(tick) == [("2021a", "refresh_release", CHAIN)]
    world.past(tick.run_requests[0], dg.DagsterRunStatus.SUCCESS)
    world.make("2021a")
    tick = world.tick()
    assert asked(tick) == [("2021b", "refresh_release", CHAIN[2:])]
    assert tick.run_requests[0].run_key == f"{request.run_key}:2"


def test_a_killed_run_is_asked_for_again_so_many_times(world):
    world.change(automation={"attempts": 2})
    world.put()
    (first,) = world.settled_tick().run_requests
    dead = world.past(first, dg.DagsterRunStatus.STARTED, **{**process_tag(), ".dagster/booru_process": _gone()})
    (second,) = world.tick().run_requests
    assert world.instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE
    assert second.run_key == f"{first.run_key}:2"
    world.past(second, dg.DagsterRunStatus.FAILURE, **{"booru/interrupted": "the training"})
    assert "2021a was interrupted 2 times" in world.waits()


def test_what_a_killed_run_published_is_recorded_and_checked_before_anything_builds_on_it(world):
    world.put()
    world.tick()
    (request,) = world.tick().run_requests
    load = dg.RunRequest(
        partition_key="2021a",
        job_name="load_only",
        run_config=request.run_config,
        asset_selection=request.asset_selection[:2],
        asset_check_keys=[],
        tags=request.tags,
    )
    assert world.execute(load).success
    shards = dg.AssetKey(Stage.TRAINING_SHARDS.value)
    world.instance.wipe_assets([shards])  # published, and killed before it said so
    world.instance.report_run_failed(world.past(request, dg.DagsterRunStatus.STARTED))
    with duckdb.connect(str(world.settings.lake.tag_table("2021a"))) as connection:
        connection.execute(
            "DELETE FROM tags WHERE fid = (SELECT min(fid) FROM tags)"
        )  # what was published is not sound
    (again,) = world.tick().run_requests
    assert world.instance.get_materialized_partitions(shards) == {"2021a"}
    assert stages(again) == CHAIN[2:]
    result = world.execute(again)
    assert [item.check_name for item in result.get_asset_check_evaluations() if not item.passed] == ["nothing_is_lost"]
    assert result.get_asset_materialization_events() == []
    assert len(world.instance.fetch_materializations(shards, limit=9).records) == 1
    world.instance.wipe_assets([shards])  # as if the next run had published it, and were about to say so
    world.tick()
    assert not world.instance.fetch_materializations(shards, limit=9).records


def test_only_kills_count_as_attempts_and_only_those_since_it_was_made(world):
    world.change(automation={"attempts": 2})
    world.put()
    (request,) = world.settled_tick().run_requests
    for outcome in ("killed", "made", "overtaken", "killed"):
        tags = {"killed": {"booru/interrupted": "the training"}, "overtaken": {"booru/overtaken": "by 2020a"}}
        status = dg.DagsterRunStatus.SUCCESS if outcome == "made" else dg.DagsterRunStatus.FAILURE
        world.past(request, status, **tags.get(outcome, {}))
    (again,) = world.tick().run_requests
    assert again.run_key == f"{request.run_key}:5"
    world.past(again, dg.DagsterRunStatus.FAILURE, **{"booru/interrupted": "the training"})
    assert "2021a was interrupted 2 times" in world.waits()


def test_a_kill_after_a_stage_was_made_is_no_reason_to_give_up(world):
    world.change(automation={"attempts": 2})
    world.put()
    (request,) = world.settled_tick().run_requests
    for stage in CHAIN[:4]:
        world.past(request, dg.DagsterRunStatus.FAILURE, **{"booru/interrupted": "the machine"})
        world.make("2021a", stage)
        (request,) = world.tick().run_requests
    for _ in range(2):
        world.past(request, dg.DagsterRunStatus.FAILURE, **{"booru/interrupted": "the training"})
    assert "2021a was interrupted 2 times at checkpoint" in world.waits()


def _gone():
    """The tag of a process that was here and is not any more: ours, had it begun at another time."""
    host, number, _ = process_tag()[".dagster/booru_process"].split(":")
    return f"{host}:{number}:1"


def _began(world, run, seconds_ago):
    start = dg.DagsterEvent("PIPELINE_START", run.job_name)
    world.instance.report_dagster_event(start, run.run_id, timestamp=time.time() - seconds_ago)


def test_living_runs_are_not_buried(world):
    world.put()
    (request,) = world.settled_tick().run_requests
    ((tag, name),) = process_tag().items()
    host, number, began = name.split(":")
    for moved in (-1, 0, 1):  # the clock, by a second
        run = world.past(request, dg.DagsterRunStatus.STARTED, **{tag: f"{host}:{number}:{int(began) + moved}"})
        _began(world, run, 1000)
    _began(world, world.past(request, dg.DagsterRunStatus.STARTED), 10)  # it has not come to say where
    assert bury_dead_runs(world.instance) == []


def test_a_run_that_died_before_it_said_where_it_is_does_not_block_its_release(world):
    world.put()
    (request,) = world.settled_tick().run_requests
    run = world.past(request, dg.DagsterRunStatus.STARTED)
    _began(world, run, 1000)
    assert bury_dead_runs(world.instance) == [run.run_id]


def test_a_run_that_took_too_long_or_was_canceled_is_left_to_people(world):
    world.change(automation={"run_timeout_s": 100})
    world.put()
    (request,) = world.settled_tick().run_requests
    assert request.tags["dagster/max_runtime"] == "100"
    world.past(request, dg.DagsterRunStatus.CANCELED)
    assert "2021a was canceled" in world.waits()


def test_a_removed_artifact_is_left_to_people_and_to_the_schedule(world):
    world.put()
    (request,) = world.settled_tick().run_requests
    world.past(request, dg.DagsterRunStatus.SUCCESS)
    world.make("2021a")
    shutil.rmtree(world.settings.lake.evaluation_report("2021a"))
    assert "has been changed or removed since" in world.waits()


def test_what_a_person_made_with_other_options_stays(world):
    world.put()
    (request,) = world.settled_tick().run_requests
    by_hand = dg.RunRequest(partition_key="2021a", job_name=request.job_name)
    world.past(by_hand, dg.DagsterRunStatus.SUCCESS)
    world.change(checkpoint={"seed": 5})
    world.make("2021a")
    world.change()
    assert "made by hand with other options (checkpoint: seed was 5, is 0)" in world.waits()


def test_what_a_person_made_with_other_options_is_not_made_again_after_clean(world):
    for key in ("2021a", "2021b"):
        world.put("2021a", key)
    (request,) = [item for item in world.settled_tick().run_requests if item.partition_key == "2021a"]
    by_hand = dg.RunRequest(partition_key="2021a", job_name=request.job_name)
    world.past(by_hand, dg.DagsterRunStatus.SUCCESS)
    world.change(checkpoint={"seed": 5})
    world.make("2021a")
    world.change()
    world.make("2021b")
    items = find_removable(world.settings.lake, RetentionOptions(checkpoints=1, reports=1), None)
    assert {item.release for item in items} == {"2021a"}
    remove(world.settings.lake, items)
    assert "2021a was made by hand with other options (checkpoint: removed, and seed was 5, is 0)" in world.waits()


def test_what_a_person_made_with_other_options_can_be_gone_on_from(world):
    world.put()
    (request,) = world.settled_tick().run_requests
    by_hand = dg.RunRequest(partition_key="2021a", job_name=request.job_name)
    world.past(by_hand, dg.DagsterRunStatus.SUCCESS)
    world.change(checkpoint={"strategy": "continue", "seed": 5})
    world.make("2021a", Stage.TOKENIZED_DATASET)
    world.put("2021a", "2021b")
    world.make("2021b", Stage.TRAINING_SHARDS)
    world.change(checkpoint={"strategy": "continue"})
    (request,) = world.settled_tick().run_requests  # what is missing was not made another way
    assert asked(dg.SensorResult(run_requests=[request])) == [("2021a", "refresh_release", CHAIN[4:])]
    world.change(checkpoint={"strategy": "continue", "seed": 5})
    world.make("2021a")
    world.change(checkpoint={"strategy": "continue"})
    tick = world.tick()
    assert asked(tick) == [("2021b", "refresh_release", CHAIN[2:])]


def test_dated_releases_wait_for_the_shards_of_hand_tagged_ones(world):
    world.change(checkpoint={"strategy": "continue"})
    (world.raw / "walfie.sql").write_text("insert into files values (1);")
    world.put()
    world.make("2021a", Stage.TRAINING_SHARDS)
    tick = world.settled_tick()
    assert asked(tick) == [("walfie", "refresh_release", LOADING)]
    world.past(tick.run_requests[0], dg.DagsterRunStatus.STARTED)
    assert "2021a waits for the training shards of walfie" in world.waits()


def test_a_release_that_is_taken_away_is_reported_and_nothing_is_deleted(world):
    world.put()
    world.settled_tick()
    world.make("2021a")
    shutil.rmtree(world.raw / "somewhere")
    assert "2021a was taken away; what was made of it stays" in world.waits()
    assert world.instance.get_dynamic_partitions("release") == ["2021a"]
    assert world.settings.lake.evaluation_report("2021a").is_dir()


def test_a_look_at_what_did_not_change_reads_neither_releases_nor_relations(world):
    world.put()
    aliases = world.raw / "tag_aliases.json"
    aliases.write_text(json.dumps({"antecedent_name": "bunny_ears", "consequent_name": "rabbit_ears"}) + "\n")
    world.make("2021a")
    world.settled_tick()
    watched = [world.path("2021a", "tags"), aliases]
    for path in watched:
        os.utime(path, ns=(1, path.stat().st_mtime_ns))  # read long before it was written: the next read would show
    world.settled_tick()
    if all(path.stat().st_atime_ns == 1 for path in watched):
        pytest.skip("this file system keeps no access times")
    for path in watched:
        os.utime(path, ns=(1, path.stat().st_mtime_ns))


def schedule_requests(world):
    (schedule,) = build_defs(world.settings).schedules
    return schedule(dg.build_schedule_context(instance=world.instance))


def test_the_schedule_verifies_all_evaluates_the_newest_and_asks_again_for_what_failed(world, monkeypatch):
    for key in ("2021a", "2021b", "2021c"):
        world.put("2021a", key)
    for key in ("2021a", "2021b"):
        world.make(key)
    world.make("2021c", Stage.TOKENIZED_DATASET)
    (request,) = world.settled_tick().run_requests
    world.past(request, dg.DagsterRunStatus.FAILURE, **{"dagster/failure_reason": "STEP_FAILURE"})
    assert "2021c failed" in world.waits()
    assert "less than two minutes ago" in schedule_requests(world).skip_message
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + int(3600e9))
    requests = {item.partition_key: item for item in schedule_requests(world)}
    assert {key: stages(item) for key, item in requests.items()} == {
        "2021a": [],
        "2021b": [Stage.EVALUATION_REPORT],
        "2021c": CHAIN[4:],
    }
    for item in requests.values():
        assert "bytes_are_what_was_loaded" in {check.name for check in item.asset_check_keys}
    assert requests["2021c"].tags["booru/target"] == request.tags["booru/target"]
    assert requests["2021c"].run_key == f"{request.run_key}:2"


def test_the_schedule_verifies_and_evaluates_what_a_person_made_another_way(world, monkeypatch):
    world.put()
    (request,) = world.settled_tick().run_requests
    world.past(dg.RunRequest(partition_key="2021a", job_name=request.job_name), dg.DagsterRunStatus.SUCCESS)
    world.change(checkpoint={"seed": 5})
    world.make("2021a")
    world.change()
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + int(3600e9))
    (item,) = schedule_requests(world)
    assert stages(item) == [Stage.EVALUATION_REPORT]
    assert "bytes_are_what_was_loaded" in {check.name for check in item.asset_check_keys}


def test_no_cron_no_schedule_and_another_cron_is_taken(tmp_path):
    assert build_defs(load_settings(home=tmp_path, automation={"cron": ""})).schedules == []
    (schedule,) = build_defs(load_settings(home=tmp_path, automation={"cron": "30 2 * * *"})).schedules
    assert schedule.cron_schedule == "30 2 * * *"


def test_bytes_that_changed_silently_are_found_by_reading_them(world):
    world.put()
    world.make("2021a")
    world.settled_tick()
    cache = world.settings.lake.raw_fingerprints
    known = json.loads(cache.read_text())
    path = str(world.path("2021a", "tags").resolve())
    known[path][-1] = "0" * 64  # as if the bytes had been others when they were read
    cache.write_text(json.dumps(known))
    world.make("2021a")
    job = build_defs(world.settings).resolve_job_def("catch_up")
    (check,) = [key for key in job.asset_layer.asset_graph.asset_check_keys if key.name == "bytes_are_what_was_loaded"]
    result = job.get_subset(asset_selection=set(), asset_check_selection={check}).execute_in_process(
        instance=world.instance, partition_key="2021a"
    )
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert asked(world.tick()) == [("2021a", "refresh_release", CHAIN)]
