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
        recall_at_10: Share of hidden labels found, on the validation split.
        popularity_recall_at_10: The same for the most frequent labels, whatever is visible.
    """

    weights: int
    not_finite: int
    pickled: list[str]
    recall_at_10: float
    popularity_recall_at_10: float

    @property
    def is_sound(self) -> bool:
        return self.weights > 0 and not self.not_finite and not self.pickled

    @property
    def has_learned(self) -> bool:
        return self.recall_at_10 > self.popularity_recall_at_10


def look_at(checkpoint: Path) -> Soundness:
    """Read every weight and the provenance of a checkpoint folder."""
    weights = not_finite = 0
    for path in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                tensor = file.get_tensor(name)
                weights += tensor.numel()
                not_finite += int((~tensor.isfinite()).sum())
    metrics = json.loads((checkpoint / "provenance.json").read_text(encoding="utf-8"))["metrics"]
    return Soundness(
        weights=weights,
        not_finite=not_finite,
        pickled=[path.name for path in checkpoint.rglob("*") if path.suffix in _PICKLES],
        recall_at_10=metrics["recall_at_10"],
        popularity_recall_at_10=metrics["popularity_recall_at_10"],
    )
