"""The kills of a soak: the daemon, the code server, runs and training payloads, each at a moment of its own kind."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import dagster as dg
import psutil

from benchmarks.deployment import Deployment
from benchmarks.soak.story import Kill, Story, at_work, newest_state, step_of, unfinished
from booru_pipeline.defs.runs.history import PARTITION
from booru_pipeline.defs.runs.process import process_of
from booru_pipeline.pipeline.stages import Stage

KINDS: Final = (
    "payload with a state",
    "run",
    "daemon",
    "run, just published",
    "code server",
    "payload",
    "run",
    "daemon",
    "payload with a state",
    "run, just published",
)


class Killer:
    """Kills one thing after another, each at a moment of its own kind."""

    def __init__(self, deployment: Deployment, story: Story, chance: random.Random, kinds: Sequence[str]) -> None:
        self._deployment, self._story, self._chance, self._kinds = deployment, story, chance, kinds
        self._ways: dict[str, Callable[[], Kill | None]] = {
            "daemon": self._daemon,
            "code server": self._code_server,
            "run": self._run,
            "run, just published": self._published,
            "payload": lambda: self._payload(after_state=False),
            "payload with a state": lambda: self._payload(after_state=True),
        }

    def work(self, ended: threading.Event) -> None:
        for kind in self._kinds:
            ended.wait(self._chance.uniform(2, 14))
            while not ended.is_set():
                if (kill := self._ways[kind]()) is not None:
                    self._story.kills.append(kill)
                    self._story.say(f"killed: {kill}")
                    break
                time.sleep(0.1)

    def _daemon(self) -> Kill:
        runs = {run.run_id for run in unfinished(self._deployment)}
        self._deployment.kill("daemon", whole=False)
        return Kill("daemon", time.time(), runs)

    def _code_server(self) -> Kill | None:
        if not at_work(self._deployment):
            return None
        runs = {run.run_id for run in unfinished(self._deployment)}
        self._deployment.kill("code", whole=True)
        return Kill("code server", time.time(), runs)

    def _stage(self) -> Stage:
        """One that is likely to come: what waits is loaded early, and then not again."""
        return self._chance.choice(list(Stage)[0 if self._chance.random() < 0.3 else 2 :])

    def _run(self) -> Kill | None:
        stage = self._stage()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for run in at_work(self._deployment):
                if step_of(self._deployment, run).startswith(stage.value):
                    time.sleep(self._chance.uniform(0, 0.5))
                    return self._kill_process(run, "run")
            time.sleep(0.1)
        return None

    def _published(self) -> Kill | None:
        """The run of a release, as soon as one of its artifacts is there."""
        stage = self._stage()
        lake = self._deployment.lake

        def there() -> dict[str, int]:
            folder = stage.path(lake, "2021a").parent
            return {path.stem: path.stat().st_ino for path in folder.iterdir()} if folder.is_dir() else {}

        before, until, looked = there(), time.monotonic() + 20, 0.0
        runs: dict[str, dg.DagsterRun] = {}
        while time.monotonic() < until:
            if time.monotonic() - looked > 0.5:
                runs = {run.tags.get(PARTITION, ""): run for run in at_work(self._deployment)}
                looked = time.monotonic()
            with suppress(OSError):
                for release, inode in there().items():
                    if before.get(release) != inode and release in runs:
                        return self._kill_process(runs[release], "run, just published")
            time.sleep(0.002)
        return None

    def _kill_process(self, run: dg.DagsterRun, kind: str) -> Kill | None:
        process = process_of(run)
        if process is None:
            return None
        with suppress(psutil.Error):
            process.kill()
        release = run.tags.get(PARTITION, "")
        state = newest_state(self._deployment, release)
        return Kill(kind, time.time(), {run.run_id}, release, step_of(self._deployment, run), *state)

    def _payload(self, *, after_state: bool) -> Kill | None:
        payloads = self._deployment.payloads()
        runs = [run for run in at_work(self._deployment) if step_of(self._deployment, run) == Stage.CHECKPOINT]
        if not payloads or len(runs) != 1:
            return None
        release = runs[0].tags[PARTITION]
        has_state = False
        with suppress(OSError, psutil.Error):
            states = self._deployment.lake.training_states(release).glob("*/step-*/progress.json")
            has_state = any(path.stat().st_mtime > payloads[0].create_time() for path in states)
        if after_state and not has_state:
            return None
        if not after_state:
            time.sleep(self._chance.uniform(0, 3))
        try:
            payloads[0].kill()
        except psutil.Error:
            return None
        state = newest_state(self._deployment, release)
        kind = "payload with a state" if after_state else "payload"
        return Kill(kind, time.time(), {runs[0].run_id}, release, Stage.CHECKPOINT.value, *state)
