"""Forks a payload for each line it is given, so that a test does not wait for torch to be imported every time.

Reads [job, file for standard error] and answers with the process id; reads a process id and answers with its status.
"""

import json
import os
import sys

import booru_pipeline.training.finetune  # noqa: F401  (what takes long)
from booru_pipeline.training.payload import main

for line in sys.stdin:
    order = json.loads(line)
    if isinstance(order, int):
        print(os.waitstatus_to_exitcode(os.waitpid(order, 0)[1]), flush=True)
        continue
    job, log = order
    child = os.fork()
    if not child:
        os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
        os._exit(main([job]))
    print(child, flush=True)
