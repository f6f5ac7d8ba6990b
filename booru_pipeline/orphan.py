"""Ending a process with the one that started it, however that ends."""

import os
import threading
import time
from typing import Final

import psutil

_CHECK_S: Final = 0.5
PARENT_VARIABLE: Final = "BOORU_PARENT"  # our starter's pid; getppid() is already wrong if it died before we got here


def end_with_parent() -> None:
    """End this process when its parent is gone, or the process that `PARENT_VARIABLE` names: none may go on unseen."""
    parents = {os.getppid(), int(os.environ.get(PARENT_VARIABLE, os.getppid()))}

    def watch() -> None:
        try:
            living = [psutil.Process(parent) for parent in parents]
            while all(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in living):
                time.sleep(_CHECK_S)
        except psutil.Error:  # gone between two checks, or before the first
            pass
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
