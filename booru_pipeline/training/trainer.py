"""The training loop: transformers' Trainer, told about our order of posts, our optimizer, our states, and the clock.

It knows no objective: a module that gives a loss, a dataset that gives whole batches, and a sampler are all it takes.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import nn
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import SAFE_WEIGHTS_NAME

from booru_pipeline.dataset.collator import PostBatches
from booru_pipeline.errors import BooruError
from booru_pipeline.training.optimizers import optimizer_for, schedule_for
from booru_pipeline.training.options import Plan, TrainingOptions
from booru_pipeline.training.progress import Diverged, LogEntry, Progress
from booru_pipeline.training.sampler import WholeBatches
from booru_pipeline.training.states import step_of
from booru_pipeline.training.watch import Surroundings, Watch

_NO_LIMIT = 2**31


class Interrupted(BooruError):
    """The training was asked to end before its end; raised by all processes alike."""

    def __init__(self, step: int, state: Path | None) -> None:
        if state is None:
            after = "there is no state to go on from, so the next materialization begins anew"
        elif step_of(state) == step:
            after = "the next materialization goes on from there"
        else:
            after = f"the next materialization goes on from step {step_of(state)}"
        super().__init__(f"interrupted after step {step}; {after}.")


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        entries: {step, seconds, epoch, loss, learning_rate, posts_per_s, tokens_per_s}, some with eval_loss.
        steps: Optimizer steps.
        seconds: Of training, all attempts together.
    """

    entries: list[LogEntry]
    steps: int
    seconds: float


