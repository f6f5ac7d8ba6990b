"""`booru run` that a person or a supervisor ends: real signals, to the process group as a terminal sends them."""

import os
import shutil
import signal
import subprocess
import time

import dagster as dg
import pytest

from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import read_record
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline_tests.cli.command import BOORU, environment
from booru_pipeline_tests.training.process import wait_until

TRAINING = {
    "BOORU_CHECKPOINT__MAX_STEPS": "200",
    "BOORU_CHECKPOINT__EPOCHS": "0",
    "BOORU_CHECKPOINT__LOG_INTERVAL_STEPS": "10",
    "BOORU_CHECKPOINT__STATE_INTERVAL_STEPS": "20",
    "BOORU_CHECKPOINT__THREADS": "1",
}


@pytest.fixture
def to_train(workplace, tmp_path):
    """A copy of the workplace in which everything up to the checkpoint is made."""
    folder = tmp_path / "to_train"
    shutil.copytree(
        workplace, folder, ignore=shutil.ignore_patterns("checkpoints", "reports", "audits", "promoted.json", "dagster")
    )
    return folder


def start(folder, *arguments):
    return subprocess.Popen(
        [BOORU, *(arguments or ("run", "--to", "checkpoint"))],
        cwd=folder,
        env={**environment(), **TRAINING},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(process, text):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    pytest.fail(f"it ended before {text!r}: {''.join(lines)}")


def ended(process):
    """What it said after that, and its status."""
    said, _ = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert "dagster" not in said.lower()
    return said.splitlines(), process.returncode


def outcomes(folder):
    with open_instance(Lake(folder / "booru_home")) as instance:
        return [run.status for run in instance.get_runs()]


def test_a_training_that_is_stopped_says_at_which_step_and_goes_on_from_there(to_train):
    """By Ctrl-C, then as a supervisor does it; the third run comes to its end."""
    steps = []
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = start(to_train)
        started = read_until(process, "  step ")
        assert not steps or any(f"going on from step {steps[-1]}, after" in line for line in started)
        os.killpg(process.pid, number)
        said, code = ended(process)
        assert code == status
        *before, notice, stopped = said
        assert all("  step " in line for line in before)  # what was on its way
        assert notice == "stopping; once more ends it at once"
        steps.append(int(stopped.split()[3].strip(";")))
        assert stopped == f"stopped at step {steps[-1]}; `booru run` goes on from there"
    assert outcomes(to_train) == [dg.DagsterRunStatus.CANCELED] * 2
    assert steps[0] < steps[1]
    said, code = ended(start(to_train))
    assert code == 0, said
    assert any(f"going on from step {steps[1]}, after" in line for line in said)
    assert read_record(Lake(to_train / "booru_home").checkpoint("2021a"))


@pytest.mark.parametrize("to", ["its process", "all processes"])
def test_a_stage_that_is_stopped_is_named_and_leaves_nothing_half_written(copy, to):
    process = start(copy)
    read_until(process, "vocabulary …")
    (os.kill if to == "its process" else os.killpg)(process.pid, signal.SIGINT)
    said, code = ended(process)
    assert code == 130
    assert said[-1] == "stopped in vocabulary; nothing is half-written; `booru run` goes on"
    lake = Lake(copy / "booru_home")
    for stage in Stage:
        path = stage.path(lake, "2021a")
        assert read_record(path) if stage in Stage.TRAINING_SHARDS.upto() else not path.exists()
    assert outcomes(copy) == [dg.DagsterRunStatus.CANCELED]


def test_the_second_signal_ends_it_at_once(to_train):
    import psutil

    process = start(to_train)
    read_until(process, "step ")
    children = psutil.Process(process.pid).children(recursive=True)
    (payload,) = (child for child in children if "training.payload" in " ".join(child.cmdline()))
    payload.suspend()  # so that the first one is waited for
    os.killpg(process.pid, signal.SIGINT)
    read_until(process, "stopping")
    time.sleep(1)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    said, code = ended(process)
    assert (said, code) == ([], 130)
    wait_until(lambda: not payload.is_running() or payload.status() == psutil.STATUS_ZOMBIE)
    assert outcomes(to_train) == [dg.DagsterRunStatus.CANCELED]
