"""How a training becomes several processes."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from booru_pipeline.errors import BooruError
from booru_pipeline.parent import PARENT_VARIABLE
from booru_pipeline.training.job import TrainingJob

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
