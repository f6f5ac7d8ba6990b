"""`booru forget`: a release that is gone is shown, and then removed for good, here, in the store and in the UI."""

import json
import shutil
import signal
import subprocess
import sys

import dagster as dg
import pytest

from booru_pipeline.defs.assets.raw_release import RELEASES
from booru_pipeline.defs.runs.erase import past_of
from booru_pipeline.defs.runs.history import runs_of
from booru_pipeline.defs.runs.instance import existing_instance, open_instance
from booru_pipeline.defs.runs.process import process_tag
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.lake.store import open_store
from booru_pipeline.pipeline.forgetting import traces_of
from booru_pipeline.pipeline.promoted import promote
from booru_pipeline.pipeline.retention import Removable, remove
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.sample import generate
from booru_pipeline_tests.cli.command import assert_refused, booru, environment


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Two releases, loaded, with a store; the first one's raw files are gone since."""
    folder = tmp_path_factory.mktemp("loaded")
    generate(folder / "booru_raw", releases=["2021a", "2021b"], posts=60)
    (folder / "booru.toml").write_text(f'[store]\nurl = "file://{folder}/store"\n')
    result = booru(folder, "run", "--to", "training_shards")
    assert result.returncode == 0, result.stderr
    (folder / "booru_raw" / "Safebooru 2021a").rename(folder / "aside")
    return folder


@pytest.fixture
def home(loaded, tmp_path):
    """A copy, with a store of its own."""
    for name in ("booru_raw", "booru_home", "store"):
        shutil.copytree(loaded / name, tmp_path / name)
    (tmp_path / "booru.toml").write_text(f'[store]\nurl = "file://{tmp_path}/store"\n')
    return tmp_path


def lake_of(folder):
    return Lake(folder / "booru_home", open_store(f"file://{folder}/store", {}))


def known(folder, release="2021a"):
    with existing_instance(lake_of(folder)) as instance:
        return past_of(instance, release)


def assert_forgotten(folder):
    assert traces_of(lake_of(folder), "2021a") == []
    assert not known(folder)
    files = [str(path.relative_to(folder)) for path in (folder / "store").rglob("*") if path.is_file()]
    assert not any("2021a" in file for file in files)
    assert_refused(booru(folder, "forget", "2021a", "--yes"), "nothing is known of '2021a'", "booru status")


def test_it_is_shown_and_removed_with_yes_alone_and_the_others_stay(home):
    (home / "booru_home" / "states" / "2021a").mkdir(parents=True)
    before = sorted(path for path in home.rglob("*") if path.is_file())
    shown = booru(home, "forget", "2021A")
    assert shown.returncode == 0, shown.stderr
    for text in ("warehouse/2021a.duckdb", "shards/2021a", "training states", "the partition, 1 runs", "--yes"):
        assert text in shown.stdout
    assert sorted(path for path in home.rglob("*") if path.is_file()) == before
    result = booru(home, "forget", "2021a", "--yes")
    assert result.returncode == 0, result.stderr
    assert "2021a is forgotten" in result.stdout
    assert_forgotten(home)
    lake = lake_of(home)
    assert lake.releases_with(lake.training_shards) == ["2021b"]
    with existing_instance(lake) as instance:
        assert runs_of(instance, "2021b")
        for stage in (Stage.TAG_TABLE, Stage.TRAINING_SHARDS):
            statuses = instance.get_status_by_partition(dg.AssetKey(stage.value), ["2021a", "2021b"], RELEASES)
            assert {key: status and status.value for key, status in statuses.items()} == {
                "2021a": None,
                "2021b": "MATERIALIZED",
            }
    status = json.loads(booru(home, "status", "--json").stdout)
    assert status["taken_away"] == []
    assert [item["release"] for item in status["releases"]] == ["2021b"]


def test_notes_of_what_retention_removed_go_too(home):
    lake = lake_of(home)
    shards = lake.training_shards("2021a")
    remove(lake, [Removable(shards, "shards", "a test's", 0, Stage.TRAINING_SHARDS, "2021a")])
    assert "note of a removed training shards" in booru(home, "forget", "2021a").stdout
    assert booru(home, "forget", "2021a", "--yes").returncode == 0
    assert_forgotten(home)


