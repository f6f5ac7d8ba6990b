"""Starting the training payload from a step: when it may, and what to say when it does not end well."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
from filelock import BaseFileLock, Timeout

from booru_pipeline.dataset.gate import GateReport
from booru_pipeline.defs.runs.history import INTERRUPTED
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.locks import lock_on
from booru_pipeline.orphan import PARENT_VARIABLE
from booru_pipeline.training.job import INTERRUPTED_PROBLEM, LOCKED_PROBLEM, TrainingJob

TRAINING_POOL: Final = "training"  # one at a time by default, see dagster.yaml
_WAIT_S: Final = 1


@contextmanager
def training_slot(context: dg.AssetExecutionContext | dg.OpExecutionContext, lake: Lake) -> Iterator[None]:
    """Hold one of the training pool's slots, after waiting for it.

    The queue keeps the pool's limit among the runs that it starts, but the shell's do not pass through it. A slot is a
    lock, which the kernel drops with the process.

    Raises:
        BooruError: The home cannot be written.
    """
    limits = {pool.name: pool.limit for pool in context.instance.event_log_storage.get_pool_limits()}
    slots = [lock_on(lake.training_slot(number)) for number in range(max(limits.get(TRAINING_POOL, 1), 1))]
    if not any(map(_take, slots)):
        context.log.info("another training is under way in this home: waiting for it to end")
        while not any(map(_take, slots)):
            time.sleep(_WAIT_S)
    try:
        yield
    finally:
        for slot in slots:
            slot.release()


def _take(slot: BaseFileLock) -> bool:
    try:
        Path(slot.lock_file).parent.mkdir(parents=True, exist_ok=True)
        slot.acquire(blocking=False)
    except Timeout:
        return False
    except OSError as error:
        raise BooruError(
            f"cannot write {slot.lock_file}, which keeps trainings apart: {error.strerror}. Make it writable, or "
            "choose another home with --home or BOORU_HOME."
        ) from error
    return True


def refuse_failed_gate(dataset: Path) -> None:
    """Nothing is trained on captions that lose labels.

    Raises:
        BooruError: The dataset's gate did not pass.
    """
    if failures := GateReport.read(dataset).failures:
        said = "; ".join(f"{reason.replace('_', ' ')}: {what}" for reason, what in failures.items())
        raise BooruError(f"nothing is trained on {dataset}, which did not pass its check: {said}.")


def run_payload(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    pipes: dg.PipesSubprocessClient,
    lake: Lake,
    job: Path,
    *,
    what: str,
    after: str,
) -> None:
    """Run the training payload on a job's file, once no other training is under way; with the step's process it ends.

    An interruption is noted on the run, so that it is asked for again.

    Raises:
        BooruError: It did not end well. If it left no word of why, the message says what was trained, and what comes
            after: what the next run does.
    """
    command = [sys.executable, "-m", "booru_pipeline.training.payload", str(job)]
    with training_slot(context, lake):
        try:
            pipes.run(context=context, command=command, env={PARENT_VARIABLE: str(os.getpid())}).get_results()
        except Exception as error:  # Dagster does not export the one it raises for an exit status
            problem = TrainingJob.read(job).problem
            known = problem.read_text(encoding="utf-8") if problem and problem.is_file() else None
            if known is None or known.startswith((INTERRUPTED_PROBLEM, LOCKED_PROBLEM)):
                context.instance.add_run_tags(context.run.run_id, {INTERRUPTED: f"the training, {context.run.run_id}"})
            raise BooruError(
                known
                or f"the training of {what} ended without a word ({str(error).rstrip('.')}): it was killed, perhaps "
                f"for want of memory, or the step's standard error in the UI says why. {after}"
            ) from error
