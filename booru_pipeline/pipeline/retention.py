"""What can go: old checkpoints and reports, states and folders that nobody needs any more. Nothing goes unasked."""

import re
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import discard, leftovers, staged, sweep
from booru_pipeline.pipeline.checkpoints import checkpoint_in_use
from booru_pipeline.pipeline.settings import RetentionOptions
from booru_pipeline.pipeline.stages import Stage

_WANDB_RUN: Final = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-(?P<id>\w+)")
_DAY_S: Final = 86_400
_UPLOADING: Final = timedelta(days=1)  # until then an upload that nothing names may be under way


@dataclass(frozen=True)
class Removable:
    """Something that the rules do not keep.

    Attributes:
        path: A file or a folder; of an upload, what it was to be in the home.
        what: In a word: `checkpoint`, `report`, `training state`, `staging`, `upload`, `wandb`.
        why: Which rule lets it go.
        bytes: What is gained, here and in the store.
        stage: Whose artifact it is, or None.
        release: Of which release the artifact is, or None.
    """

    path: Path
    what: str
    why: str
    bytes: int
    stage: Stage | None = None
    release: str | None = None


def find_removable(lake: Lake, options: RetentionOptions, promoted: str | None) -> list[Removable]:
    """What `booru clean` would remove.

    Args:
        lake: Where the artifacts are.
        options: What is kept.
        promoted: The release whose checkpoint is in use; it is kept.
    """
    kept = kept_checkpoints(lake, options.checkpoints, promoted)
    return [
        *_checkpoints(lake, kept, options),
        *_reports(lake, kept, options),
        *_states(lake, options),
        *_staging(lake),
        *_uploads(lake),
        *_wandb(lake, kept, options),
    ]


def promoted_release(lake: Lake) -> str | None:
    """The release whose checkpoint is in use: the promoted one, or else the newest; None if there is none."""
    return checkpoint_in_use(lake).release if lake.releases_with(lake.checkpoint) else None


def kept_checkpoints(lake: Lake, newest: int, promoted: str | None) -> dict[str, str]:
    """Releases whose checkpoints are kept, and why.

    Those that a kept one went on from are kept, since it could not be made again without; not theirs in turn, or a
    chain would be kept whole.
    """
    keys = lake.releases_with(lake.checkpoint)
    kept = dict.fromkeys(keys[-newest:], "one of the newest")
    if promoted in keys:
        kept.setdefault(str(promoted), "promoted")
    for key in list(kept):
        parent = (_provenance(lake, key).parent or {}).get("release")
        if parent in keys:
            kept.setdefault(str(parent), f"the parent of {key}")
    return kept


def remove(lake: Lake, items: Iterable[Removable]) -> int:
    """Remove them, and give the bytes gained.

    An artifact's record is noted, so that neither `booru run` nor the sensor makes it again unasked.

    Raises:
        BooruError: Something cannot be removed.
    """
    gained = 0
    for item in items:
        if item.stage is not None and item.release is not None:
            record = lake.record(item.path)
            if record is not None:
                with staged(lake.retired(item.stage.value, item.release), lake.staging) as draft:
                    record.write_note(draft)
            discard(item.path, lake.staging)
        elif item.what == "staging":
            sweep(lake.staging.folder)
        elif item.what == "upload" and lake.store is not None:
            lake.store.remove_upload(lake.name_of(item.path))
        else:
            shutil.rmtree(item.path, ignore_errors=True)
        gained += item.bytes
    return gained


def _checkpoints(lake: Lake, kept: dict[str, str], options: RetentionOptions) -> list[Removable]:
    why = f"older than the newest {options.checkpoints}, not promoted and no parent of these"
    keys = [key for key in lake.releases_with(lake.checkpoint) if key not in kept]
    return [_artifact(lake, Stage.CHECKPOINT, key, "checkpoint", why) for key in keys]


