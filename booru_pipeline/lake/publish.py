"""Publishing an artifact: written aside, then renamed, with a record of what it was made from.

A kill at any moment leaves either the former artifact or the new one under the final name, never half of one.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from booru_pipeline.errors import DISK_ERRORS, BooruError
from booru_pipeline.lake.locks import cannot_write, check_locks, lock_on

_LOCK: Final = "lock"


@dataclass(frozen=True)
class Staging:
    """Where artifacts are written first, and who else is to have them.

    Attributes:
        folder: On the file system of the artifacts, so that a rename publishes them; made if it is not there.
        publish: Is given the finished draft and the final name before the artifact has it; if it raises, it gets none.
        withdraw: Is given the final name of what is about to be removed.
    """

    folder: Path
    publish: Callable[[Path, Path], object] | None = None
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
        BooruError: The folder cannot be written, its disk has no locks, or it is full.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(final.parent, error) from error
    with _workspace(final, staging.folder) as workspace:
        draft = workspace / final.name
        try:
            yield draft
            for path in [draft, *draft.rglob("*")] if draft.is_dir() else [draft]:
                flush(path)
            if staging.publish is not None:
                staging.publish(draft, final)
            _rename(draft, final, workspace)
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            raise BooruError(
                f"cannot write {final}: {error.strerror}. Free some space or choose another home with --home; "
                "the former artifact, if there was one, is untouched."
            ) from error


@contextmanager
def staged_beside(target: Path, *, force: bool = False, folder: bool = False) -> Iterator[Path]:
    """As `staged`, for a file or folder that a person names, anywhere: the draft is on its file system.

    Args:
        target: The file, or the folder, which may be there if it is empty.
        force: Replace the file if it is there.
        folder: It is a folder.

    Raises:
        BooruError: It is a folder and should be none, it is there already, or its place cannot be written.
    """
    target = target.absolute()
    if folder:
        if target.exists() and not _is_empty_folder(target):
            raise BooruError(f"{target} is there already, and nothing of it is replaced. Name a new folder.")
    elif target.is_dir():
        raise BooruError(f"{target} is a folder. Name a file in it.")
    elif target.exists() and not force:
        raise BooruError(f"{target} is there already. Replace it with --force, or name another file.")
    staging = target.parent / f".{target.name}.staging"  # for this file's drafts only
    try:
        if folder:
            target.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(exist_ok=True)
    except OSError as error:
        raise BooruError(f"cannot write to {target.parent}: {error.strerror}. Choose another place.") from error
    try:
        with staged(target, Staging(staging)) as draft:
            yield draft
    finally:  # unless another writer uses it
        if staging.is_dir() and not any(path.is_dir() for path in staging.iterdir()):
            shutil.rmtree(staging, ignore_errors=True)


def _is_empty_folder(path: Path) -> bool:
    try:
        return path.is_dir() and not any(path.iterdir())
    except OSError as error:
        raise BooruError(f"{path} cannot be read: {error.strerror}. Name a new folder.") from error


def discard(final: Path, staging: Staging) -> None:
    """Remove an artifact. It leaves its name in one step, so that nobody reads half of it.

    It need not be there if others have it.

    Raises:
        BooruError: It cannot be removed.
    """
    if staging.withdraw is not None:
        staging.withdraw(final)
        if not final.exists():
            return
    try:
        with _workspace(final, staging.folder) as workspace, _gate(staging.folder):
            os.replace(final, workspace / "former")
    except OSError as error:
        raise BooruError(f"cannot remove {final}: {error.strerror}. Make its folder writable.") from error


@contextmanager
def snapshot(final: Path, staging: Staging) -> Iterator[Path]:
    """Give a copy of an artifact, made of hard links, that stays as it is while others replace the artifact.

    Raises:
        BooruError: The folder cannot be written.
    """
    with _workspace(final, staging.folder) as workspace:
        copy = workspace / final.name
        with _gate(staging.folder):
            duplicate(final, copy)
        yield copy


def duplicate(artifact: Path, to: Path) -> None:
    """Give a file or folder a second name, of hard links: nobody writes into what is published. Where the file system
    has none, it is copied.
    """
    if artifact.is_dir():
        shutil.copytree(artifact, to, copy_function=_link)
    else:
        _link(artifact, to)


def _link(source: str | Path, to: str | Path) -> None:
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def leftovers(staging: Path) -> list[Path]:
    """Folders that writers left which are gone. It does not take the gate, so that no writer waits for it."""
    return [path for path in _folders(staging) if (path / _LOCK).is_file() and _is_left(path)]


def sweep(staging: Path) -> None:
    """Remove what writers left which are gone, as far as it can be removed."""
    if staging.is_dir():
        with suppress(OSError), _gate(staging):
            _sweep(staging)


@contextmanager
def _workspace(final: Path, staging: Path) -> Iterator[Path]:
    """Give a folder to write in, which is removed at the end.

    Its lock is held meanwhile. The kernel drops it with the process, so one that nobody holds is a dead writer's.

    Raises:
        BooruError: Nothing can be written or locked there.
    """
    try:
        staging.mkdir(parents=True, exist_ok=True)
        check_locks(staging)
        with _gate(staging):
            _sweep(staging)
            workspace = Path(tempfile.mkdtemp(prefix=f"{final.parent.name}-{final.stem}-", dir=staging))
            lock = lock_on(workspace / _LOCK)
            lock.acquire()
    except OSError as error:
        raise cannot_write(staging, error) from error
    try:
        yield workspace
    finally:
        # Behind the gate, so that no sweep reads a folder that is going away. If the disk is read-only by now, the
        # folder stays, and the error that was met while writing is what people see.
        with suppress(OSError), _gate(staging):
            shutil.rmtree(workspace, ignore_errors=True)
        lock.release()


def _sweep(staging: Path) -> None:
    """Remove what killed writers left. The caller holds the gate, so that no workspace is half made."""
    for workspace in _folders(staging):
        if _is_left(workspace):
            shutil.rmtree(workspace, ignore_errors=True)


def _folders(staging: Path) -> list[Path]:
    return [path for path in staging.iterdir() if path.is_dir()] if staging.is_dir() else []


def _is_left(workspace: Path) -> bool:
    """Whether nobody holds a workspace's lock."""
    try:
        with lock_on(workspace / _LOCK, blocking=False):
            return True
    except OSError:  # Timeout is one: it is held. Or it cannot be locked: it is going away, or the disk is read-only
        return False


def _rename(draft: Path, final: Path, workspace: Path) -> None:
    # Two writers of one folder must not change it at once: each would find what the other has just moved.
    with _gate(workspace.parent):
        if final.is_dir():
            # rename(2) does not replace a folder that has files in it, so the former one steps aside first.
            os.replace(final, workspace / "former")
        os.replace(draft, final)
    flush(final.parent)


def _gate(staging: Path) -> FileLock:
    """The lock that all writers of a home share, and hold for moments only."""
    return lock_on(staging / "gate")


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before going on."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folder, and keeps names by itself
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
