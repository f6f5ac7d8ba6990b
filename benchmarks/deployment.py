"""Code server and daemon as `deploy/compose.yaml` has them, kept alive, for the benchmarks that need both.

Dagster's history is the checkout's (`dagster.yaml`, SQLite), so that nothing but the project has to be installed.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import dagster as dg
import psutil
import yaml

from benchmarks.frame import ROOT
from booru_pipeline.defs.runs.instance import prepare_dagster_home
from booru_pipeline.lake.lake import Lake
from booru_pipeline.pipeline.settings import Settings, load_settings

PAYLOAD: Final = "booru_pipeline.training.payload"
_RESTART_S: Final = 1.0
_SERVER_S: Final = 120.0
QUICK: Final = {
    "BOORU_VOCABULARY__MIN_GENERAL_POSTS": "3",
    "BOORU_VOCABULARY__MIN_NAME_POSTS": "3",
    "BOORU_CHECKPOINT__MAX_STEPS": "5",
    "BOORU_CHECKPOINT__THREADS": "1",
    "BOORU_CHECKPOINT__WANDB_PROJECT": "",
    "BOORU_EVALUATION_REPORT__BOOTSTRAP_SAMPLES": "50",
    "HF_HUB_OFFLINE": "1",
}


class Deployment:
    """The services of the compose file, and a supervisor that starts again what died.

    Args:
        folder: For logs, the raw folder `raw` and the home `home`; made if it is not there.
        options: Variables, such as those of the settings.
        dagster: Changes to `dagster.yaml`, merged into its sections.

    Attributes:
        raw: The raw folder.
        lake: Where the artifacts are.
        instance: Dagster's, of this process.
    """

    def __init__(self, folder: Path, options: Mapping[str, str], dagster: Mapping[str, Any] | None = None) -> None:
        self.raw, self.lake, self._logs = folder / "raw", Lake(folder / "home"), folder / "logs"
        for path in (self.raw, self._logs):
            path.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BOORU_", "DAGSTER_"))}
        prepare_dagster_home(self.lake)
        if dagster:
            file = self.lake.dagster_home / "dagster.yaml"
            file.write_text(yaml.safe_dump(_merged(yaml.safe_load(file.read_text()), dagster)))
        self._environment = {
            **kept,
            **options,
            "BOORU_RAW": str(self.raw),
            "BOORU_HOME": str(self.lake.home),
            "DAGSTER_HOME": str(self.lake.dagster_home),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        # This process reads the settings as the services do.
        os.environ.update({name: value for name, value in self._environment.items() if name.startswith("BOORU_")})
        self.instance = dg.DagsterInstance.from_config(str(self.lake.dagster_home))
        self._port = _free_port()
        self._workspace = self._logs / "workspace.yaml"
        workspace = yaml.safe_load((ROOT / "deploy" / "workspace.yaml").read_text())
        workspace["load_from"][0]["grpc_server"].update(host="127.0.0.1", port=self._port)
        self._workspace.write_text(yaml.safe_dump(workspace))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def __enter__(self) -> "Deployment":
        self._start("code")
        wait_for(self._listens, _SERVER_S, "the code server")
        subprocess.run(self._command("setup"), env=self._environment, check=True, capture_output=True)
        self._start("daemon")
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._supervisor.join()
        for name in self.processes:
            self.kill(name, whole=True)
        self.instance.dispose()

    @property
    def settings(self) -> Settings:
        """As the services have them."""
        return load_settings()

    def booru(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command beside the services."""
        command = [sys.executable, "-c", "from booru_pipeline.cli import main; main()", *arguments]
        return subprocess.run(command, env=self._environment, cwd=self._logs, capture_output=True, text=True)

    def kill(self, name: str, *, whole: bool) -> None:
        """SIGKILL to a service, and to all that it started if it goes as a whole, as a container does."""
        with self._lock:
            process = psutil.Process(self.processes[name].pid)
            victims = [process]
            if whole:
                with suppress(psutil.Error):
                    victims += process.children(recursive=True)
            for victim in victims:
                with suppress(psutil.Error):
                    victim.send_signal(signal.SIGKILL)
            self.processes[name].wait()

    def cpu_seconds(self) -> float:
        """CPU time of the services and their children so far."""
        seconds = 0.0
        for service in self.processes.values():
            with suppress(psutil.Error):
                process = psutil.Process(service.pid)
                for item in [process, *process.children(recursive=True)]:
                    with suppress(psutil.Error):
                        times = item.cpu_times()
                        seconds += times.user + times.system
        return seconds

    def scans(self, since: float) -> list[Any]:
        """The sensor's ticks since a moment, in seconds since 1970."""
        sensors = [state for state in self.instance.all_instigator_state() if state.instigator_name == "new_releases"]
        return [
            tick
            for state in sensors
            for tick in self.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
        ]

    def payloads(self) -> list[psutil.Process]:
        """The training payloads that are alive."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                command = process.cmdline()
                ours = any(str(self.lake.home) in word for word in command)
                if PAYLOAD in command and ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def _command(self, service: str) -> list[str]:
        """The compose file's."""
        changes = {"0.0.0.0": "127.0.0.1", "4000": str(self._port), "workspace.yaml": str(self._workspace)}
        words = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"][service]["command"]
        program, *rest = [changes.get(word, word) for word in words]
        return [str(Path(sys.executable).with_name(program)), *rest]

    def _start(self, service: str) -> None:
        with (self._logs / f"{service}.log").open("ab") as log:
            self.processes[service] = subprocess.Popen(
                self._command(service),
                cwd=self._logs,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _supervise(self) -> None:
        while not self._ended.wait(0.3):
            for name in list(self.processes):
                if self.processes[name].poll() is not None and not self._ended.wait(_RESTART_S):
                    with self._lock:
                        self._start(name)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def wait_for(attempt: Callable[[], Any], seconds: float, what: str, every: float = 0.1) -> Any:
    """Try until there is a true answer.

    Raises:
        SystemExit: There was none in that time.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if answer := attempt():
            return answer
        time.sleep(every)
    raise SystemExit(f"waited {seconds:.0f} s for {what} in vain")


def _merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    nested = {name: _merged(base.get(name) or {}, item) for name, item in changes.items() if isinstance(item, Mapping)}
    return {**base, **changes, **nested}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
