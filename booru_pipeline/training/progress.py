"""How far a training has come, which its states keep, and whether it gets anywhere."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Final

from pydantic import ConfigDict, Field

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.document import Document

LogEntry = dict[str, int | float]

JUDGED_STEPS: Final = 50  # steps whose mean loss is compared with the best such mean
_TOO_HIGH: Final = 1.5  # times the best
_NO_MATTER: Final = 0.5  # nats above the best, whatever its multiple
_TOO_LONG: Final = 3  # means in a row


class Diverged(BooruError):
    """The loss ran away; raised by all processes alike."""


@dataclass
class Tally:
    """A sum, and the count of what was summed up, that become a mean."""

    total: float = 0.0
    count: float = 0.0

    def add(self, total: float, count: float) -> None:
        """Add a sum of so many."""
        self.total += total
        self.count += count

    def take(self) -> float:
        """The mean, nan if there is nothing; begin anew."""
        mean = self.total / self.count if self.count else math.nan
        self.total = self.count = 0.0
        return mean


@dataclass
class Guard:
    """Notices a training that diverges: a loss that is no number, or one that has gone up and stays there.

    The second is a mean over 50 steps above 1.5 times the best such mean, and half a nat, three times in a row, the
    last one after the warm-up. `tiny` has it on the tests' data with a learning rate of 1, five hundred times its own,
    and not with 0.3, where it learns next to nothing.

    Attributes:
        since: Losses since the last mean.
        best: The lowest mean, in nats; None before the first.
        too_high: How many means in a row were too high.
    """

    since: Tally = field(default_factory=Tally)
    best: float | None = None
    too_high: int = 0

    @property
    def is_uneasy(self) -> bool:
        """Whether the loss is too high by now: not a state to go on from."""
        return self.too_high > 0

    def judge(self, step: int, total: float, count: float, warmup_steps: int) -> None:
        """Take losses into account.

        Args:
            step: Optimizer steps so far.
            total: Sum of the batches' losses since the last call.
            count: How many batches.
            warmup_steps: Before these are over, nothing but a number is asked of the loss.

        Raises:
            Diverged: The training does.
        """
        if not math.isfinite(total):
            raise Diverged(f"the loss is not a number after step {step}: training diverged. Lower learning_rate.")
        self.since.add(total, count)
        if step % JUDGED_STEPS:
            return
        mean = self.since.take()
        best = mean if self.best is None else self.best
        self.too_high = self.too_high + 1 if mean > max(_TOO_HIGH * best, best + _NO_MATTER) else 0
        self.best = min(best, mean)
        if self.too_high >= _TOO_LONG and step > warmup_steps:
            raise Diverged(
                f"training diverged: after step {step} the loss of the last {JUDGED_STEPS} steps is {mean:.3f}, and it "
                f"was {self.best:.3f}. Lower learning_rate, or raise warmup_steps."
            )


class Progress(Document):
    """How a training stands, as a state keeps it: all but what transformers keeps itself.

    Attributes:
        seconds: Of training, former attempts included.
        fraction: Done, in [0, 1], by the limit that is nearest. Of several processes the main one's counts, since all
            must stop together.
        posts_per_step: Of all processes, with gradient accumulation.
        processes: How many share the training.
        entries: Of the training log.
        loss: Of the batches since the last entry, in nats.
        tokens: Read since the last entry.
        said: Step and seconds of the last entry.
        evaluated: How many validation losses were taken.
        guard: Against divergence.
        wandb: The id of the wandb run, None if there is none.
        files: Bytes of each file of the state, which show a later reader whether one was cut short.
    """

    model_config = ConfigDict(frozen=False)
    FILE: ClassVar[str] = "progress.json"
    REMEDY: ClassVar[str] = "Remove its folder: training goes on from an earlier state or begins anew."

    seconds: float = 0.0
    fraction: float = 0.0
    posts_per_step: int
    processes: int
    entries: list[LogEntry] = Field(default_factory=list)
    loss: Tally = Field(default_factory=Tally)
    tokens: float = 0.0
    said: tuple[int, float] = (0, 0.0)
    evaluated: int = 0
    guard: Guard = Field(default_factory=Guard)
    wandb: str | None = None
    files: dict[str, int] = Field(default_factory=dict)
