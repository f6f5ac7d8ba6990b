"""One training at a time, whoever started it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import dagster as dg

from booru_pipeline.errors import BooruError
from booru_pipeline.lake import Lake

TRAINING_POOL: Final = "training"  # one at a time by default, see dagster.yaml
_LOOK_S: Final = 1


@contextmanager
def training_slot(context: dg.AssetExecutionContext | dg.OpExecutionContext, lake: Lake) -> Iterator[None]:
    """Hold one of the training pool's slots, after waiting for it.

    The queue keeps the pool's limit among the runs that it starts, but the shell's do not pass through it. A slot is a
    lock, which the kernel drops with the process.

    Raises:
        BooruError: The home cannot be written.
    """
    slots = _slots(context.instance)
    held = _take(lake, slots)
    if held is None:
        context.log.info("another training is under way in this home: waiting for it to end")
    while held is None:
        time.sleep(_LOOK_S)
        held = _take(lake, slots)
    try:
        yield
    finally:
        os.close(held)


def _slots(instance: dg.DagsterInstance) -> int:
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    return max(limits.get(TRAINING_POOL, 1), 1)


def _take(lake: Lake, slots: int) -> int | None:
    for number in range(slots):
        path = lake.training_slot(number)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_CREAT | os.O_RDWR)
        except OSError as error:
            raise BooruError(
                f"cannot write {path}, which keeps trainings apart: {error.strerror}. Make it writable, or choose "
                "another home with --home or BOORU_HOME."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            os.close(lock)
    return None
