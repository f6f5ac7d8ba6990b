"""A checkpoint's account of itself: provenance, training log, soundness, the code that made it."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from safetensors import safe_open

PROVENANCE_FILE: Final = "provenance.json"
LOG_FILE: Final = "training_log.json"
CARD_FILE: Final = "README.md"


def read_provenance(checkpoint: Path) -> dict[str, Any]:
    """Read what a checkpoint says of itself: release, releases trained on, base model, parent, options, metrics.

    Raises:
        OSError: There is none.
    """
    content: dict[str, Any] = json.loads((checkpoint / PROVENANCE_FILE).read_text(encoding="utf-8"))
    return content


def base_names(provenance: Mapping[str, Any]) -> tuple[str, str | None]:
    """What a checkpoint's base model is called, without the path of a folder here, and its name on the hub, if any."""
    source = provenance["base_model"]["source"]
    if source is None:
        return "none: random weights", None
    return (Path(source).name, None) if Path(source).is_absolute() else (source, source)


@dataclass(frozen=True)
class EarlierCheckpoint:
    """An earlier checkpoint.

    Attributes:
        release: Of which release.
        key: Of its record.
        checkpoint: Its folder.
        dataset: The dataset that it was trained on; None if that is gone, was rebuilt since, or is not needed.
    """

    release: str
    key: str
    checkpoint: Path
    dataset: Path | None = None


@dataclass(frozen=True)
class LossCurve:
    """Loss by optimizer step: (step, loss), on train batches and on the validation split."""

    train: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)


def read_loss_curve(checkpoint: Path) -> LossCurve:
    """Read `training_log.json`: the entries the trainer logged; empty if the checkpoint has no such file."""
    path = checkpoint / LOG_FILE
    entries = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []

    def points(key: str) -> list[tuple[int, float]]:
        return [(int(entry["step"]), float(entry[key])) for entry in entries if key in entry]

    return LossCurve(train=points("loss"), validation=points("eval_loss"))


def code_revision() -> str:
    """The git commit of this checkout, `+changes` appended if it has any; without git, the package's version."""
    folder = Path(__file__).parents[1]  # the package
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return f"{commit}+changes" if _git(folder, "status", "--porcelain", "--", ".") else commit
    except (OSError, subprocess.CalledProcessError):
        try:
            return version("booru-pipeline")
        except PackageNotFoundError:  # a copy of the source that nobody installed
            return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


_PICKLES: Final = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}


@dataclass(frozen=True)
class Soundness:
    """The state of a checkpoint's files and figures.

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


def has_learned(checkpoint: Path) -> bool | None:
    """Whether training found more hidden labels of validation posts than popularity; None if it left no such figures.

    See `Soundness.has_learned`; no weights are read.
    """
    metrics = read_provenance(checkpoint).get("metrics", {})
    if not {"recall_at_10", "popularity_recall_at_10"} <= metrics.keys():
        return None
    return bool(metrics["recall_at_10"] > metrics["popularity_recall_at_10"])


def soundness_of(checkpoint: Path) -> Soundness:
    """Read every weight and the provenance of a checkpoint folder."""
    weights = not_finite = 0
    for path in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                tensor = file.get_tensor(name)
                weights += tensor.numel()
                not_finite += int((~tensor.isfinite()).sum())
    metrics = read_provenance(checkpoint)["metrics"]
    return Soundness(
        weights=weights,
        not_finite=not_finite,
        pickled=[path.name for path in checkpoint.rglob("*") if path.suffix in _PICKLES],
        recall_at_10=metrics["recall_at_10"],
        popularity_recall_at_10=metrics["popularity_recall_at_10"],
    )
