"""Ending a process with the one that started it, however that ends.

`python -m booru_pipeline.orphan MODULE ARGUMENTS…` runs a module as `python -m` does, and ends its process group when
its parent is gone: a program that knows nothing of this, with all that it started.
"""

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

import psutil

_CHECK_S: Final = 0.5
_GRACE_S: Final = 3.0
PARENT_VARIABLE: Final = "BOORU_PARENT"  # our starter's pid; getppid() is already wrong if it died before we got here


def end_with_parent(end: Callable[[], None] = lambda: os._exit(1)) -> None:
    """End this process when its parent is gone, or the process that `PARENT_VARIABLE` names: none may go on unseen."""
    parents = {os.getppid(), int(os.environ.get(PARENT_VARIABLE, os.getppid()))}

    def watch() -> None:
        try:
            living = [psutil.Process(parent) for parent in parents]
            while all(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in living):
                time.sleep(_CHECK_S)
        except psutil.Error:  # gone between two checks, or before the first
            pass
        end()

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def end_group(group: int, number: int) -> None:
    """Send a signal to a process group that began with the process of that number; nothing if it is gone.

    Where there are no such groups, to the process and all that it started.
    """
    try:
        if hasattr(os, "killpg"):
            os.killpg(group, number)
        else:
            process = psutil.Process(group)
            for one in [*process.children(recursive=True), process]:
                one.send_signal(number)
    except (ProcessLookupError, psutil.Error):
        pass


def _end_own_group() -> None:
    """In order, and after some seconds by force; this process goes last."""

    def end() -> None:
        end_group(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_S)
        end_group(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        os._exit(1)

    # No daemon: the interpreter waits for it, whatever the module does.
    threading.Thread(target=end, name="end-group", daemon=False).start()


if __name__ == "__main__":
    _, module, *arguments = sys.argv
    end_with_parent(_end_own_group)
    os.environ.pop(PARENT_VARIABLE, None)  # whatever is started from here has parents of its own
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
