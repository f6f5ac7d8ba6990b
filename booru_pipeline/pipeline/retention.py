"""Retention: old checkpoints, reports and audits, states and folders that nobody needs. Nothing goes by itself."""

import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import discard, leftovers, staged, sweep
from booru_pipeline.pipeline.promoted import checkpoint_in_use, promoted_before
from booru_pipeline.pipeline.settings import RetentionOptions
from booru_pipeline.pipeline.stages import Stage, all_trials

_WANDB_RUN: Final = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-(?P<id>\w+)")
_DAY_S: Final = 86_400
_UPLOADING: Final = timedelta(days=1)  # until then an upload that nothing names may be under way


@dataclass(frozen=True)
class Removable:
    """Something that the rules do not keep.

    Attributes:
        path: A file or a folder; of an upload, what it was to be in the home.
        what: In a word: `checkpoint`, `report`, `audit`, `trial`, `training state`, `staging`, `upload`, `wandb`.
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
    """List what `booru clean` would remove; the checkpoint of the release `promoted` is in use, and kept."""
    kept = kept_checkpoints(lake, options.checkpoints, promoted)
    trials = kept_trials(lake, options.trials, promoted)
    return [
        *_artifacts(
            lake, kept, Stage.CHECKPOINT, "checkpoint", options.checkpoints, ", not promoted and no parent of these"
        ),
        *_artifacts(lake, kept, Stage.EVALUATION_REPORT, "report", options.reports, ", and its checkpoint is not kept"),
        *_artifacts(lake, kept, Stage.TAG_AUDIT, "audit", options.reports, ", and its checkpoint is not kept"),
        *_trials(lake, trials, options),
        *_states(lake, options),
        *_leftovers(lake),
        *_wandb(lake, {*kept, *trials}, options),
    ]


def promoted_release(lake: Lake) -> str | None:
    """The release or trial whose checkpoint is in use: the promoted one, or else the newest; None if there is none."""
    there = lake.releases_with(lake.checkpoint) or lake.trials_with(lake.checkpoint)
    return checkpoint_in_use(lake)[0] if there else None


def kept_checkpoints(lake: Lake, newest: int, promoted: str | None) -> dict[str, str]:
    """Releases whose checkpoints are kept, and why.

    Those that a kept one went on from are kept, since it could not be made again without; not theirs in turn, or a
    chain would be kept whole. What was promoted before is kept, so that one can go back.
    """
    keys = lake.releases_with(lake.checkpoint)
    kept = dict.fromkeys(keys[-newest:], "one of the newest")
    if promoted in keys:
        kept.setdefault(str(promoted), "promoted")
    if (former := promoted_before(lake)) in keys:
        kept.setdefault(str(former), "promoted before")
    for key in list(kept):
        parent = (_provenance(lake, key).parent or {}).get("release")
        if parent in keys:
            kept.setdefault(str(parent), f"the parent of {key}")
    return kept


def kept_trials(lake: Lake, newest: int, promoted: str | None) -> set[str]:
    """Trials that are kept: those made last, the promoted one, and the one that was promoted before."""
    made = {trial: _made(lake, trial) for trial in all_trials(lake)}
    order = sorted(made, key=lambda trial: made[trial])
    return {*order[-newest:], *(trial for trial in order if trial in (promoted, promoted_before(lake)))}


def _made(lake: Lake, trial: str) -> str:
    """When a trial's checkpoint was made, ISO 8601; one that has none is under way, and new."""
    record = lake.record(lake.checkpoint(trial))
    return record.made if record else "9"


