"""Limits that a person gave once, and settings for one command: what is stale afterwards, and in whose words."""

import json
import shutil

import pytest

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import read_record
from booru_pipeline_tests.cli.command import assert_refused, booru

BY_TIME = {"BOORU_CHECKPOINT__MAX_STEPS": "0"}
NOTE = "time_limit_s ended its training after 2 s and is 60 s (preset tiny) now; `booru run --release 2021a --retrain`"


@pytest.fixture(scope="module")
def cut_short(workplace, tmp_path_factory):
    """A copy of the workplace whose release was trained for two seconds, by a flag."""
    folder = tmp_path_factory.mktemp("cut") / "short"
    shutil.copytree(workplace, folder)
    result = booru(folder, "run", "--time-limit", "2", **BY_TIME)
    assert result.returncode == 0, result.stderr
    return folder


def test_a_time_limit_given_once_makes_nothing_stale_and_is_said(cut_short):
    again = booru(cut_short, "run", **BY_TIME)
    assert again.returncode == 0
    assert "2021a  nothing to do" in again.stdout
    assert NOTE in again.stdout
    status = booru(cut_short, "status", "--check", **BY_TIME)
    assert status.returncode == 0
    assert NOTE in status.stdout
    found = json.loads(booru(cut_short, "status", "--json", **BY_TIME).stdout)["releases"][0]["stages"]
    assert NOTE in found["checkpoint"]["note"]
    assert {stage["state"] for stage in found.values()} == {"fresh"}
    for limits in (["--time-limit", "1"], ["--set", "tag_table.max_reject_share=0.3", "--set", "checkpoint.threads=3"]):
        assert "nothing to do" in booru(cut_short, "run", "--dry-run", *limits, **BY_TIME).stdout


def test_retrain_trains_again_what_is_fresh(cut_short, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(cut_short, folder)
    dry = booru(folder, "run", "--retrain", "--dry-run", **BY_TIME).stdout
    assert dry.splitlines() == [
        "2021a  checkpoint is stale: it is to be trained again",
        "2021a  evaluation_report is stale: checkpoint changed",
        "2021a  tag_audit is stale: evaluation_report changed",
    ]
    lake = Lake(folder / "booru_home")
    before = read_record(lake.checkpoint("2021a"))
    result = booru(folder, "run", "--retrain", "--time-limit", "1", **BY_TIME)
    assert result.returncode == 0, result.stderr
    after = read_record(lake.checkpoint("2021a"))
    assert (before.options["time_limit_s"], after.options["time_limit_s"]) == (2, 1)
    report = read_record(lake.evaluation_report("2021a"))
    assert report.inputs["checkpoint"] == after.key
    assert read_record(lake.tag_audit("2021a")).inputs["evaluation_report"] == report.key


def test_status_and_the_dry_run_say_the_same(cut_short):
    for change in (["--set", "checkpoint.learning_rate=0.005"], ["--set", "training_shards.salt=other"]):
        dry = booru(cut_short, "run", "--dry-run", *change, **BY_TIME).stdout.splitlines()
        status = booru(cut_short, "status", "--check", *change, **BY_TIME)
        said = [line for line in status.stdout.splitlines() if line.startswith("2021a  ") and " is stale: " in line]
        assert dry == said
        assert status.returncode == 1
    assert "2021a  checkpoint is stale: learning_rate was 0.02 (preset tiny), is 0.005" in "\n".join(
        booru(cut_short, "run", "--dry-run", "--set", "checkpoint.learning_rate=0.005", **BY_TIME).stdout.splitlines()
    )


def test_set_is_for_one_command_and_wins(workplace):
    shown = booru(workplace, "settings", "checkpoint", "--set", "checkpoint.max_steps=7").stdout
    assert "max_steps = 7  (--set)" in shown
    assert "max_steps = 60  (BOORU_CHECKPOINT__MAX_STEPS)" in booru(workplace, "settings", "checkpoint").stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        ([], {"BOORU_CHEKPOINT__LEARNING_RATE": "3"}, "Did you mean BOORU_CHECKPOINT__LEARNING_RATE?"),
        (["--set", "checkpoint.learning_raet=3"], {}, "--set: there is no setting checkpoint.learning_raet."),
        (["--time-limit", "1h"], {}, "--time-limit: setting checkpoint.time_limit_s is '1h'; allowed: number >= 0."),
        (
            ["--to", "tag_table", "--set", "tokenized_dataset.encoding=pieces"],
            {"BOORU_CHECKPOINT__OBJECTIVE": "present"},
            "the present objective needs one token a label, and the dataset's captions are pieces",
        ),
        (["--preset", "t5-small"], {"BOORU_CHECKPOINT__WIDTH": "64"}, "width is for tiny"),
        (["--set", "checkpoint.epochs=0", "--time-limit", "0"], {**BY_TIME}, "training would never end"),
        (["--set", "checkpoint.span_corruption=1"], {}, "the present objective corrupts no spans"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(copy, arguments, variables, says):
    assert_refused(booru(copy, "run", *arguments, **variables), says)
    assert not (copy / "booru_home").exists()
