"""Forks the command `booru` for each line it is given, so that a test does not wait for Dagster and torch every time.

Reads [arguments, folder, environment, file for standard output, file for standard error] and answers with the exit
status. Of the command's own module nothing is imported before: it looks at the terminal and the environment.
"""

import json
import os
import sys

import booru_pipeline.defs.trials
import booru_pipeline.evaluation.evaluate
import booru_pipeline.model.suggest  # noqa: F401  (what takes long)

for line in sys.stdin:
    arguments, folder, environment, out, err = json.loads(line)
    child = os.fork()
    if not child:
        for number, path in enumerate((os.devnull, out, err)):
            os.dup2(os.open(path, os.O_RDONLY if not number else os.O_WRONLY), number)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = arguments
        from booru_pipeline.cli import main

        os._exit(int(bool(main())))  # which ends by itself
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