def test_a_release_that_would_be_made_again_and_a_name_that_nobody_knows_are_refused(home):
    assert_refused(booru(home, "forget", "2021b", "--yes"), "the raw files of 2021b are in", "Move its folder")
    for name in ("2019z", "..", "../booru_raw", "x\x1b[31m"):
        assert_refused(booru(home, "forget", name, "--yes"), "nothing is known of")
    shutil.rmtree(home / "booru_raw")  # perhaps it is not mounted
    assert_refused(booru(home, "forget", "2021a", "--yes"), "there is no folder of releases")


def test_the_partition_of_a_wrong_name_is_forgotten(home):
    with open_instance(lake_of(home)) as instance:
        instance.add_dynamic_partitions("release", ["2021 C"])
    assert booru(home, "forget", "2021 C", "--yes").returncode == 0
    assert not known(home, "2021 C")


def test_the_promoted_checkpoint_is_not_forgotten_in_passing(home):
    lake = lake_of(home)
    record = lake.record(lake.tag_table("2021a"))
    lake.checkpoint("2021a").mkdir(parents=True)
    record.write(lake.checkpoint("2021a"))
    promote(lake, "2021a", "by hand")
    assert_refused(booru(home, "forget", "2021a", "--yes"), "is promoted", "booru promote --none")
    assert lake.checkpoint("2021a").is_dir()
    assert booru(home, "promote", "--none").returncode == 0
    assert booru(home, "forget", "2021a", "--yes").returncode == 0
    assert_forgotten(home)


def test_nothing_is_removed_while_a_run_may_read_it(home):
    with open_instance(lake_of(home)) as instance:
        newest = instance.get_run_by_id(runs_of(instance, "2021b")[0].id)
        instance.add_run(
            newest.with_status(dg.DagsterRunStatus.STARTED)._replace(
                run_id="00000000-0000-4000-8000-000000000000", tags={**newest.tags, **process_tag()}
            )
        )
    assert_refused(booru(home, "forget", "2021a", "--yes"), "run 00000000 of refresh_release is under way")


# The command, killed before the step of that number: each artifact, each run, the partition.
KILLED = """
import os, signal
from booru_pipeline.cli import main
import dagster as dg
from booru_pipeline.pipeline import forgetting
calls = iter(range(99))
def fatal(function):
    def call(*arguments, **named):
        if next(calls) == int(os.environ["AFTER"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call
forgetting.discard = fatal(forgetting.discard)
dg.DagsterInstance.delete_run = fatal(dg.DagsterInstance.delete_run)
dg.DagsterInstance.delete_dynamic_partition = fatal(dg.DagsterInstance.delete_dynamic_partition)
main()
"""


@pytest.mark.parametrize("after", range(4))
def test_killed_at_each_step_it_is_still_known_and_finished_by_the_next_one(home, after):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "forget", "2021a", "--yes"],
        cwd=home,
        env={**environment(), "AFTER": str(after)},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert booru(home, "forget", "2021a").returncode == 0
    assert booru(home, "forget", "2021a", "--yes").returncode == 0
    assert_forgotten(home)


def put_trial(folder, trial):
    lake = lake_of(folder)
    lake.checkpoint(trial).mkdir(parents=True)
    Record(stage="checkpoint", release=trial.partition("@")[0], key=trial).write(lake.checkpoint(trial))
    with open_instance(lake) as instance:
        instance.add_dynamic_partitions("trial", [trial])


def test_a_trial_is_forgotten_alone_though_its_release_is_there(home):
    for trial in ("2021b@lr5", "2021b@lr6"):
        put_trial(home, trial)
    result = booru(home, "forget", "LR5", "--yes")
    assert result.returncode == 0, result.stderr
    lake = lake_of(home)
    assert lake.trials_with(lake.checkpoint) == ["2021b@lr6"]
    assert lake.releases_with(lake.training_shards) == ["2021a", "2021b"]
    assert not known(home, "2021b@lr5")
    promote(lake, "lr6", "by hand")
    assert_refused(booru(home, "forget", "2021b@lr6", "--yes"), "2021b@lr6 is promoted")
    assert lake.trials_with(lake.checkpoint) == ["2021b@lr6"]


def test_trials_of_a_release_go_with_it(home):
    put_trial(home, "2021a@lr5")
    shown = booru(home, "forget", "2021a")
    assert "checkpoints/2021a@lr5" in shown.stdout
    assert booru(home, "forget", "2021a", "--yes").returncode == 0
    assert_forgotten(home)
    assert not known(home, "2021a@lr5")
