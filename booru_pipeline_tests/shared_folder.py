"""Folders that take long to make: one of the test processes makes them, and each has a copy."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A copy, of this process alone, of what `make` puts into an empty folder."""
    base = factory.getbasetemp()
    together = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made, whole = together / f"{name}-made", together / f"{name}-whole"
    with FileLock(together / f"{name}.lock"):
        if not whole.exists():
            shutil.rmtree(made, ignore_errors=True)  # of a process that failed
            made.mkdir()
            make(made)
            whole.touch()
    return Path(shutil.copytree(made, factory.mktemp(name), dirs_exist_ok=True))
