"""Several processes on the CPU (gloo) share a training, and it is the training of one."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file

from booru_pipeline.training.sampler import LengthGroupedSampler, WholeBatches
from booru_pipeline.training.states import newest_state, step_of
from booru_pipeline_tests.training.process import PAYLOAD, REPOSITORY, command, job_in, wait_until

STEPS = 60
OPTIONS = {"max_steps": STEPS, "log_interval_steps": 1, "state_interval_steps": 5, "threads": 2}
ALONE = {"batch_size": 32}
SHARED = {"batch_size": 8, "gradient_accumulation": 2, "processes": 2}


@pytest.fixture(scope="module")
def alone(made, forks, tmp_path_factory):
    job = job_in(tmp_path_factory.mktemp("alone"), made, {**OPTIONS, **ALONE})
    done = forks.run(job.write(job.output.parent / "job.json"))
    assert done.status == 0, done.said
    return job


def losses(job):
    entries = json.loads((job.output / "training_log.json").read_text())
    return {entry["step"]: entry["loss"] for entry in entries}


def assert_same(job, alone):
    """The same loss after each step, and the same weights, but for the order in which floats are added."""
    for step, loss in losses(job).items():
        assert loss == pytest.approx(losses(alone)[step], rel=1e-3), step
    first, second = (load_file(one.output / "model.safetensors") for one in (job, alone))
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-2, atol=2e-3)


def test_two_processes_under_torchrun_then_under_accelerate_give_what_one_does(made, alone, tmp_path):
    job = job_in(tmp_path, made, {**OPTIONS, **SHARED})
    path = job.write(tmp_path / "job.json")
    launcher = subprocess.Popen(command(path), cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: newest_state(job.states, job.key))
        assert len(psutil.Process(launcher.pid).children()) == 2
        launcher.send_signal(signal.SIGINT)
        _, said = launcher.communicate()
    finally:
        launcher.kill()
    assert launcher.returncode != 0
    step = step_of(newest_state(job.states, job.key))
    assert step < STEPS
    assert job.problem.read_text() == f"interrupted after step {step}; the next materialization goes on from there.", (
        said
    )
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--module", PAYLOAD]
    done = subprocess.run([*launch, str(path)], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"going on from step {step}," in done.stderr
    assert done.stderr.count("ready after") == 1
    assert list(losses(job)) == list(range(1, STEPS + 1))
    assert_same(job, alone)
    facts = json.loads((job.output / "provenance.json").read_text())["training"]
    assert (facts["processes"], facts["posts_per_step"]) == (2, 32)


def test_the_processes_end_when_who_started_the_training_is_killed(made, tmp_path):
    from booru_pipeline_tests.training.test_payload import messages, pipes_env

    job = job_in(tmp_path, made, {**OPTIONS, **SHARED, "max_steps": 0, "time_limit_s": 600})
    start = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    parent = subprocess.Popen(
        [sys.executable, "-c", start, *command(job.write(tmp_path / "job.json"))],
        cwd=REPOSITORY,
        env=pipes_env(tmp_path),
        stderr=subprocess.DEVNULL,
    )
    family = []
    try:
        wait_until(lambda: any("posts/s" in json.dumps(message) for message in messages(tmp_path)))
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) == 3
        parent.kill()
        parent.wait()
        wait_until(lambda: not any(process.is_running() for process in family))
    finally:
        parent.kill()
        for process in family:
            if process.is_running():
                os.kill(process.pid, signal.SIGKILL)


class Posts:
    """As much of a dataset as the sampler reads."""

    epoch = 3

    def __init__(self, posts):
        self.sizes = np.random.default_rng(0).integers(2, 40, posts)

    def __len__(self):
        return len(self.sizes)

    def lengths(self, index):
        return self.sizes[index]


def test_every_step_has_whole_batches_and_no_post_comes_twice():
    posts = Posts(100)
    order = list(WholeBatches(LengthGroupedSampler(posts, 32, seed=0), len(posts), 32))
    assert len(order) == len(set(order)) == 96


def test_fewer_posts_than_a_batch_are_repeated():
    posts = Posts(5)
    order = list(WholeBatches(LengthGroupedSampler(posts, 32, seed=0), len(posts), 32))
    assert len(order) == 32
    assert np.bincount(order).min() >= 6
