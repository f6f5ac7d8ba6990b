"""Publishing an artifact: written aside, then renamed, with a record of what it was made from.

A kill at any moment leaves either the former artifact or the new one under the final name, never half of one.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError

_LOCK: Final = "lock"
_DISK_ERRORS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


@dataclass(frozen=True)
class Staging:
    """Where artifacts are written first, and who else is to have them.

    Attributes:
        folder: On the file system of the artifacts, so that a rename publishes them; made if it is not there.
        publish: Is given the finished draft and the final name before the artifact has it; if it raises, it gets none.
        withdraw: Is given the final name of what is about to be removed.
    """

    folder: Path
    publish: Callable[[Path, Path], None] | None = None
    withdraw: Callable[[Path], None] | None = None

    def here(self) -> "Staging":
        """The same for what nobody else is to have."""
        return Staging(self.folder)


@contextmanager
def staged(final: Path, staging: Staging) -> Iterator[Path]:
    """Give a path to write an artifact to, and publish it as `final` when the block ends without an error.

    Args:
        final: The artifact's name, a file or a folder; the former one is replaced.
        staging: Where it is written first.

    Yields:
        A path with the same file name as `final` that does not exist yet. Write a file or make a folder there.

    Raises:
        BooruError: The folder cannot be written, or the disk is full.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        workspace, lock = _open_workspace(staging.folder, f"{final.parent.name}-{final.stem}-")
    except OSError as error:
        raise BooruError(
            f"cannot write to {error.filename or staging.folder}: {error.strerror}. "
            "Make it writable, or choose another home with --home or BOORU_HOME."
        ) from error
    try:
        draft = workspace / final.name
        yield draft
        _flush_all(draft)
        if staging.publish is not None:
            staging.publish(draft, final)
        _rename(draft, final, workspace)
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise BooruError(
            f"cannot write {final}: {error.strerror}. Free some space or choose another home with --home; "
            "the former artifact, if there was one, is untouched."
        ) from error
    finally:
        with _gate(staging.folder):  # so that no sweep looks into a folder that is going away
            shutil.rmtree(workspace, ignore_errors=True)
        os.close(lock)


def discard(final: Path, staging: Staging) -> None:
    """Remove an artifact. It leaves its name in one step, so that nobody reads half of it.

    Args:
        final: A file or a folder; it need not be there if others have it.
        staging: Where it is moved first.

    Raises:
        BooruError: It cannot be removed.
    """
    if staging.withdraw is not None:
        staging.withdraw(final)
        if not final.exists():
            return
    try:
        workspace, lock = _open_workspace(staging.folder, f"{final.parent.name}-{final.stem}-")
        try:
            with _gate(staging.folder):
                os.replace(final, workspace / "former")
        finally:
            with _gate(staging.folder):
                shutil.rmtree(workspace, ignore_errors=True)
            os.close(lock)
    except OSError as error:
        raise BooruError(f"cannot remove {final}: {error.strerror}. Make its folder writable.") from error


@contextmanager
def snapshot(final: Path, staging: Staging) -> Iterator[Path]:
    """Give a copy of an artifact, made of hard links, that stays as it is while others replace the artifact.

    Args:
        final: A file or a folder.
        staging: On the same file system.
    """
    workspace, lock = _open_workspace(staging.folder, f"{final.parent.name}-{final.stem}-")
    try:
        copy = workspace / final.name
        with _gate(staging.folder):
            if final.is_dir():
                shutil.copytree(final, copy, copy_function=os.link)
            else:
                os.link(final, copy)
        yield copy
    finally:
        with _gate(staging.folder):
            shutil.rmtree(workspace, ignore_errors=True)
        os.close(lock)


def leftovers(staging: Path) -> list[Path]:
    """Folders that writers left which are gone."""
    found = []
    for workspace in (path for path in staging.iterdir() if path.is_dir()) if staging.is_dir() else ():
        try:
            lock = os.open(workspace / _LOCK, os.O_RDONLY)
        except OSError:  # being made or removed just now, or no folder of ours
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            found.append(workspace)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
    return found


def sweep(staging: Path) -> None:
    """Remove what writers left which are gone."""
    if staging.is_dir():
        with _gate(staging):
            _sweep(staging)


def _open_workspace(staging: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder and hold its lock, which the kernel drops with the process: an unheld one marks a dead writer's."""
    staging.mkdir(parents=True, exist_ok=True)
    with _gate(staging):
        _sweep(staging)
        workspace = Path(tempfile.mkdtemp(prefix=prefix, dir=staging))
        lock = os.open(workspace / _LOCK, os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return workspace, lock


def _sweep(staging: Path) -> None:
    """Remove what killed writers left. The caller holds the gate, so that no workspace is half made."""
    for workspace in (path for path in staging.iterdir() if path.is_dir()):
        lock = os.open(workspace / _LOCK, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(workspace, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def _flush_all(draft: Path) -> None:
    for path in [draft, *draft.rglob("*")] if draft.is_dir() else [draft]:
        flush(path)


def _rename(draft: Path, final: Path, workspace: Path) -> None:
    # Two writers of one folder must not change it at once: each would find what the other has just moved.
    with _gate(workspace.parent):
        if final.is_dir():
            # rename(2) does not replace a folder that has files in it, so the former one steps aside first.
            os.replace(final, workspace / "former")
        os.replace(draft, final)
    flush(final.parent)


@contextmanager
def _gate(staging: Path) -> Iterator[None]:
    """Hold a lock that all writers of a home share, for moments only."""
    gate = os.open(staging / "gate", os.O_RDONLY | os.O_CREAT)  # not for writing: the disk may be read-only by now
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield
    finally:
        os.close(gate)


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
