"""What a person sees of a training: lines, wandb, and the end of one that goes wrong."""

import json
import os
import re
import signal

import pytest

from booru_pipeline.training.progress import JUDGED_STEPS, Diverged, Guard, Progress
from booru_pipeline.training.states import newest_state, step_of
from booru_pipeline_tests.training.process import job_in, wait_until


def test_each_line_has_what_one_wants_to_know(made, forks, tmp_path):
    job = job_in(tmp_path, made, {"max_steps": 20, "batch_size": 60, "log_interval_steps": 5, "warmup_steps": 10})
    done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 0, done.said
    entries = json.loads((job.output / "training_log.json").read_text())
    assert [entry["step"] for entry in entries] == [5, 10, 15, 20]
    assert [entry["epoch"] for entry in entries] == [0.5, 1.0, 1.5, 2.0]
    assert all(entry["tokens_per_s"] > entry["posts_per_s"] > 0 for entry in entries)
    highest = max(entry["learning_rate"] for entry in entries)
    assert entries[0]["learning_rate"] < highest > entries[-1]["learning_rate"]
    (line,) = [line for line in done.said.splitlines() if "step 5 of 20" in line]
    for word in ("epoch 0.5", "loss ", "learning rate ", "posts/s", "tokens/s", " s left"):
        assert word in line


def test_a_line_names_the_limit_that_ends_the_training(made, forks, tmp_path):
    options = {"max_steps": 1_000_000, "epochs": 0, "time_limit_s": 3, "log_interval_s": 0.5, "batch_size": 60}
    done = forks.run(job_in(tmp_path, made, options).write(tmp_path / "job.json"))
    assert done.status == 0, done.said
    lines = [line for line in done.said.splitlines() if "loss " in line]
    assert lines
    assert all(re.search(r"step \d+, \d of 3 s, epoch", line) for line in lines), lines
    assert " left" not in done.said


def test_wandb_continues_the_run_it_had(made, forks, tmp_path):
    options = {"max_steps": 120, "state_interval_steps": 7, "wandb_project": "p", "wandb_artifact": True}
    job = job_in(tmp_path, made, options, wandb_folder=tmp_path / "wandb", provenance={"release": "2021a"})
    path = job.write(tmp_path / "job.json")
    with forks.start(path) as process:
        state = wait_until(lambda: newest_state(job.states, job.key))
        os.kill(process.pid, signal.SIGTERM)
        assert process.status == 1
    name = Progress.read(state).wandb
    done = forks.run(path)
    assert done.status == 0, done.said
    assert "wandb did not" not in done.said
    runs = list((tmp_path / "wandb" / "wandb").glob("offline-run-*"))
    assert len(runs) == 2
    assert {run.name.rpartition("-")[2] for run in runs} == {name}
    recorded = (json.loads((job.output / "provenance.json").read_text())["wandb"]).encode()
    assert recorded.decode() in {str(run) for run in runs}
    assert any(b"checkpoint-2021a" in file.read_bytes() for run in runs for file in run.glob("*.wandb"))


def test_a_loss_that_runs_away_ends_the_training_and_leaves_the_last_good_state(made, forks, tmp_path):
    options = {"optimizer": "adamw", "learning_rate": 3, "embedding_learning_rate_factor": 8, "warmup_steps": 100}
    options |= {"max_steps": 2000, "batch_size": 8, "state_interval_steps": 10}
    job = job_in(tmp_path, made, options)
    done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 1
    said = done.said.splitlines()[-1]
    assert "training diverged: after step" in said
    assert "Lower learning_rate, or raise warmup_steps. The state after step 90 is kept." in said
    assert step_of(newest_state(job.states, job.key)) == 90
    assert job.problem.read_text() in said
    assert not job.output.exists()


def after(guard, losses, warmup_steps=0):
    """The step after which the guard ends a training of 50 steps at each of these losses."""
    for block, loss in enumerate(losses):
        try:
            guard.judge((block + 1) * JUDGED_STEPS, loss * JUDGED_STEPS, JUDGED_STEPS, warmup_steps)
        except Diverged:
            return (block + 1) * JUDGED_STEPS
    return None


@pytest.mark.parametrize(
    ("losses", "end"),
    [
        ([5, 4, 5.9, 5.9, 5.9, 5.9], None),
        ([5, 4, 6.1, 6.1, 4, 6.1, 6.1, 5], None),
        ([5, 4, 6.1, 6.1, 6.1], 250),
        ([5, float("nan")], 100),
        ([5, float("inf")], 100),
        ([0.1, 0.01, 0.3, 0.3, 0.3, 0.3], None),
    ],
)
def test_what_counts_as_divergence(losses, end):
    assert after(Guard(), losses) == end


def test_in_the_warm_up_nothing_but_a_number_is_asked_of_the_loss():
    assert after(Guard(), [5, 9, 9, 9, 9, 9, 5], warmup_steps=300) is None
    assert after(Guard(), [5, 9, 9, 9, 9, 9, 9], warmup_steps=300) == 350
    assert after(Guard(), [5, float("nan")], warmup_steps=300) == 100


def test_a_guard_goes_on_from_its_state(tmp_path):
    kept = Progress(posts_per_step=32, processes=1, entries=[{"step": 10, "seconds": 1.0, "loss": float("nan")}])
    assert after(kept.guard, [5, 4, 6.1]) is None
    assert kept.guard.is_uneasy
    kept.write(tmp_path)
    read = Progress.read(tmp_path)
    assert repr(read) == repr(kept)  # a step stays a whole number, and no number is none
    assert read.guard.is_uneasy
    assert after(read.guard, [6.1, 6.1]) == 100
