"""The command as a user types it: a process of its own, real output, real exit status."""

import os
import subprocess
import sys
from pathlib import Path

BOORU = Path(sys.executable).with_name("booru")
QUICK = {"BOORU_CHECKPOINT__MAX_STEPS": "60", "BOORU_CHECKPOINT__WANDB_PROJECT": ""}


def environment():
    return {**os.environ, **QUICK, "COLUMNS": "120"}


def booru(folder, *arguments, **more):
    return subprocess.run(
        [BOORU, *arguments], cwd=folder, env={**environment(), **more}, capture_output=True, text=True, timeout=300
    )


def assert_refused(result, *says):
    assert result.returncode == 1
    assert "Traceback" not in result.stderr + result.stdout
    assert len(result.stderr.strip().splitlines()) <= 2
    for text in says:
        assert text in result.stderr
