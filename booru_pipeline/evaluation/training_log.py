"""The loss curve that a checkpoint carries with it."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class LossCurve:
    """Loss by optimizer step: (step, loss), on train batches and on the validation split."""

    train: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)


def read_loss_curve(checkpoint: Path) -> LossCurve:
    """Read `training_log.json`: the entries the trainer logged; empty if the checkpoint has no such file."""
    path = checkpoint / "training_log.json"
    if not path.is_file():
        return LossCurve()
    content = json.loads(path.read_text(encoding="utf-8"))
    entries = content.get("log_history", []) if isinstance(content, dict) else content

    def points(key: str) -> list[tuple[int, float]]:
        return [(int(entry["step"]), float(entry[key])) for entry in entries if key in entry and "step" in entry]

    return LossCurve(train=points("loss"), validation=points("eval_loss"))