def _reports(lake: Lake, kept: dict[str, str], options: RetentionOptions) -> list[Removable]:
    why = f"older than the newest {options.reports}, and its checkpoint is not kept"
    keys = [key for key in lake.releases_with(lake.evaluation_report)[: -options.reports] if key not in kept]
    return [_artifact(lake, Stage.EVALUATION_REPORT, key, "report", why) for key in keys]


def _artifact(lake: Lake, stage: Stage, release: str, what: str, why: str) -> Removable:
    path = stage.path(lake, release)
    stored = lake.store.listing().get(lake.name_of(path)) if lake.store is not None else None
    return Removable(path, what, why, size_of(path) + (stored.bytes if stored else 0), stage, release)


def states_of_published(lake: Lake, release: str) -> list[Path]:
    """Training states on the way to the checkpoint that is there: a run was killed before it could remove them."""
    from booru_pipeline.training.states import is_training  # imports torch

    folder = lake.training_states(release)
    record = lake.record(lake.checkpoint(release))
    if record is None or is_training(folder):
        return []
    return [path for path in _folders(folder) if path.name.split("-")[0] == record.key]


def _states(lake: Lake, options: RetentionOptions) -> list[Removable]:
    from booru_pipeline.training.states import is_training

    found = []
    for release in lake.releases_with(lake.training_states):
        folder = lake.training_states(release)
        if is_training(folder):
            continue
        published = states_of_published(lake, release)
        for path in _folders(folder):
            if path in published:
                why = "its checkpoint is published"
            elif _age_days(path) > options.days:
                why = f"untouched for {options.days:g} days"
            else:
                continue
            found.append(Removable(path, "training state", why, size_of(path)))
    return found


def _staging(lake: Lake) -> list[Removable]:
    return [
        Removable(path, "staging", "what wrote it is gone", size_of(path))
        for path in sorted(leftovers(lake.staging.folder))
    ]


def _uploads(lake: Lake) -> list[Removable]:
    uploads = lake.store.uploads() if lake.store is not None else []
    why = "what an interrupted upload left in the store"
    before = datetime.now(UTC) - _UPLOADING
    return [Removable(lake.home / item.path, "upload", why, item.bytes) for item in uploads if item.begun < before]


def _wandb(lake: Lake, kept: dict[str, str], options: RetentionOptions) -> list[Removable]:
    needed = {Path(_provenance(lake, key).wandb or "").name for key in kept}
    states = lake.training_states("any").parent.glob("*/*/step-*/progress.json")
    going_on = {_progress(path).wandb for path in states}
    why = f"of no kept checkpoint, and untouched for {options.days:g} days"
    return [
        Removable(path, "wandb", why, size_of(path))
        for path in _folders(lake.wandb / "wandb")
        if (match := _WANDB_RUN.fullmatch(path.name))
        and path.name not in needed
        and match["id"] not in going_on
        and _age_days(path) > options.days
    ]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    paths: Sequence[Path] = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    return sum(item.lstat().st_size for item in paths)


def _folders(folder: Path) -> list[Path]:
    return (
        sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()) if folder.is_dir() else []
    )


def _age_days(path: Path) -> float:
    """Days since anything in a folder was written."""
    newest = max([path.stat().st_mtime, *(item.lstat().st_mtime for item in path.rglob("*"))])
    return (time.time() - newest) / _DAY_S


class _Mentioned(BaseModel):
    """What a checkpoint's provenance or a training state's progress mentions that is to be kept.

    Attributes:
        parent: The checkpoint that it went on from: its `release` and its key.
        wandb: The folder of wandb's run, or the run's id.
    """

    parent: dict[str, str] | None = None
    wandb: str | None = None

    @classmethod
    def parse(cls, text: str | bytes | None) -> "_Mentioned":
        """What a file says; nothing if it is not there or no such file."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValueError:
            return cls()


def _progress(file: Path) -> _Mentioned:
    try:
        return _Mentioned.parse(file.read_bytes())
    except OSError:  # the training has gone on to another state
        return _Mentioned()


def _provenance(lake: Lake, release: str) -> _Mentioned:
    return _Mentioned.parse(lake.read(lake.checkpoint(release), "provenance.json"))
