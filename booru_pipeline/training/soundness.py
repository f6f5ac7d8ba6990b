"""Whether a checkpoint folder is what it should be, before anything builds on it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import safe_open

_PICKLES: Final = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}


@dataclass(frozen=True)
class Soundness:
    """What was found.

    Attributes:
        weights: Numbers in the weight files.
        not_finite: How many of them are NaN or infinite.
        pickled: Files that would be unpickled.
        first_loss: Validation loss when it was first taken, in nats a label.
        last_loss: Validation loss at the end.
    """

    weights: int
    not_finite: int
    pickled: list[str]
    first_loss: float
    last_loss: float

    @property
    def passed(self) -> bool:
        return self.weights > 0 and not self.not_finite and not self.pickled and self.last_loss < self.first_loss


def look_at(checkpoint: Path) -> Soundness:
    """Read every weight and the training log of a checkpoint folder."""
    weights = not_finite = 0
    for path in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                tensor = file.get_tensor(name)
                weights += tensor.numel()
                not_finite += int((~tensor.isfinite()).sum())
    log = json.loads((checkpoint / "training_log.json").read_text(encoding="utf-8"))
    losses = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
    return Soundness(
        weights=weights,
        not_finite=not_finite,
        pickled=[path.name for path in checkpoint.rglob("*") if path.suffix in _PICKLES],
        first_loss=losses[0],
        last_loss=losses[-1],
    )
