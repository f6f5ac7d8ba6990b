"""The training program: ``python -m booru_pipeline.training.payload JOB.json``.

Runs alone, under Dagster Pipes, or as one of several processes under torchrun or `accelerate launch`, and leaves a
complete checkpoint folder at the job's output. Started alone it starts as many processes as the job wants. Exit status
1 with a message of one or two lines if something the user can mend is wrong, or if it was asked to end.
"""

import sys
from pathlib import Path
from typing import Final

from booru_pipeline.training.interruption import Interruption
from booru_pipeline.training.launch import is_launched, launch, processes_for

MODULE: Final = "booru_pipeline.training.payload"


def main(arguments: list[str]) -> int:
    """Run the job whose file is the only argument; gives the exit status."""
    if len(arguments) != 1:
        print(f"usage: python -m {MODULE} JOB.json", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    if not is_launched() and (count := processes_for(path)) > 1:
        launch(count, MODULE, arguments)
    with Interruption().watched() as interruption:
        from booru_pipeline.training.finetune import finetune  # torch takes seconds, and a launcher has no use for it

        return finetune(path, interruption)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
