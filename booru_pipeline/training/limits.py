"""Memory or disk that is full, named with a remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch

from booru_pipeline.errors import DISK_ERRORS, BooruError, first_line
from booru_pipeline.training.options import Plan, TrainingOptions

_DISK_WORDS: Final = ("No space left", "Disk quota", "Read-only file system", "File too large")
_MEMORY_WORDS: Final = ("can't allocate memory", "out of memory")


@contextmanager
def memory_named(options: TrainingOptions, plan: Plan) -> Iterator[None]:
    """Turn an allocation that failed within the block into an error that says what to set.

    Raises:
        BooruError: Memory is full.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        named = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not named and not any(word in str(error) for word in _MEMORY_WORDS):
            raise
        raise BooruError(
            f"out of memory with batch_size {plan.batch_size}. {_smaller(options, plan)} ({first_line(error)})"
        ) from error


def _smaller(options: TrainingOptions, plan: Plan) -> str:
    if plan.batch_size > 1:
        half, twice = plan.batch_size // 2, options.gradient_accumulation * 2
        return f"Set batch_size to {half} and gradient_accumulation to {twice}: the steps stay as large."
    if not options.gradient_checkpointing:
        return "Set gradient_checkpointing, which keeps fewer activations."
    return "Choose a smaller base model."


@contextmanager
def disk_named(folder: Path, *, state_stays: bool) -> Iterator[None]:
    """Turn a disk that is full within the block into an error that says what to do.

    Args:
        folder: What is written.
        state_stays: Whether there is a training state to go on from.

    Raises:
        BooruError: The disk is full or read-only.
    """
    try:
        yield
    except Exception as error:  # safetensors and tokenizers have exceptions of their own
        number = error.errno if isinstance(error, OSError) else None
        if number not in DISK_ERRORS and not any(word in str(error) for word in _DISK_WORDS):
            raise
        after = " The training state stays: the next materialization goes on from it." if state_stays else ""
        raise BooruError(
            f"cannot write the checkpoint to {folder}: {first_line(error)}. Free some space.{after}"
        ) from error
