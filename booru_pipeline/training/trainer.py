"""The training loop: transformers' Trainer, told about our batches, our learning rates, and the clock."""

import logging
import math
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from booru_pipeline.errors import BooruError
from booru_pipeline.training.collator import SetBatches
from booru_pipeline.training.objective import SetObjective
from booru_pipeline.training.options import Plan, TrainingOptions
from booru_pipeline.training.sampler import LengthGroupedSampler
from booru_pipeline.training.tracking import Wandb

_NO_LIMIT = 2**31

LogEntry = dict[str, float]


class Progress:
    """How much of the training is done, by the limit that is nearest: of time, of steps, or of epochs (as steps)."""

    def __init__(self, time_limit_s: float, steps: int) -> None:
        self.time_limit_s = time_limit_s
        self.steps = steps
        self.fraction = 0.0
        self.started = time.monotonic()

    def start(self) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def update(self, step: int) -> float:
        """Look at the clock; of a distributed run the main process's counts, since all must stop together."""
        by_time = self.seconds / self.time_limit_s if self.time_limit_s else 0.0
        by_steps = step / self.steps if self.steps else 0.0
        self.fraction = min(1.0, _from_main_process(max(by_time, by_steps)))
        return self.fraction


def _from_main_process(value: float) -> float:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    device = torch.device("cuda") if torch.distributed.get_backend() == "nccl" else torch.device("cpu")
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    torch.distributed.broadcast(shared, src=0)
    return float(shared)


def optimizer_for(objective: SetObjective, plan: Plan) -> torch.optim.Optimizer:
    """AdamW without weight decay; embedding and output rows learn faster than the rest.

    Of the rows only the labels' ever get a gradient: the base's own pieces are neither read nor written in the `set`
    objective, and without decay they stay as they are.
    """
    model = objective.model
    rows = {id(weight): weight for weight in (model.shared.weight, model.lm_head.weight)}
    others = [weight for weight in model.parameters() if id(weight) not in rows]
    groups = [
        {"params": list(rows.values()), "lr": plan.learning_rate * plan.embedding_learning_rate_factor},
        {"params": others, "lr": plan.learning_rate},
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=0.0, fused=True)


def schedule_for(optimizer: torch.optim.Optimizer, plan: Plan, progress: Progress) -> Any:
    """Linear warm-up by steps, then linear decay to 0 by what is left of the training, be it time or steps."""

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / max(plan.warmup_steps, 1)) * (1.0 - progress.fraction)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


