"""Training that is killed, asked to end, or finds the disk full, and then goes on."""

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from booru_pipeline.training.states import is_training, newest_state, step_of
from booru_pipeline_tests.training.process import job_in, wait_until

# 18 steps to a pass, so that states lie in the middle of one; dropout, so that random numbers matter.
STEPS = 120
OPTIONS = {
    "max_steps": STEPS,
    "batch_size": 16,
    "gradient_accumulation": 2,
    "dropout": 0.1,
    "schedule": "cosine",
    "log_interval_steps": 1,
    "state_interval_steps": 7,
}


@pytest.fixture(scope="module")
def in_one_go(made, forks, tmp_path_factory):
    job = job_in(tmp_path_factory.mktemp("straight"), made, OPTIONS, states=None)
    done = forks.run(job.write(job.output.parent / "job.json"))
    assert done.status == 0, done.said
    return job


def losses(job):
    entries = json.loads((job.output / "training_log.json").read_text())
    return [(entry["step"], entry["loss"], entry["learning_rate"]) for entry in entries]


def assert_same(one, other):
    """The same loss after every step, and the same weights."""
    assert [step for step, _, _ in losses(one)] == list(range(1, STEPS + 1))
    np.testing.assert_allclose(losses(one), losses(other), rtol=1e-5)
    first, second = (load_file(job.output / "model.safetensors") for job in (one, other))
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-5, atol=1e-6)


def saved(job) -> int:
    state = newest_state(job.states, job.key)
    return step_of(state) if state else 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_after_a_signal_it_goes_on_as_if_there_had_been_none(made, forks, in_one_go, tmp_path, number):
    job = job_in(tmp_path, made, OPTIONS)
    path = job.write(tmp_path / "job.json")
    with forks.start(path) as process:
        wait_until(lambda: saved(job) >= 7)
        os.kill(process.pid, number)
        assert process.status != 0
    step = saved(job)
    assert 0 < step < STEPS
    assert not job.output.exists()
    if number == signal.SIGKILL:
        assert step % 7 == 0
        assert process.status == -number
    else:
        assert process.status == 1
        message = f"interrupted after step {step}; the next materialization goes on from there."
        assert message in process.said.splitlines()[-1]
        assert job.problem.read_text() == message
    done = forks.run(path)
    assert done.status == 0, done.said
    assert f"going on from step {step}, after" in done.said
    assert_same(job, in_one_go)
    assert saved(job) == STEPS
    assert len(list((job.states / job.key).iterdir())) == job.options.states_kept


def test_a_state_is_safetensors_and_what_torch_reads_without_unpickling(made, forks, tmp_path):
    job = job_in(tmp_path, made, {**OPTIONS, "max_steps": 3, "states_kept": 1})
    done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 0, done.said
    state = newest_state(job.states, job.key)
    assert step_of(state) == 3
    assert {path.name for path in state.iterdir()} == {
        "model.safetensors",
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
        "trainer_state.json",
        "progress.json",
    }
    for name in ("optimizer.pt", "scheduler.pt"):
        assert torch.load(state / name, weights_only=True)


def test_a_state_of_another_key_is_removed_and_one_that_was_cut_short_is_passed_over(made, forks, tmp_path):
    job = job_in(tmp_path, made, {**OPTIONS, "max_steps": 21})
    path = job.write(tmp_path / "job.json")
    assert forks.run(path).status == 0
    newest = newest_state(job.states, job.key)
    (newest / "optimizer.pt").write_bytes((newest / "optimizer.pt").read_bytes()[:-1])
    done = forks.run(path)
    assert "going on from step 14," in done.said
    assert saved(job) == 21

    other = job.model_copy(update={"key": "other"})
    done = forks.run(other.write(path))
    assert done.status == 0, done.said
    assert "going on" not in done.said
    assert {entry.name for entry in job.states.iterdir()} == {"lock", "other"}


def test_states_of_other_processes_are_named(made, forks, tmp_path):
    job = job_in(tmp_path, made, {**OPTIONS, "max_steps": 3})
    assert forks.run(job.write(tmp_path / "job.json")).status == 0
    options = job.options.model_copy(update={"batch_size": 8})
    done = forks.run(job.model_copy(update={"options": options}).write(tmp_path / "job.json"))
    assert done.status == 1
    assert "is of a training by 1 processes with 32 posts a step, this one has 1 with 16" in done.said


def test_one_release_is_trained_by_one_at_a_time(made, forks, tmp_path):
    job = job_in(tmp_path, made, {**OPTIONS, "max_steps": 0, "time_limit_s": 600})
    path = job.write(tmp_path / "job.json")
    with forks.start(path):
        wait_until(lambda: saved(job))
        assert is_training(job.states)
        done = forks.run(path)
    assert not is_training(job.states)
    assert done.status == 1
    assert "another process is training this release now" in done.said


def test_a_signal_before_the_first_step_says_that_nothing_is_there(made, forks, tmp_path):
    job = job_in(tmp_path, made, OPTIONS)
    with forks.start(job.write(tmp_path / "job.json")) as process:
        while not takes_signals(process.pid):  # without a pause: the first step may come within tens of milliseconds
            pass
        os.kill(process.pid, signal.SIGTERM)
        assert process.status == 1
    said = "interrupted before there was a training state; the next materialization begins anew."
    assert process.said.splitlines()[-1].endswith(said)


def takes_signals(pid: int) -> bool:
    """Whether the process has a handler for SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@contextmanager
def small_disk(folder: Path, size: int):
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a small tmpfs as the disk")
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}"]
    if subprocess.run(["mount", *options, "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("needs a tmpfs as the disk, and mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_ends_neither_training_nor_the_state_there_is(made, forks, in_one_go, tmp_path):
    job = job_in(tmp_path, made, {**OPTIONS, "max_steps": 3})
    assert forks.run(job.write(tmp_path / "job.json")).status == 0
    needed = sum(path.stat().st_size for path in newest_state(job.states, job.key).iterdir())
    with small_disk(tmp_path / "disk", int(needed * 1.5)) as disk:
        job = job_in(tmp_path, made, OPTIONS, states=disk / "states", output=tmp_path / "all")
        done = forks.run(job.write(tmp_path / "job.json"))
        assert done.status == 0, done.said
        assert "the training state after step 14 could not be written to" in done.said
        assert "Training goes on; the state after step 7 stays. Free some space." in done.said
        assert_same(job, in_one_go)
        assert saved(job) == 7
        assert [path.name for path in (job.states / job.key).iterdir()] == ["step-000000007"]


def test_a_checkpoint_that_the_disk_has_no_room_for_leaves_the_state(made, forks, in_one_go, tmp_path):
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        job = job_in(tmp_path, made, OPTIONS, output=disk / "checkpoint")
        done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 1
    assert "cannot write the checkpoint to" in done.said.splitlines()[-1]
    assert "No space left" in done.said.splitlines()[-1]
    assert "Free some space. The training state stays" in done.said.splitlines()[-1]
    job = job.model_copy(update={"output": tmp_path / "checkpoint"})
    done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 0, done.said
    assert f"going on from step {STEPS}," in done.said
    assert_same(job, in_one_go)
