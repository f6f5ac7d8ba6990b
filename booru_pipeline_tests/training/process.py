"""The payload in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.options import TrainingOptions

REPOSITORY = Path(__file__).parents[2]
PAYLOAD = "booru_pipeline.training.payload"


def command(job: Path) -> list[str]:
    return [sys.executable, "-m", PAYLOAD, str(job)]


def run_payload(job: Path, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(job), cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False)


class Forks:
    """Payload processes that are forked from one where torch is imported already."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "booru_pipeline_tests.training.fork_server"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, order: Any) -> int:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def start(self, job: Path) -> "Fork":
        """Standard error goes to a new file, the log."""
        log = str(job.with_suffix(f".{time.monotonic_ns()}.err"))
        return Fork(self, self.ask([str(job), log]), Path(log))

    def run(self, job: Path) -> "Fork":
        """To its end."""
        fork = self.start(job)
        assert fork.status is not None
        return fork

    def close(self) -> None:
        self._server.kill()
        self._server.communicate()


@dataclass
class Fork:
    server: Forks
    pid: int
    log: Path

    def __enter__(self) -> "Fork":
        return self

    def __exit__(self, *_: object) -> None:
        if "status" not in self.__dict__:
            os.kill(self.pid, signal.SIGKILL)
            assert self.status is not None

    @cached_property
    def status(self) -> int:
        """The exit status, minus the signal that killed it; waits for it."""
        return self.server.ask(self.pid)

    @property
    def said(self) -> str:
        return self.log.read_text()


def job_in(folder: Path, made: tuple[Path, Path], options: Mapping[str, Any], **fields: Any) -> TrainingJob:
    """A small job that writes into a folder."""
    quick = {"time_limit_s": 0, "threads": 1, "wandb_project": "", "evaluations": 1, "log_interval_s": 1000}
    return TrainingJob(
        vocabulary=made[0],
        dataset=made[1],
        options=TrainingOptions(**{**quick, **options}),
        **{
            "output": folder / "checkpoint",
            "base_name": "tiny",
            "states": folder / "states",
            "key": "k",
            "problem": folder / "problem.txt",
            **fields,
        },
    )


def wait_until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found
