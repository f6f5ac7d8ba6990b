"""Locks on files, which keep two processes from writing the same artifact, and disks where they do not work."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from booru_pipeline.errors import BooruError

# What a kernel answers for a disk without locks: NFS without its lock service, some FUSE and SMB mounts.
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def lock_on(path: Path, *, blocking: bool = True) -> FileLock:
    """A lock that the kernel drops with the process; it is no other kind where the disk has none of these."""
    return FileLock(path, blocking=blocking, fallback_to_soft=False)


def check_locks(folder: Path) -> None:
    """Make sure that a lock in a folder can be taken, and not twice.

    Raises:
        BooruError: It cannot, or the folder cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=".lock-", dir=folder)  # of its own: others may look at the same time
        os.close(descriptor)
        probe = Path(name)
        try:
            with lock_on(probe, blocking=False), lock_on(probe, blocking=False):
                raise _without_locks(folder, "one was given twice")
        except Timeout:
            return
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def cannot_write(folder: Path, error: OSError) -> BooruError:
    """The error for people about a folder in which something could not be written or locked."""
    reason = error.strerror or str(error)
    if error.errno in _NO_LOCKS:
        return _without_locks(folder, reason)
    return BooruError(
        f"cannot write to {error.filename or folder}: {reason}. "
        "Make it writable, or choose another home with --home or BOORU_HOME."
    )


def _without_locks(folder: Path, reason: str) -> BooruError:
    return BooruError(
        f"{folder} is on a disk where file locks do not work ({reason}), and they keep two processes from writing the "
        "same artifact. Mount it with locks, or choose a home on a local disk with --home or BOORU_HOME."
    )
