"""Events of a soak as its process sees them: drops, kills, checkpoints that appear, messages to people."""

import http.server
import json
import random
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dagster as dg

from benchmarks.deployment import Deployment
from booru_pipeline.lake.record import read_record

POSTS: Final = 150
STEPS: Final = 60


@dataclass
class Drop:
    """A release that came into the raw folder, or came again with other bytes.

    Attributes:
        release: Its key.
        begun: When its first byte was there, in seconds since 1970.
        ended: When its last one was.
        correction: Whether it replaced an earlier one.
    """

    release: str
    begun: float
    ended: float
    correction: bool


def copy_in_bits(source: Path, target: Path, chance: random.Random, *, partial: bool) -> None:
    """Copy a file as a download or a slow disk does: growing under its name, or under another one first."""
    content = source.read_bytes()
    cuts = sorted(chance.randrange(len(content)) for _ in range(4))
    name = target.with_name(f"{target.name}.part") if partial else target
    with name.open("wb") as file:
        for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
            file.write(content[begin:end])
            file.flush()
            time.sleep(chance.uniform(0, 0.6))
    if partial:
        name.replace(target)


def drop(source: Path, raw: Path, release: str, chance: random.Random, *, correction: bool) -> Drop:
    """Copy a release's files."""
    begun = time.time()
    folder = raw / f"Safebooru {release}"
    folder.mkdir(exist_ok=True)
    for file in sorted((source / folder.name).iterdir(), key=lambda _: chance.random()):
        copy_in_bits(file, folder / file.name, chance, partial=chance.random() < 0.5)
    return Drop(release, begun, time.time(), correction)


@dataclass
class Kill:
    """A SIGKILL.

    Attributes:
        kind: One of `KINDS`.
        moment: Seconds since 1970.
        runs: The runs that were under way in what was killed, or all of them if it was the daemon.
        release: Whose run was killed, if only one was.
        step: What that run was at.
        state: The step of the newest training state, if there was one.
        key: What that state was on the way to.
    """

    kind: str
    moment: float
    runs: set[str]
    release: str = ""
    step: str = ""
    state: int = 0
    key: str = ""

    def __str__(self) -> str:
        where = f" {self.release} {self.step}".rstrip() + (f", state {self.state}" if self.state else "")
        return f"{self.kind}{where}"


@dataclass(frozen=True)
class Seen:
    """A checkpoint that appeared.

    Attributes:
        moment: When it was there.
        release: Whose.
        key: Of its record.
        lineage: What its provenance says.
    """

    moment: float
    release: str
    key: str
    lineage: list[str]


@dataclass
class Story:
    """All that happened, as this process saw it."""

    drops: list[Drop] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    checkpoints: list[Seen] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    begun: float = field(default_factory=time.time)

    def say(self, text: str) -> None:
        print(f"{time.time() - self.begun:6.1f} s  {text}", file=sys.stderr, flush=True)


def unfinished(deployment: Deployment) -> list[dg.DagsterRun]:
    return [run for run in deployment.instance.get_runs(limit=100) if not run.is_finished]


def at_work(deployment: Deployment) -> list[dg.DagsterRun]:
    return deployment.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))


def step_of(deployment: Deployment, run: dg.DagsterRun) -> str:
    """The step that a run began last."""
    events = deployment.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
    return (events[-1].dagster_event.step_key or "") if events and events[-1].dagster_event else ""


def newest_state(deployment: Deployment, release: str) -> tuple[int, str]:
    """The step of a release's newest training state and what it is on the way to; 0 if it has none."""
    paths = deployment.lake.training_states(release).glob("*/step-*/progress.json")
    return max([(int(path.parent.name.split("-")[1]), path.parents[1].name) for path in paths], default=(0, ""))


def watch_checkpoints(deployment: Deployment, story: Story, ended: threading.Event) -> None:
    """Note each checkpoint as it appears, since a killed run may not say that it published one."""
    known: dict[str, str] = {}
    while not ended.wait(0.1):
        for release in deployment.lake.releases_with(deployment.lake.checkpoint):
            folder = deployment.lake.checkpoint(release)
            record = read_record(folder)
            if record is not None and known.get(release) != record.key:
                with suppress(OSError, ValueError):  # replaced just now
                    lineage = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["lineage"]
                    known[release] = record.key
                    story.checkpoints.append(Seen(time.time(), release, record.key, lineage))


def webhook(story: Story) -> http.server.HTTPServer:
    """A server that takes the messages about failed runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            story.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
