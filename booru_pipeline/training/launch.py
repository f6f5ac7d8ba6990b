"""How a training becomes several processes, and how they end with what started them."""

import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import psutil

from booru_pipeline.errors import BooruError
from booru_pipeline.training.job import TrainingJob

_ORPHAN_CHECK_S: Final = 0.5
PARENT_VARIABLE: Final = "BOORU_TRAINING_PARENT"  # who started it may be gone before it can look
_SHUTDOWN_S: Final = 120  # to write a state; torchrun's own limit is 30 s


def processes_for(path: Path) -> int:
    """How many processes the job in a file is to have: those it asks for, or one for each GPU."""
    try:
        asked = TrainingJob.read(path).options.processes
    except BooruError:  # who runs the job will say it
        return 1
    if asked:
        return asked
    import torch

    return max(1, torch.cuda.device_count())


def is_launched() -> bool:
    """Whether a launcher started this process as one of several."""
    return "RANK" in os.environ


def launch(count: int, module: str, arguments: Sequence[str]) -> NoReturn:
    """Become torchrun with that many processes of a module. The process id stays, and so whoever waits or signals."""
    os.environ.setdefault(PARENT_VARIABLE, str(os.getppid()))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torchrun's own choice, without its notice; the payload sets another
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    os.execv(sys.executable, [*torchrun, f"--shutdown-timeout={_SHUTDOWN_S}", "-m", module, *arguments])


def end_with_parent() -> None:
    """End this process when the one that started it, or the training, is gone: none may train on unseen."""
    parents = {os.getppid(), int(os.environ.get(PARENT_VARIABLE, os.getppid()))}

    def watch() -> None:
        try:
            living = [psutil.Process(parent) for parent in parents]
            while all(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in living):
                time.sleep(_ORPHAN_CHECK_S)
        except psutil.Error:  # gone between two looks, or before the first
            pass
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
