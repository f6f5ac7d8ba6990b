"""Options that change how the same thing is computed."""

import json

import numpy as np
import pytest
import torch

from booru_pipeline_tests.training.process import job_in

OPTIONS = {"max_steps": 12, "log_interval_steps": 1, "batch_size": 16}


def losses(job):
    entries = json.loads((job.output / "training_log.json").read_text())
    return [entry["loss"] for entry in entries]


@pytest.fixture(scope="module")
def plain(made, forks, tmp_path_factory):
    job = job_in(tmp_path_factory.mktemp("plain"), made, OPTIONS)
    done = forks.run(job.write(job.output.parent / "job.json"))
    assert done.status == 0, done.said
    return losses(job)


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"gradient_checkpointing": True}, 1e-5),
        ({"batch_size": 4, "gradient_accumulation": 4}, 1e-3),
        ({"precision": "bf16"}, 3e-2),
        ({"compile": True}, 1e-3),
    ],
    ids=["gradient_checkpointing", "gradient_accumulation", "bf16", "compile"],
)
def test_the_loss_is_the_same(made, forks, plain, tmp_path, options, tolerance):
    if "compile" in options and not torch.cuda.is_available():
        pytest.skip("needs a GPU: for the CPU torch.compile makes C++, and g++ takes more than a minute for it")
    job = job_in(tmp_path, made, {**OPTIONS, **options})
    done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 0, done.said
    np.testing.assert_allclose(losses(job), plain, rtol=tolerance)
