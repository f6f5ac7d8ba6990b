"""The command as a user types it: a process of its own, real output, real exit status."""

import contextlib
import fcntl
import os
import struct
import subprocess
import sys
import termios
from pathlib import Path

BOORU = Path(sys.executable).with_name("booru")
QUICK = {"BOORU_CHECKPOINT__MAX_STEPS": "60", "BOORU_CHECKPOINT__WANDB_PROJECT": ""}


def environment():
    return {**os.environ, **QUICK, "COLUMNS": "120"}


def booru(folder, *arguments, **more):
    return subprocess.run(
        [BOORU, *arguments], cwd=folder, env={**environment(), **more}, capture_output=True, text=True, timeout=300
    )


def piped(folder, *arguments, **more):
    """As `booru`, but with no width set: its output goes to a program."""
    return subprocess.run(
        [BOORU, *arguments],
        cwd=folder,
        env={**{name: value for name, value in environment().items() if name != "COLUMNS"}, **more},
        capture_output=True,
        text=True,
        timeout=300,
    )


def on_terminal(folder, *arguments, columns=80):
    """What it writes on a terminal of that width, and its exit status."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    env = {name: value for name, value in environment().items() if name != "COLUMNS"}
    process = subprocess.Popen(
        [BOORU, *arguments], cwd=folder, env={**env, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    chunks = []
    with contextlib.suppress(OSError):  # Linux's end of a terminal
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    os.close(ours)
    return b"".join(chunks).decode().replace("\r\n", "\n"), process.wait(60)


def assert_refused(result, *says):
    assert result.returncode == 1
    assert "Traceback" not in result.stderr + result.stdout
    assert len(result.stderr.strip().splitlines()) <= 2
    for text in says:
        assert text in result.stderr