class Watch(TrainerCallback):
    """Ends the training at its limit, and says how it goes every few seconds."""

    def __init__(
        self,
        progress: Progress,
        options: TrainingOptions,
        log: logging.Logger,
        wandb: Wandb,
        validation_loss: Callable[[], float] | None,
        posts_per_step: int,
    ) -> None:
        self.entries: list[LogEntry] = []
        self._progress = progress
        self._options = options
        self._log = log
        self._wandb = wandb
        self._validation_loss = validation_loss
        self._posts_per_step = posts_per_step
        self._losses: list[torch.Tensor] = []
        self._said = (0, 0.0)
        self._evaluated = 0

    def see(self, loss: torch.Tensor) -> None:
        """Take note of a batch's loss."""
        self._losses.append(loss)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self._progress.start()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look at the clock."""
        step = state.global_step
        fraction = self._progress.update(step)
        ended = fraction >= 1.0
        control.should_training_stop = control.should_training_stop or ended
        if not state.is_world_process_zero:
            self._losses.clear()
            return
        due = int(fraction * self._options.evaluations)
        if self._validation_loss is not None and (due > self._evaluated or ended):
            self._evaluated = due
            self._say(step, {"eval_loss": self._validation_loss()})
        elif ended or self._progress.seconds - self._said[1] >= self._options.log_interval_s:
            self._say(step, {})

    def _say(self, step: int, figures: LogEntry) -> None:
        seconds = self._progress.seconds
        steps, since = step - self._said[0], seconds - self._said[1]
        entry: LogEntry = {"step": step, "seconds": round(seconds, 2), **figures}
        if self._losses:
            entry["loss"] = float(torch.stack(self._losses).mean())
            if not math.isfinite(entry["loss"]):
                raise BooruError(f"the loss is not a number after step {step}: training diverged. Lower learning_rate.")
            entry["posts_per_s"] = round(steps * self._posts_per_step / max(since, 1e-9), 1)
        self._losses.clear()
        self._said = (step, seconds)
        self.entries.append(entry)
        self._wandb.record(step, {name: value for name, value in entry.items() if name != "step"})
        limit = f" of {self._progress.time_limit_s:.0f} s" if self._progress.time_limit_s else " s"
        steps_limit = f" of {self._progress.steps}" if self._progress.steps else ""
        line = f"step {step}{steps_limit}, {seconds:.0f}{limit}"
        if "loss" in entry:
            line += f", loss {entry['loss']:.3f}, {entry['posts_per_s']:.0f} posts/s"
        if "eval_loss" in entry:
            line += f", validation loss {entry['eval_loss']:.3f}"
        self._log.info(line)


class SetTrainer(Trainer):
    """Transformers' trainer for the `set` objective."""

    def __init__(self, *, sampler: LengthGroupedSampler, watch: Watch, **settings: Any) -> None:
        super().__init__(data_collator=_already_a_batch, callbacks=[watch], **settings)
        self.remove_callback(PrinterCallback)  # the watch says it better
        self._sampler = sampler
        self._watch = watch

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        return self._sampler

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The objective's loss; the watch takes note of it."""
        outputs = model(**inputs)
        self._watch.see(outputs["loss"].detach())
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]


def _already_a_batch(batch: Any) -> Any:
    return batch


def use_bf16(precision: str) -> bool:
    """Whether to compute in bf16; `auto` does on a GPU that has it."""
    if precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bf16"


def train(
    objective: SetObjective,
    batches: SetBatches,
    plan: Plan,
    options: TrainingOptions,
    log: logging.Logger,
    wandb: Wandb,
    validation_loss: Callable[[], float] | None,
) -> tuple[list[LogEntry], int, float]:
    """Train until the first limit.

    Args:
        objective: The model in its objective; trained in place, and on the device the trainer chose afterwards.
        batches: The train split.
        plan: How long and how fast.
        options: The rest: seed, precision, how often to report.
        log: For progress lines.
        wandb: For figures.
        validation_loss: Called a few times while training; None = not at all.

    Returns:
        The log entries ({step, seconds, loss, posts_per_s} or with eval_loss), the steps taken, and the seconds.
    """
    with tempfile.TemporaryDirectory() as scratch:  # the trainer wants a folder, but keeps nothing in it
        arguments = TrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=plan.batch_size,
            max_steps=_NO_LIMIT,
            seed=options.seed,
            bf16=use_bf16(options.precision),
            max_grad_norm=1.0,
            remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(),
            ddp_find_unused_parameters=False,
            logging_strategy="no",
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        posts_per_step = plan.batch_size * arguments.world_size
        by_epochs = max(1, int(plan.epochs * len(batches) / posts_per_step)) if plan.epochs else 0
        limits = [limit for limit in (plan.max_steps, by_epochs) if limit]
        progress = Progress(plan.time_limit_s, min(limits, default=0))
        optimizer = optimizer_for(objective.to(arguments.device), plan)
        watch = Watch(progress, options, log, wandb, validation_loss, posts_per_step)
        trainer = SetTrainer(
            model=objective,
            args=arguments,
            train_dataset=batches,
            optimizers=(optimizer, schedule_for(optimizer, plan, progress)),
            sampler=LengthGroupedSampler(batches, plan.batch_size, options.seed),
            watch=watch,
        )
        result = trainer.train()
    return watch.entries, int(result.global_step), progress.seconds
