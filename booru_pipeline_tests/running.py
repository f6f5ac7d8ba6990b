"""`booru dev` as a user starts it, for tests that ask it or look at it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

QUICK = """
[checkpoint]
max_steps = 20
wandb_project = ""
[evaluation_report]
test_posts = 20
bootstrap_samples = 50
hidden_shares = [0.5]
[automation]
look_interval_s = 2
rest_s = 2
"""
BOORU = Path(sys.executable).with_name("booru")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Server:
    """The process, where the UI and the reports are, and what was written to the terminal."""

    pid: int
    ui: str
    reports: str
    log: Path

    def graphql(self, text: str, **variables: Any) -> Any:
        """The answer to a query or mutation, as the UI sends them."""
        request = urllib.request.Request(
            f"{self.ui}/graphql",
            json.dumps({"query": text, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                content = json.load(response)
        except urllib.error.HTTPError as error:  # with an answer: a mutation was refused
            content = json.load(error)
        assert "errors" not in content, content
        return content["data"]


@contextmanager
def booru_dev(raw: Path, home: Path, config: Path) -> Iterator[Server]:
    """The server, on ports that are free; it may not answer yet. At the end all its processes are gone."""
    ui, reports = free_port(), free_port()
    log = home / "dev.log"
    with log.open("w") as terminal:
        process = subprocess.Popen(
            [BOORU, "dev", "--port", str(ui)],
            cwd=home,
            env={
                **os.environ,
                "BOORU_RAW": str(raw),
                "BOORU_HOME": str(home),
                "BOORU_CONFIG": str(config),
                "BOORU_REPORTS_URL": f"http://127.0.0.1:{reports}",
            },
            stdout=terminal,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(process.pid, f"http://127.0.0.1:{ui}", f"http://127.0.0.1:{reports}", log)
    finally:
        # At once: how it ends in order is test_dev_server.py's to see.
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def eventually(attempt: Callable[[], Answer], explain: Callable[[], str] = lambda: "") -> Answer:
    """Try until there is a true answer; the machine may be slow, so long."""
    for _ in range(1200):
        try:
            if answer := attempt():
                return answer
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"no answer: {explain()}")
