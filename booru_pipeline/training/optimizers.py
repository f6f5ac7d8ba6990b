"""Optimizers and learning rate schedules."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from booru_pipeline.training.options import Plan

_LEAST_RMS = 1e-3  # so that weights which start at zero can leave it; Adafactor's value


class AdamWRms(torch.optim.AdamW):
    """AdamW whose steps are in proportion to the root mean square of the weight matrix they change.

    nanoT5's `AdamWScale` (Nawrot 2023, "nanoT5: A PyTorch framework for pre-training and fine-tuning T5-style models
    with limited resources"): Adafactor's relative steps with Adam's moments, since T5's weights lie orders of
    magnitude apart. Where a gradient is sparse, only the rows that it has are moved, moments included, as in
    `torch.optim.SparseAdam`, which takes no dense gradient beside.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; each weight is a group of its own, whose learning rate is scaled for the time of the step."""
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            (weight,) = group["params"]
            rms = torch.linalg.vector_norm(weight) / math.sqrt(weight.numel())
            group["lr"] = group["lr"] * rms.clamp(min=_LEAST_RMS)  # a tensor: a GPU need not be waited for
            if weight.grad is not None and weight.grad.is_sparse:
                self._move_rows(weight, group)
                weight.grad = None
        try:
            return super().step(closure)
        finally:
            for group, rate in zip(self.param_groups, rates, strict=True):
                group["lr"] = rate

    def _move_rows(self, weight: torch.Tensor, group: dict[str, Any]) -> None:
        """Adam's step for the rows of a sparse gradient, with the state that AdamW has for a weight."""
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        state["step"] += 1
        gradient = weight.grad.coalesce()  # type: ignore[union-attr]
        rows, values = gradient.indices()[0], gradient.values()
        (first, second), steps = group["betas"], state["step"]
        mean = state["exp_avg"].index_select(0, rows).lerp_(values, 1 - first)
        square = state["exp_avg_sq"].index_select(0, rows).mul_(second).addcmul_(values, values, value=1 - second)
        state["exp_avg"].index_copy_(0, rows, mean)
        state["exp_avg_sq"].index_copy_(0, rows, square)
        spread = (square / (1 - second**steps)).sqrt_().add_(group["eps"])
        weight.index_add_(0, rows, -group["lr"] * (mean / (1 - first**steps)) / spread)


def optimizer_for(objective: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """The optimizer, without weight decay; embedding and output rows learn faster than the rest.

    Of the rows only the labels' ever get a gradient in the `set` objective: the base's own pieces are neither read nor
    written, and without decay they stay as they are.
    """
    models = [part for part in objective.modules() if isinstance(part, PreTrainedModel)]
    layers = [layer for model in models for layer in (model.get_input_embeddings(), model.get_output_embeddings())]
    rows = {id(layer.weight) for layer in layers if layer is not None}
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for weight in objective.parameters():
        if weight.requires_grad:  # with an adapter most are not
            groups[id(weight) in rows].append(weight)
    rates = {True: plan.learning_rate * plan.embedding_learning_rate_factor, False: plan.learning_rate}
    if plan.optimizer == "adamw_rms":
        single = [{"params": [weight], "lr": rates[kind]} for kind, weights in groups.items() for weight in weights]
        return AdamWRms(single, lr=plan.learning_rate, weight_decay=0.0, fused=True)
    settings = [{"params": weights, "lr": rates[kind]} for kind, weights in groups.items() if weights]
    if plan.optimizer == "adafactor":
        return torch.optim.Adafactor(settings, lr=plan.learning_rate, weight_decay=0.0)
    return torch.optim.AdamW(settings, lr=plan.learning_rate, weight_decay=0.0, fused=True)


def schedule_for(
    optimizer: torch.optim.Optimizer, plan: Plan, done: Callable[[], float]
) -> torch.optim.lr_scheduler.LRScheduler:
    """Linear warm-up by steps, then the plan's schedule, by the share of the training that is done, in [0, 1]."""

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / max(plan.warmup_steps, 1)) * _SCHEDULES[plan.schedule](done(), step, plan)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


_SCHEDULES: dict[str, Callable[[float, int, Plan], float]] = {
    "linear": lambda done, step, plan: 1.0 - done,
    "cosine": lambda done, step, plan: 0.5 * (1.0 + math.cos(math.pi * done)),
    "inverse_sqrt": lambda done, step, plan: min(1.0, math.sqrt(max(plan.warmup_steps, 1) / (step + 1))),
    "constant": lambda done, step, plan: 1.0,
}
