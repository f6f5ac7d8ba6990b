"""Dagster runs that are asked to end or killed while they train, and the next ones."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import psutil

from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.defs.shell import make_plan, run_plan
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import read_record
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.training.states import newest_state, step_of
from booru_pipeline_tests.training.process import REPOSITORY, wait_until

BOORU = Path(sys.executable).with_name("booru")
TRAINING = {
    "BOORU_CHECKPOINT__MAX_STEPS": "160",
    "BOORU_CHECKPOINT__EPOCHS": "0",
    "BOORU_CHECKPOINT__LOG_INTERVAL_STEPS": "10",
    "BOORU_CHECKPOINT__STATE_INTERVAL_STEPS": "20",
    "BOORU_CHECKPOINT__WANDB_PROJECT": "",
    "BOORU_CHECKPOINT__THREADS": "1",
}


def run(raw: Path, home: Path, release: str = "2021a") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BOORU, "run", "--release", release, "--to", "checkpoint"],
        cwd=REPOSITORY,
        env={**os.environ, **TRAINING, "BOORU_RAW": str(raw), "BOORU_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def payloads_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "training.payload" in str(child.cmdline())]


def payload_of(process: "subprocess.Popen[str]") -> psutil.Process:
    (child,) = payloads_of(process)
    return child


def test_the_next_materialization_goes_on(raw, tmp_path):
    lake = Lake(tmp_path)
    settings = load_settings(raw=raw, home=tmp_path)
    run_plan(settings, make_plan(settings, ["2021a"], Stage.TOKENIZED_DATASET), print)
    states = lake.training_states("2021a")

    def step() -> int:
        found = [state for key in states.glob("*/") if (state := newest_state(states, key.name))]
        return step_of(found[0]) if found else 0

    # The payload alone is asked to end: the run fails with its words.
    first = run(raw, tmp_path)
    wait_until(step)
    payload_of(first).send_signal(signal.SIGTERM)
    said, _ = first.communicate()
    ended = step()
    message = f"interrupted after step {ended}; the next materialization goes on from there."
    assert first.returncode == 1
    assert said.splitlines()[-1].endswith(message)

    # The run is asked to end, by Ctrl-C here and in the same way by a cancelled run in the UI: it tells the payload.
    second = run(raw, tmp_path)
    wait_until(lambda: step() > ended)
    second.send_signal(signal.SIGINT)
    said, _ = second.communicate()
    assert second.returncode == 130
    assert f"going on from step {ended}, after" in said
    ended = step()
    assert not lake.checkpoint("2021a").exists()

    third = run(raw, tmp_path)
    said, _ = third.communicate()
    assert third.returncode == 0, said
    assert f"going on from step {ended}, after" in said
    assert read_record(lake.checkpoint("2021a"))
    assert not states.exists()
    entries = json.loads((lake.checkpoint("2021a") / "training_log.json").read_text())
    steps = [entry["step"] for entry in entries]
    assert steps == sorted(set(steps))
    assert steps[:5] == [10, 20, 30, 40, 50]
    with open_instance(lake) as instance:
        done, cancelled, failed = instance.get_runs()[:3]
        assert (failed.status, done.status) == (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS)
        logged = [entry.user_message for entry in instance.all_logs(cancelled.run_id)]
    assert any(f"interrupted after step {ended}; the next" in line for line in logged)


def test_a_second_training_waits_until_the_first_has_ended_or_died(raw, tmp_path):
    lake = Lake(tmp_path)
    first = run(raw, tmp_path)
    wait_until(lambda: list(lake.training_states("2021a").glob("*/step-*")))
    payload_of(first).suspend()  # or it might be done before the second comes to its own
    second = run(raw, tmp_path, "2021b")
    assert second.stdout is not None
    said = []
    for line in second.stdout:
        said.append(line)
        if "another training is under way in this home: waiting" in line:
            break
    assert lake.tokenized_dataset("2021b").is_dir(), said  # only the training waits
    assert not payloads_of(second)
    assert first.poll() is None
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    rest, _ = second.communicate()
    assert second.returncode == 0, rest
    assert read_record(lake.checkpoint("2021b"))
    assert not lake.checkpoint("2021a").exists()
