"""`dagster dev` under supervision: one on a home, its words in a file, and nothing of it left when we end."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import psutil
from filelock import Timeout

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.locks import lock_on
from booru_pipeline.orphan import PARENT_VARIABLE, end_group
from booru_pipeline.server.listening import address_of, listen

_LOOK_S: Final = 0.3
_ANSWER_S: Final = 30.0
_END_S: Final = 20.0  # for a training that is under way to write its state
_CLOCK_S: Final = 3.0
_LOCATIONS: Final = """{ workspaceOrError {
  ... on PythonError { message causes { message } }
  ... on Workspace { locationEntries { loadStatus locationOrLoadError {
    ... on PythonError { message causes { message } }
  } } }
} }"""


@dataclass(frozen=True)
class Running:
    """What the one that serves a home notes in it.

    Attributes:
        address: Of the web UI.
        pid: Of the supervisor.
        group: Of `dagster dev`, whose process group has its number; 0 before it is started.
        began: When that process was started, in seconds since 1970, to tell it from a later one of the same number.
    """

    address: str
    pid: int
    group: int = 0
    began: float = 0.0

    @classmethod
    def read(cls, note: Path) -> "Running | None":
        """The note, or None if there is none that can be read."""
        try:
            return cls(**json.loads(note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, note: Path) -> None:
        """Write it down."""
        note.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")


@contextmanager
def only_one(lake: Lake, host: str, port: int) -> Iterator[Path]:
    """Keep a home to one `booru dev` as long as the block runs, and gives the note that says which.

    What a killed one has left is ended first.

    Raises:
        BooruError: There is one, or the address cannot be listened on.
    """
    note, lock = lake.dev_note, lock_on(lake.dev_lock)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        other = Running.read(note)
        where = f": {other.address} (process {other.pid})" if other else ", and is starting"
        how = f", or `kill {other.pid}`" if other else ""
        raise BooruError(
            f"`booru dev` runs on {lake.home} already{where}. Use that one, or end it first: Ctrl-C there{how}."
        ) from None
    except OSError as error:
        raise BooruError(
            f"cannot lock {lock.lock_file}: {error.strerror}. Choose a home on a disk that has file locks, with --home."
        ) from error
    with lock:
        if (left := Running.read(note)) is not None:
            _end(left)
        listen(host, port, "UI", f"Choose another address with --port, such as {port % 65000 + 10}, or --host.").close()
        Running(address_of(host, port), os.getpid()).write(note)
        try:
            yield note
        finally:
            note.unlink(missing_ok=True)
            lock.release()


def _end(left: Running) -> None:
    """End what a supervisor that was killed has left: it is ending by itself, but not at once."""
    with suppress(psutil.Error):
        process = psutil.Process(left.group)
        if left.group and abs(process.create_time() - left.began) < _CLOCK_S:
            end_group(left.group, getattr(signal, "SIGKILL", signal.SIGTERM))
            process.wait(_END_S)


def supervise(lake: Lake, note: Path, arguments: Sequence[str], ready: Callable[[str | None], None]) -> None:
    """Run `dagster dev` until a signal comes.

    Args:
        lake: The home.
        note: Of `only_one`.
        arguments: Of `dagster dev`.
        ready: Called when the UI answers; is given why the graph could not be loaded, or None.

    Raises:
        BooruError: It ended by itself.
    """
    running = Running.read(note)
    assert running is not None
    command = [sys.executable, "-m", "booru_pipeline.orphan", "dagster", "dev", "--log-level", "warning", *arguments]
    former = signal.signal(signal.SIGTERM, _interrupt)
    with lake.dev_log.open("wb") as log:
        process = subprocess.Popen(
            command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes to this process alone, which ends the others in order
        )
    try:
        began = psutil.Process(process.pid).create_time()
        Running(running.address, running.pid, process.pid, began).write(note)
        ready(_wait_for(process, running.address))
        process.wait()
    except KeyboardInterrupt:
        end_group(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(_END_S)
        return
    except _Ended:
        pass
    finally:
        end_group(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()
        signal.signal(signal.SIGTERM, former)
    raise BooruError(f"the UI has ended: {_last_words(lake.dev_log)}. {lake.dev_log} says more.")


class _Ended(Exception):
    """Dagster has ended before its UI answered."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _environment() -> dict[str, str]:
    return {**os.environ, PARENT_VARIABLE: str(os.getpid())}


def _wait_for(process: "subprocess.Popen[bytes]", address: str) -> str | None:
    """Wait until the UI has loaded the graph; gives why it could not, or None."""
    while process.poll() is None:
        with suppress(OSError, ValueError):
            workspace = _ask(address)
            entries = workspace.get("locationEntries", [{"locationOrLoadError": workspace}])
            if entries and all(entry.get("loadStatus") != "LOADING" for entry in entries):
                errors = [entry["locationOrLoadError"] or {} for entry in entries]
                return next((_reason(error) for error in errors if "message" in error), None)
        time.sleep(_LOOK_S)
    raise _Ended


def _ask(address: str) -> dict[str, Any]:
    body = json.dumps({"query": _LOCATIONS}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_ANSWER_S) as response:
        workspace: dict[str, Any] = json.load(response)["data"]["workspaceOrError"]
        return workspace


def _reason(error: dict[str, Any]) -> str:
    return printable(str([error, *error.get("causes", [])][-1]["message"]).strip().splitlines()[0])


def _last_words(log: Path) -> str:
    """The line of a log that says what went wrong, as far as one can tell."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "Error: " in line or "Exception: " in line]
    return printable((telling or lines or ["without a word"])[-1]).rstrip(".")
