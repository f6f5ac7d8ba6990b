"""The callback that follows a training: ends it at its limit, says how it goes, asks for states, notices divergence."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState

from booru_pipeline.training.interruption import Interruption
from booru_pipeline.training.options import Plan, TrainingOptions
from booru_pipeline.training.processes import Processes
from booru_pipeline.training.progress import JUDGED_STEPS, LogEntry, Progress
from booru_pipeline.training.states import States
from booru_pipeline.training.tracking import Wandb


@dataclass(frozen=True)
class Surroundings:
    """The processes, logs and files that a training shares.

    Attributes:
        processes: Those that share it.
        log: For what people read.
        wandb: For figures.
        states: Where its states go; None = nowhere.
        interruption: Says when it is to end.
    """

    processes: Processes
    log: logging.Logger
    wandb: Wandb
    states: States | None
    interruption: Interruption


class Watch(TrainerCallback):
    """Follows a training step by step.

    The main process decides what is due, since clocks differ, and all do it together.

    Args:
        progress: How far it is; brought up to date.
        plan: How long and how fast.
        steps: Optimizer steps at most, by the plan's steps and epochs; 0 = no such limit.
        options: How often what is due.
        around: What the training runs in.
        validation_loss: Called a few times while training; None = not at all.
    """

    def __init__(
        self,
        progress: Progress,
        plan: Plan,
        steps: int,
        options: TrainingOptions,
        around: Surroundings,
        validation_loss: Callable[[], float] | None,
    ) -> None:
        self._progress = progress
        self._plan = plan
        self._steps = steps
        self._options = options
        self._around = around
        self._validation_loss = validation_loss
        self._pending: list[torch.Tensor] = []
        self._saved = (0, 0.0)
        self._before = progress.seconds
        self._started = time.monotonic()

    def see(self, loss: torch.Tensor, tokens: torch.Tensor) -> None:
        """Take note of a batch's loss and of its number of tokens."""
        self._pending.append(torch.stack([loss.double(), tokens.double()]))

    @property
    def seconds(self) -> float:
        """Of training, former attempts included."""
        return self._before + time.monotonic() - self._started

    @property
    def ended(self) -> bool:
        """Whether a limit is reached."""
        return self._progress.fraction >= 1.0

    def state(self) -> Progress:
        """For a training state."""
        self._progress.seconds, self._progress.wandb = self.seconds, self._around.wandb.id
        return self._progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self._saved = (state.global_step, self._before)
        self._started = time.monotonic()

    def on_step_end(
        self, args: Any, state: TrainerState, control: TrainerControl, optimizer: Any = None, **_: Any
    ) -> None:
        """Do what is due."""
        step = state.global_step
        done, stop, say, evaluate, save = self._around.processes.of_main(self._due(step))
        self._progress.fraction = done
        if say or save or step % JUDGED_STEPS == 0:
            self._count(step)
        if say:
            figures: LogEntry = {"epoch": round(float(state.epoch or 0), 3)}
            figures["learning_rate"] = float(optimizer.param_groups[-1]["lr"])
            self._say(step, figures, evaluate=bool(evaluate) and self._around.processes.is_main)
        if save and not self._progress.guard.is_uneasy:
            control.should_save = True
            self._saved = (step, self.seconds)
        control.should_training_stop = control.should_training_stop or bool(stop) or self.ended

    def _due(self, step: int) -> list[float]:
        """Share done, then as numbers: stop, say, evaluate, save."""
        seconds = self.seconds
        to_say = (self._options.log_interval_steps, self._options.log_interval_s)
        to_save = (self._options.state_interval_steps, self._options.state_interval_s)
        done = min(1.0, max(self._fractions(step, seconds)))
        ended = done >= 1.0
        stop = self._around.interruption.requested
        due = int(done * self._options.evaluations)
        evaluate = self._validation_loss is not None and (due > self._progress.evaluated or ended)
        if evaluate:
            self._progress.evaluated = due
        say = ended or evaluate or _passed(self._progress.said, step, seconds, to_say)
        save = ended or stop or _passed(self._saved, step, seconds, to_save)
        return [done, stop, say, evaluate, save and self._around.states is not None]

    def _count(self, step: int) -> None:
        """Bring what was seen together, over all processes; until now it waited on the GPU."""
        sums = torch.stack(self._pending).sum(0).tolist() if self._pending else [0.0, 0.0]
        loss, tokens, count = self._around.processes.total([*sums, len(self._pending)])
        self._pending.clear()
        self._progress.loss.add(loss, count)
        self._progress.tokens += tokens
        self._progress.guard.judge(step, loss, count, self._plan.warmup_steps)

    def _say(self, step: int, figures: LogEntry, *, evaluate: bool) -> None:
        seconds = self.seconds
        steps, since = step - self._progress.said[0], max(seconds - self._progress.said[1], 1e-9)
        entry: LogEntry = {"step": step, "seconds": round(seconds, 2), **figures}
        entry["loss"] = self._progress.loss.take()
        entry["posts_per_s"] = round(steps * self._progress.posts_per_step / since, 1)
        entry["tokens_per_s"] = round(self._progress.tokens / since, 1)
        self._progress.tokens = 0.0
        self._progress.said = (step, seconds)
        if not self._around.processes.is_main:
            return
        if evaluate and self._validation_loss is not None:
            entry["eval_loss"] = self._validation_loss()
        self._progress.entries.append(entry)
        self._around.wandb.record(step, {name: value for name, value in entry.items() if name != "step"})
        self._around.log.info(self._line(entry))

    def _line(self, entry: LogEntry) -> str:
        """How it goes, in words: steps or seconds have a limit beside them, whichever ends the training."""
        step, seconds = int(entry["step"]), float(entry["seconds"])
        by_steps, by_time = self._fractions(step, seconds)
        at = f"step {step} of {self._steps}" if by_steps > by_time else f"step {step}"
        clock = f"{seconds:.0f} s" if by_steps > by_time else f"{seconds:.0f} of {self._plan.time_limit_s:.0f} s"
        line = (
            f"{at}, {clock}, epoch {entry['epoch']:.1f}, loss {entry['loss']:.3f}, "
            f"learning rate {entry['learning_rate']:.1e}, "
            f"{entry['posts_per_s']:,.0f} posts/s, {entry['tokens_per_s']:,.0f} tokens/s"
        )
        if "eval_loss" in entry:
            line += f", validation loss {entry['eval_loss']:.3f}"
        done = self._progress.fraction
        left = self.seconds * (1 - done) / done if done else math.inf  # at the pace so far
        return line if self.ended or by_time >= by_steps else f"{line}, {_duration(left)} left"

    def _fractions(self, step: int, seconds: float) -> tuple[float, float]:
        """The shares done by steps and by time, each 0 without such a limit."""
        by_steps = step / self._steps if self._steps else 0.0
        return by_steps, seconds / self._plan.time_limit_s if self._plan.time_limit_s else 0.0


def _passed(last: tuple[int, float], step: int, seconds: float, apart: tuple[int, float]) -> bool:
    return bool(apart[0] and step - last[0] >= apart[0]) or seconds - last[1] >= apart[1]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