class StatefulTrainer(Trainer):
    """Transformers' trainer with states that are written in one step, with weights as safetensors."""

    def __init__(self, *, sampler: Sampler[int], watch: Watch, around: Surroundings, **settings: Any) -> None:
        super().__init__(data_collator=_already_a_batch, callbacks=[watch], **settings)
        self.remove_callback(PrinterCallback)  # the watch says it better
        self._sampler = sampler
        self._watch = watch
        self._around = around
        self._objective: nn.Module = settings["model"]

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return self._sampler

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The objective's loss; the watch takes note of it."""
        outputs = model(**inputs)
        self._watch.see(outputs["loss"].detach(), inputs["attention_mask"].sum())
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def _clip_grad_norm(self, model: Any) -> Any:
        """As the base does, and of sparse gradients too, whose rows are added up first."""
        weights = [weight for weight in model.parameters() if weight.grad is not None]
        if not any(weight.grad.is_sparse for weight in weights):
            return super()._clip_grad_norm(model)
        for weight in weights:
            if weight.grad.is_sparse:
                weight.grad = weight.grad.coalesce()
        values = [weight.grad.values() if weight.grad.is_sparse else weight.grad for weight in weights]
        norm = nn.utils.get_total_norm(values)
        torch._foreach_mul_(values, (self.args.max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        states = self._around.states
        if states is None:
            return
        step = self.state.global_step
        if not all(bool(weight.isfinite().all()) for weight in self._objective.parameters()):
            raise Diverged(f"a weight is not a number after step {step}: training diverged. Lower learning_rate.")
        problem = states.write(step, self._write_parts, self._watch.state)
        if problem and self._around.processes.is_main:
            former = states.newest()
            stays = f"the state after step {step_of(former)} stays" if former else "there is none yet"
            self._around.log.warning(
                f"the training state after step {step} could not be written to {states.folder}: {problem}. "
                f"Training goes on; {stays}. Free some space."
            )

    def _write_parts(self, folder: Path) -> None:
        if self._around.processes.is_main:
            save_model(self._objective, str(folder / SAFE_WEIGHTS_NAME))
            self._save_optimizer_and_scheduler(str(folder))
            self.state.save_to_json(str(folder / TRAINER_STATE_NAME))
        self._save_rng_state(str(folder))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_model(self._objective, os.path.join(resume_from_checkpoint, SAFE_WEIGHTS_NAME))


def _already_a_batch(batch: Any) -> Any:
    return batch


def use_bf16(precision: str) -> bool:
    """Whether to compute in bf16; `auto` does on a GPU that has it."""
    if precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bf16"


def posts_per_step(plan: Plan, options: TrainingOptions, processes: int) -> int:
    """How many posts one optimizer step sees, in all processes together."""
    return plan.batch_size * options.gradient_accumulation * processes


def train(
    objective: nn.Module,
    batches: PostBatches,
    sampler: Sampler[int],
    plan: Plan,
    options: TrainingOptions,
    around: Surroundings,
    validation_loss: Callable[[], float] | None,
) -> Trained:
    """Train until the first limit, from the newest state if there is one.

    Args:
        objective: Gives {"loss": mean over the posts of a batch}; trained in place, and on the device the trainer chose
            afterwards.
        batches: The train split.
        sampler: The order of an epoch's posts; the same in every process.
        plan: How long and how fast.
        options: The rest: seed, precision, how often to report.
        around: What it runs in.
        validation_loss: Called a few times while training, in the main process only; None = not at all.

    Raises:
        Interrupted: It was asked to end, and has written a state.
        Diverged: The loss is no number, or has gone up and stays there.
    """
    state = around.states.newest() if around.states else None
    progress = _progress(state, plan, options, around.processes.count)
    with tempfile.TemporaryDirectory() as scratch:  # the trainer wants a folder, but keeps nothing in it
        arguments = _arguments(scratch, plan, options, around.processes.count)
        objective.to(arguments.device)
        if state:
            around.log.info(f"going on from step {step_of(state)}, after {progress.seconds:.0f} s of training")
            if progress.fraction >= 1:
                load_model(objective, str(state / SAFE_WEIGHTS_NAME))
                return Trained(progress.entries, step_of(state), progress.seconds)
        if options.compile:
            objective.compile(dynamic=True)  # what differs in length from batch to batch is compiled once
        steps = _most_steps(plan, len(batches), progress.posts_per_step)
        watch = Watch(progress, plan, steps, options, around, validation_loss)
        optimizer = optimizer_for(objective, plan)
        trainer = StatefulTrainer(
            model=objective,
            args=arguments,
            train_dataset=batches,
            optimizers=(optimizer, schedule_for(optimizer, plan, lambda: progress.fraction)),
            sampler=WholeBatches(sampler, len(batches), progress.posts_per_step),
            watch=watch,
            around=around,
        )
        with around.interruption.only_noted():
            try:
                result = trainer.train(resume_from_checkpoint=str(state) if state else None)
            except Diverged as error:
                good = around.states.newest() if around.states else None
                stays = f" The state after step {step_of(good)} is kept." if good else ""
                raise Diverged(f"{error}{stays}") from None
        seconds = watch.seconds
    if around.interruption.requested or not watch.ended:
        raise Interrupted(int(result.global_step), around.states.newest() if around.states else None)
    return Trained(progress.entries, int(result.global_step), seconds)


def _progress(state: Path | None, plan: Plan, options: TrainingOptions, processes: int) -> Progress:
    """The progress that a state has, or that of a training that begins.

    Raises:
        BooruError: The state is of other processes or of larger or smaller steps.
    """
    posts = posts_per_step(plan, options, processes)
    if state is None:
        return Progress(posts_per_step=posts, processes=processes)
    progress = Progress.read(state)
    if (progress.posts_per_step, progress.processes) != (posts, processes):
        raise BooruError(
            f"{state} is of a training by {progress.processes} processes with {progress.posts_per_step} posts a step, "
            f"this one has {processes} with {posts}. Set processes to {progress.processes}, or remove that folder to "
            "begin anew."
        )
    return progress


def _arguments(folder: str, plan: Plan, options: TrainingOptions, processes: int) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=plan.batch_size,
        gradient_accumulation_steps=options.gradient_accumulation,
        max_steps=_NO_LIMIT,
        seed=options.seed,
        bf16=use_bf16(options.precision),
        # Left to itself, without a GPU it refuses bf16 and does not look for other processes.
        use_cpu=not torch.cuda.is_available() and (use_bf16(options.precision) or processes > 1),
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
    if arguments.world_size != processes:
        raise RuntimeError(f"{arguments.world_size} of {processes} processes found each other")
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs are several processes, never DataParallel
    return arguments


def _most_steps(plan: Plan, posts: int, posts_per_step: int) -> int:
    """Steps at most, by whichever of steps and epochs ends first; 0 if neither is limited."""
    by_epochs = max(1, int(plan.epochs * posts / posts_per_step)) if plan.epochs else 0
    return min((limit for limit in (plan.max_steps, by_epochs) if limit), default=0)
