"""Candidates stand for all labels: what they estimate has the loss and the gradient over all labels as its mean."""

import numpy as np
import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from booru_pipeline.dataset.collator import PAD_ROW
from booru_pipeline.model.candidates import Candidates
from booru_pipeline.model.objective import PresentObjective
from booru_pipeline.model.presence import Presence

LABELS, FIRST = 60, 4
COUNTS = np.arange(1, LABELS + 1) ** 2


def objective(drawn):
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(vocab_size=FIRST + LABELS, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, dropout_rate=0.0)
    )
    model.config.decoder_start_token_id = 0
    candidates = Candidates.of_counts(COUNTS, drawn) if drawn else None
    presence = Presence.of_counts(COUNTS, int(COUNTS.max()))
    return PresentObjective(model, presence, FIRST, LABELS, candidates=candidates).train()


@pytest.fixture(scope="module")
def batch():
    rows = torch.tensor([[3, 58, 1], [40, 59, PAD_ROW]])
    return {
        "input_ids": torch.tensor([[FIRST + 7, FIRST + 50, 1], [FIRST + 40, 1, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
        "hidden": rows,
    }


def losses_and_gradient(drawn, batch, times):
    model = objective(drawn)
    losses = []
    for _ in range(times):
        loss = model(**batch)["loss"]
        loss.backward()
        losses.append(float(loss.detach()))
    gradients = [weight.grad.to_dense() / times for weight in model.parameters()]
    return np.array(losses), torch.cat([gradient.ravel() for gradient in gradients])


def test_the_mean_over_many_draws_is_the_loss_over_all_labels(batch):
    [exact], gradient = losses_and_gradient(0, batch, 1)
    losses, estimated = losses_and_gradient(25, batch, 300)
    assert losses.std() > 0.01
    assert abs(losses.mean() - exact) < 4 * losses.std() / len(losses) ** 0.5
    assert torch.linalg.vector_norm(estimated - gradient) < 0.15 * torch.linalg.vector_norm(gradient)


def test_labels_that_are_asked_for_are_looked_at_once_and_others_stand_for_more():
    torch.manual_seed(0)
    candidates = Candidates.of_counts(COUNTS, 12)
    rows, weight, place = candidates.draw(torch.tensor([5, 59, 5]))
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert weight[place[torch.tensor([5, 59])]].tolist() == [1, 1]
    assert (weight >= 1).all()
    left_out = sorted(set(range(LABELS)) - set(rows.tolist()))
    assert (place[left_out] == -1).all()
    assert place[rows].tolist() == list(range(len(rows)))


def test_as_many_as_there_are_labels_leave_none_out(batch):
    [exact], gradient = losses_and_gradient(0, batch, 1)
    [loss], all_drawn = losses_and_gradient(10**9, batch, 1)
    assert loss == pytest.approx(exact, rel=1e-5)
    assert torch.allclose(all_drawn, gradient, atol=1e-6)


def test_validation_is_over_all_labels(batch):
    assert float(objective(12).eval()(**batch)["loss"]) == float(objective(0).eval()(**batch)["loss"])
