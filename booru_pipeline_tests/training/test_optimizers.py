import json
import math
import shutil

import numpy as np
import pytest
import torch
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

from booru_pipeline.training.optimizers import AdamWRms, optimizer_for, schedule_for
from booru_pipeline.training.options import OPTIMIZERS, SCHEDULES, TrainingOptions, resolve
from booru_pipeline.training.states import newest_state
from booru_pipeline_tests.training.process import job_in


def plan(**options):
    return resolve(TrainingOptions(**options), pretrained=False)


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.model = T5ForConditionalGeneration(
            T5Config(vocab_size=30, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
        )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_embedding_rows_have_their_own_rate_and_those_without_gradient_stay(name):
    objective = Wrapped()
    rows = objective.model.shared.weight
    before = rows.detach().clone()
    optimizer = optimizer_for(
        objective, plan(optimizer=name, learning_rate=0.01, embedding_learning_rate_factor=3, warmup_steps=0)
    )
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    assert rates == {id(weight): 0.03 if weight is rows else 0.01 for weight in objective.parameters()}
    for _ in range(3):
        rows.grad = torch.zeros_like(rows)
        rows.grad[10:20] = torch.randn(10, 8)
        optimizer.step()
    assert torch.equal(rows[:10], before[:10])
    assert torch.equal(rows[20:], before[20:])
    assert (rows[10:20] != before[10:20]).all()


def test_adamw_rms_is_adamw_whose_rate_is_the_weights_root_mean_square_times_as_large():
    torch.manual_seed(0)
    scales = [0.01, 2.0, 0.0]
    weights = [nn.Parameter(torch.randn(5, 4) * scale) for scale in scales]
    others = [nn.Parameter(weight.detach().clone()) for weight in weights]
    scaled = AdamWRms([{"params": [weight]} for weight in weights], lr=0.02, weight_decay=0.0)
    plain = [torch.optim.AdamW([weight], lr=1.0, weight_decay=0.0) for weight in others]
    for _ in range(5):
        for weight, other, optimizer in zip(weights, others, plain, strict=True):
            weight.grad = torch.randn(5, 4)
            other.grad = weight.grad.clone()
            optimizer.param_groups[0]["lr"] = 0.02 * max(1e-3, other.detach().square().mean().sqrt().item())
            optimizer.step()
        scaled.step()
    for weight, other in zip(weights, others, strict=True):
        torch.testing.assert_close(weight, other)
    assert [group["lr"] for group in scaled.param_groups] == [0.02] * 3


@pytest.mark.parametrize(
    ("name", "halfway", "end"),
    [
        ("linear", 0.5, 0.0),
        ("cosine", 0.5, 0.0),
        ("inverse_sqrt", math.sqrt(10 / 51), math.sqrt(10 / 101)),
        ("constant", 1.0, 1.0),
    ],
)
def test_schedules_rise_alike_and_go_on_as_named(name, halfway, end):
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=2.0)
    rates: list[float] = []
    schedule = schedule_for(optimizer, plan(schedule=name, warmup_steps=10), lambda: max(len(rates) - 1, 0) / 100)
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"] / 2)
        optimizer.step()
        schedule.step()
    assert rates[1] == pytest.approx(0.2, rel=0.05)
    assert np.argmax(rates) in range(9, 12)
    # The scheduler looks at what was done before the step that it sets the rate of.
    assert rates[51] == pytest.approx(halfway, rel=0.02)
    assert schedule.get_last_lr()[0] / 2 == pytest.approx(end, abs=0.01)


@pytest.mark.parametrize(
    ("optimizer", "schedule", "candidates"),
    [*zip(OPTIMIZERS, SCHEDULES[1:], [0] * len(OPTIMIZERS), strict=True), ("adamw_rms", "linear", 30)],
)
def test_each_goes_on_from_a_state_as_if_there_had_been_no_break(
    made, forks, tmp_path, optimizer, schedule, candidates
):
    options = {"max_steps": 12, "state_interval_steps": 5, "log_interval_steps": 1}
    options |= {"batch_size": 32, "learning_rate": 0.01, "embedding_learning_rate_factor": 2, "warmup_steps": 2}
    job = job_in(tmp_path, made, {**options, "optimizer": optimizer, "schedule": schedule, "candidates": candidates})
    path = job.write(tmp_path / "job.json")
    assert forks.run(path).status == 0
    log = job.output / "training_log.json"
    whole = [entry["loss"] for entry in json.loads(log.read_text())]
    assert np.mean(whole[-4:]) < whole[0] - 0.2
    shutil.rmtree(newest_state(job.states, job.key))
    done = forks.run(path)
    assert "going on from step 10," in done.said
    np.testing.assert_allclose([entry["loss"] for entry in json.loads(log.read_text())], whole, rtol=1e-5)
    assert f"| optimizer | {optimizer}, learning rate" in (job.output / "README.md").read_text()


@pytest.mark.parametrize("wrong", [{"optimizer": "sgd"}, {"schedule": "step"}])
def test_what_is_not_known_is_named(wrong):
    with pytest.raises(ValueError, match=r"is unknown: use one of (adamw, adamw_rms, adafactor|linear, cosine)"):
        TrainingOptions(**wrong)


def test_a_sparse_gradient_moves_its_rows_as_a_dense_one_would_and_no_other():
    whole, some = (nn.Parameter(torch.linspace(-1, 1, 40).reshape(10, 4)) for _ in range(2))
    dense, sparse = (AdamWRms([{"params": [weight]}], lr=0.1, weight_decay=0.0) for weight in (whole, some))
    rows, before = torch.tensor([2, 7, 2]), some.detach().clone()  # a row that is read twice has its gradients added
    for step in range(3):
        values = torch.full((3, 4), 0.5 + step)
        some.grad = torch.sparse_coo_tensor(rows[None], values, some.shape)
        whole.grad = some.grad.to_dense()
        dense.step()
        sparse.step()
    assert torch.allclose(whole, some, atol=1e-6)
    others = [row for row in range(10) if row not in rows]
    assert torch.equal(some[others], before[others])
    assert not torch.allclose(some[rows], before[rows])
    assert {key: value.shape for key, value in sparse.state_dict()["state"][0].items()} == {
        key: value.shape for key, value in dense.state_dict()["state"][0].items()
    }
