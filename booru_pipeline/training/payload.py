"""The training program: ``python -m booru_pipeline.training.payload JOB.json``.

Runs alone, under Dagster Pipes, or as one of several processes under torchrun or `accelerate launch`, and leaves a
complete checkpoint folder at the job's output. Started alone it starts as many processes as the job wants. Exit status
1 with a message of one or two lines if something the user can mend is wrong, or if it was asked to end.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from booru_pipeline.errors import BooruError
from booru_pipeline.orphan import PARENT_VARIABLE
from booru_pipeline.training.interruption import Interruption
from booru_pipeline.training.job import TrainingJob

_MODULE: Final = "booru_pipeline.training.payload"
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


def launch(count: int, arguments: Sequence[str]) -> NoReturn:
    """Become torchrun with that many processes of this. The process id stays, and so whoever waits or signals."""
    os.environ.setdefault(PARENT_VARIABLE, str(os.getppid()))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torchrun's own choice, without its notice; the payload sets another
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    os.execv(sys.executable, [*torchrun, f"--shutdown-timeout={_SHUTDOWN_S}", "-m", _MODULE, *arguments])


def main(arguments: list[str]) -> int:
    """Run the job whose file is the only argument; gives the exit status."""
    if len(arguments) != 1:
        print(f"usage: python -m {_MODULE} JOB.json", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    launched = "RANK" in os.environ  # as one of several, by us, torchrun or accelerate
    if not launched and (count := processes_for(path)) > 1:
        launch(count, arguments)
    with Interruption().watched() as interruption:
        from booru_pipeline.training.finetune import finetune  # torch takes seconds, and a launcher has no use for it

        return finetune(path, interruption)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