def remove(lake: Lake, items: Iterable[Removable]) -> int:
    """Remove them, and give the bytes gained.

    An artifact's record is noted, so that neither `booru run` nor the sensor makes it again by itself.

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
        elif item.what == "trial":
            discard(item.path, lake.staging)
        elif item.what == "staging":
            sweep(lake.staging.folder)
        elif item.what == "upload" and lake.store is not None:
            lake.store.remove_upload(lake.name_of(item.path))
        else:
            shutil.rmtree(item.path, ignore_errors=True)
        gained += item.bytes
    return gained


def _artifacts(
    lake: Lake, kept: Collection[str], stage: Stage, what: str, newest: int, unless: str
) -> Iterator[Removable]:
    """Artifacts that are older than the newest ones, except those of the releases whose checkpoints are kept."""
    for release in lake.releases_with(partial(stage.path, lake))[:-newest]:
        if release not in kept:
            path = stage.path(lake, release)
            yield Removable(
                path, what, f"older than the newest {newest}{unless}", _size_in_all(lake, path), stage, release
            )


def _trials(lake: Lake, kept: Collection[str], options: RetentionOptions) -> Iterator[Removable]:
    """What there is of trials that are not kept: checkpoints, reports, and vocabularies and datasets of their own."""
    why = f"older than the newest {options.trials}, and not promoted now or before"
    for trial in all_trials(lake):
        for stage in Stage if trial not in kept else ():
            path = stage.path(lake, trial)
            if lake.record(path) is not None:
                yield Removable(path, "trial", why, _size_in_all(lake, path))


def _size_in_all(lake: Lake, path: Path) -> int:
    """Bytes of an artifact, here and in the store."""
    stored = lake.store.listing().get(lake.name_of(path)) if lake.store is not None else None
    return size_of(path) + (stored.bytes if stored else 0)


def states_of_published(lake: Lake, release: str) -> list[Path]:
    """Training states on the way to the checkpoint that is there: a run was killed before it could remove them."""
    from booru_pipeline.training.states import is_training  # imports torch

    folder = lake.training_states(release)
    record = lake.record(lake.checkpoint(release))
    if record is None or is_training(folder):
        return []
    return [path for path in _folders(folder) if path.name.split("-")[0] == record.key]


def _states(lake: Lake, options: RetentionOptions) -> Iterator[Removable]:
    from booru_pipeline.training.states import is_training

    keys = [*lake.releases_with(lake.training_states), *lake.trials_with(lake.training_states)]
    for folder in map(lake.training_states, keys):
        published = states_of_published(lake, folder.name)
        for path in [] if is_training(folder) else _folders(folder):
            if path in published:
                yield Removable(path, "training state", "its checkpoint is published", size_of(path))
            elif _age_days(path) > options.days:
                yield Removable(path, "training state", f"untouched for {options.days:g} days", size_of(path))


def _leftovers(lake: Lake) -> Iterator[Removable]:
    for path in sorted(leftovers(lake.staging.folder)):
        yield Removable(path, "staging", "what wrote it is gone", size_of(path))
    for item in lake.store.uploads() if lake.store is not None else []:
        if item.begun < datetime.now(UTC) - _UPLOADING:
            why = "what an interrupted upload left in the store"
            yield Removable(lake.home / item.path, "upload", why, item.bytes)


def _wandb(lake: Lake, kept: Collection[str], options: RetentionOptions) -> list[Removable]:
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
    return sum(item.lstat().st_size for item in [path, *path.rglob("*")] if item.is_file())


def _folders(folder: Path) -> list[Path]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in paths if path.is_dir() and not path.is_symlink())


def _age_days(path: Path) -> float:
    """Days since anything in a folder was written."""
    newest = max([path.stat().st_mtime, *(item.lstat().st_mtime for item in path.rglob("*"))])
    return (time.time() - newest) / _DAY_S


class _Mentioned(BaseModel):
    """Things to keep that a checkpoint's provenance or a training state's progress mentions.

    Attributes:
        parent: The checkpoint that it went on from: its `release` and its key.
        wandb: The folder of wandb's run, or the run's id.
    """

    parent: dict[str, Any] | None = None
    wandb: str | None = None

    @classmethod
    def parse(cls, text: str | bytes | None) -> "_Mentioned":
        """Read a file's text; nothing is mentioned if it is not there or is something else."""
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
