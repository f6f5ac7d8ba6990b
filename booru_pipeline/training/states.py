"""States of a training under way, from which the next attempt goes on as if there had been no break.

`<folder>/<key>/step-000000123/` has what transformers' Trainer resumes from (model, optimizer, schedule, random
numbers, position in the data) and `progress.json`, what is ours. It is written under another name, flushed and renamed.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from filelock import Timeout
from safetensors import SafetensorError

from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.lake.locks import lock_on
from booru_pipeline.lake.publish import flush
from booru_pipeline.training.job import LOCKED_PROBLEM
from booru_pipeline.training.processes import Processes
from booru_pipeline.training.progress import Progress

_STATE: Final = re.compile(r"step-\d{9}")
_LOCK: Final = "lock"
_WAIT_S: Final = 1.0  # longer than `is_training` holds the lock


class States:
    """The states of one release's training.

    Args:
        folder: For the release, made if it is not there.
        key: What is being trained. States of another key are removed: other data or options made them.
        kept: How many are kept, the newest ones.
        processes: The main one writes the files; all take part.

    Raises:
        BooruError: Another process is training into the folder, or it cannot be written.
    """

    def __init__(self, folder: Path, key: str, kept: int, processes: Processes) -> None:
        self.folder = _of(folder, key)
        self._release = folder
        self._key = key
        self._kept = kept
        self._processes = processes
        if processes.is_main:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = lock_on(folder / _LOCK)
                self._lock.acquire(timeout=_WAIT_S)
                _remove(path for path in folder.iterdir() if path not in (self.folder, folder / _LOCK))
                _remove(path for path in self.folder.iterdir() if not _STATE.fullmatch(path.name))
            except Timeout:
                raise BooruError(f"{LOCKED_PROBLEM} (it holds {folder / _LOCK}). Wait for it or end it.") from None
            except OSError as error:
                raise BooruError(
                    f"cannot keep training states in {folder}: {error.strerror}. "
                    "Make it writable, or set states_kept to 0 to do without."
                ) from error

    def newest(self) -> Path | None:
        """The newest state that is whole."""
        return newest_state(self._release, self._key)

    def write(self, step: int, parts: Callable[[Path], None], progress: Callable[[], Progress]) -> str | None:
        """Write a state, then remove all but the newest. All processes must call it.

        Args:
            step: Optimizer steps so far.
            parts: Writes a process's files into a folder.
            progress: Gives what goes into `progress.json`, but for `files`.

        Returns:
            None, or what went wrong in one of the processes; the former states are then untouched.
        """
        final = self.folder / f"step-{step:09d}"
        draft = final.with_name(f".{final.name}")
        problem = None
        try:
            draft.mkdir(parents=True, exist_ok=True)
            parts(draft)
        except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors wrap the disk's errors
            problem = first_line(error)
        (failed,) = self._processes.total([float(problem is not None)])
        if not self._processes.is_main:
            return problem
        if failed:
            problem = problem or "another process could not write its part"
        else:
            try:
                self._publish(draft, final, progress())
            except OSError as error:
                problem = first_line(error)
        _remove([draft])
        return problem

    def _publish(self, draft: Path, final: Path, progress: Progress) -> None:
        progress.files = {path.name: path.stat().st_size for path in draft.iterdir()}
        progress.write(draft)
        for path in [*draft.iterdir(), draft]:
            flush(path)
        _remove([final])  # of an earlier attempt that was not whole
        os.replace(draft, final)
        flush(self.folder)
        _remove(sorted(path for path in self.folder.iterdir() if _STATE.fullmatch(path.name))[: -self._kept])


def newest_state(folder: Path, key: str) -> Path | None:
    """The newest state of a key that is whole, in the folder of a release."""
    of_key = _of(folder, key)
    states = sorted(of_key.iterdir(), reverse=True) if of_key.is_dir() else []
    return next((path for path in states if _STATE.fullmatch(path.name) and _is_whole(path)), None)


def is_training(folder: Path) -> bool:
    """Whether a process is training into the folder of a release now."""
    lock = folder / _LOCK
    if not lock.exists():
        return False
    try:
        with lock_on(lock, blocking=False):
            return False
    except OSError:  # held, which is a Timeout; or not ours to write, and so not ours to say that nobody does
        return True


def step_of(state: Path) -> int:
    """Optimizer steps that were done when the state was written."""
    return int(state.name.removeprefix("step-"))


def _of(folder: Path, key: str) -> Path:
    return folder / (key or "any")


def _is_whole(state: Path) -> bool:
    try:
        files = Progress.read(state).files
        return all((state / name).stat().st_size == size for name, size in files.items())
    except (BooruError, OSError):
        return False


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
