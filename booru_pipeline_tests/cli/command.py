"""The command as a user types it: a process of its own, real output, real exit status."""

import contextlib
import fcntl
import functools
import json
import os
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import pytest

BOORU = Path(sys.executable).with_name("booru")
QUICK = {
    "BOORU_CHECKPOINT__MAX_STEPS": "60",
    "BOORU_CHECKPOINT__WANDB_PROJECT": "",
    "BOORU_EVALUATION_REPORT__BOOTSTRAP_SAMPLES": "50",
    "BOORU_EVALUATION_REPORT__HIDDEN_SHARES": "[0.5]",  # the plots of each share take a second
}


def environment():
    return {**os.environ, **QUICK, "COLUMNS": "120"}


@contextlib.contextmanager
def quick_settings():
    """This process, and those that it starts, have the settings of `environment`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK.items():
            patch.setenv(name, value)
        yield


def booru(folder, *arguments, **more):
    return forked(folder, arguments, {**environment(), **more})


def piped(folder, *arguments, **more):
    """As `booru`, but with no width set: its output goes to a program."""
    env = {name: value for name, value in environment().items() if name != "COLUMNS"}
    return forked(folder, arguments, {**env, **more})


@functools.cache
def _server():
    """One a test process; it ends when its input is closed, with us."""
    return subprocess.Popen(
        [sys.executable, "-m", "booru_pipeline_tests.cli.fork_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def forked(folder, arguments, env):
    """The command in a process that has what takes long imported already."""
    command = [str(BOORU), *map(os.fsdecode, arguments)]
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        order = [command, str(folder), dict(env), out.name, err.name]
        server = _server()
        server.stdin.write(json.dumps(order) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(command, status, *(Path(file.name).read_text() for file in (out, err)))


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
