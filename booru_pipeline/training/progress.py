"""How far a training has come: by its limits, and whether it gets anywhere."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from booru_pipeline.errors import BooruError

JUDGED_STEPS: Final = 50  # steps whose mean loss is compared with the best such mean
_TOO_HIGH: Final = 1.5  # times the best
_NO_MATTER: Final = 0.5  # nats above the best, whatever its multiple
_TOO_LONG: Final = 3  # means in a row


class Progress:
    """How much of the training is done, by the limit that is nearest: of time, of steps, or of epochs (as steps).

    Attributes:
        fraction: Done, in [0, 1]. Of a distributed run the main process's counts, since all must stop together.
    """

    def __init__(self, time_limit_s: float, steps: int, *, seconds: float = 0.0, fraction: float = 0.0) -> None:
        self.time_limit_s = time_limit_s
        self.steps = steps
        self.fraction = fraction
        self._before = seconds
        self._started = time.monotonic()

    def start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Of training, former attempts included."""
        return self._before + time.monotonic() - self._started

    @property
    def seconds_left(self) -> float:
        """At the pace so far."""
        return self.seconds * (1 - self.fraction) / self.fraction if self.fraction else math.inf

    def measure(self, step: int) -> float:
        """What is done after a step, in [0, 1]."""
        by_time = self.seconds / self.time_limit_s if self.time_limit_s else 0.0
        by_steps = step / self.steps if self.steps else 0.0
        return min(1.0, max(by_time, by_steps))


class Diverged(BooruError):
    """The loss ran away; raised by all processes alike."""


@dataclass
class Tally:
    """A sum that becomes a mean.

    Attributes:
        total: The sum.
        count: Of what.
    """

    total: float = 0.0
    count: float = 0.0

    def add(self, total: float, count: float) -> None:
        """Add some more."""
        self.total += total
        self.count += count

    def take(self) -> float:
        """The mean, nan if there is nothing; begin anew."""
        mean = self.total / self.count if self.count else math.nan
        self.total = self.count = 0.0
        return mean


class Guard:
    """Notices a training that diverges: a loss that is no number, or one that has gone up and stays there.

    The second is a mean over 50 steps above 1.5 times the best such mean, and half a nat, three times in a row, the
    last one after the warm-up. `tiny` has it on the tests' data with a learning rate of 1, five hundred times its own,
    and not with 0.3, where it learns next to nothing.
    """

    def __init__(self, warmup_steps: int) -> None:
        self._warmup_steps = warmup_steps
        self._since = Tally()
        self._best = math.inf
        self._too_high = 0

    @property
    def is_uneasy(self) -> bool:
        """Whether the loss is too high by now: not a state to go on from."""
        return self._too_high > 0

    def judge(self, step: int, total: float, count: float) -> None:
        """Look at losses.

        Args:
            step: Optimizer steps so far.
            total: Sum of the batches' losses since the last call.
            count: How many batches.

        Raises:
            Diverged: The training does.
        """
        if not math.isfinite(total):
            raise Diverged(f"the loss is not a number after step {step}: training diverged. Lower learning_rate.")
        self._since.add(total, count)
        if step % JUDGED_STEPS:
            return
        mean = self._since.take()
        too_high = mean > max(_TOO_HIGH * self._best, self._best + _NO_MATTER)
        self._too_high = self._too_high + 1 if too_high else 0
        self._best = min(self._best, mean)
        if self._too_high >= _TOO_LONG and step > self._warmup_steps:
            raise Diverged(
                f"training diverged: after step {step} the loss of the last {JUDGED_STEPS} steps is {mean:.3f}, and it "
                f"was {self._best:.3f}. Lower learning_rate, or raise warmup_steps."
            )

    def state(self) -> dict[str, Any]:
        """For a training state."""
        best = None if math.isinf(self._best) else self._best
        return {"since": asdict(self._since), "best": best, "too_high": self._too_high}

    def go_on(self, state: dict[str, Any]) -> None:
        """From a training state."""
        self._since = Tally(**state["since"])
        self._best = math.inf if state["best"] is None else state["best"]
        self._too_high = state["too_high"]
