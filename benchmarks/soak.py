"""The automation under fire: small releases dropped in random order, services and runs killed, files corrected.

    python benchmarks/soak.py                                  # 12 releases, 10 kills, at most 20 minutes
    python benchmarks/soak.py --releases 4 --kills 4 --seed 3  # some 4 minutes

Code server and daemon run as `deploy/compose.yaml` has them and are started again by a supervisor, as compose and
systemd do. Releases are copied into the raw folder in bits, at random moments, with `strategy = "continue"`, so that it
matters which checkpoint went on from which. SIGKILL hits the daemon, the code server with all that runs in it, a run's
process (in some stage, or the moment that a stage has published), and the training payload (also once it has a state).
Some releases are corrected, one of them while its run is under way.

In the end everything is verified from the artifacts, Dagster's history and what this process saw, a line each; exit
status 1 if one of them fails.
"""

import argparse
import datetime
import http.server
import itertools
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dagster as dg
import psutil
from deployment import QUICK, Deployment

from booru_pipeline.defs.automation.failed_runs import describe_failure
from booru_pipeline.defs.runs.history import PARTITION, Outcome, PastRun, failure_of, runs_of
from booru_pipeline.defs.runs.instance import process_of
from booru_pipeline.lake.publish import leftovers
from booru_pipeline.lake.record import read_record
from booru_pipeline.pipeline.freshness import target_keys
from booru_pipeline.pipeline.stages import PATHS, Stage
from booru_pipeline.release.find import find_releases
from booru_pipeline.release.fingerprint import release_fingerprint
from booru_pipeline.release.key import release_order
from booru_pipeline.sample import generate

POSTS: Final = 150
STEPS: Final = 60
CALM_S: Final = 15  # without a run, before one asks whether all is made
STUCK_S: Final = 90  # without a run: nothing more will come
SECONDS_A_DROP: Final = 10  # on average, so that there is always something under way
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
SETTINGS: Final = {
    **QUICK,
    "BOORU_CHECKPOINT__STRATEGY": "continue",
    "BOORU_CHECKPOINT__MAX_STEPS": str(STEPS),
    "BOORU_CHECKPOINT__STATE_INTERVAL_STEPS": "5",
    "BOORU_AUTOMATION__REST_S": "5",
    "BOORU_AUTOMATION__CRON": "",
}


# --- The raw folder --------------------------------------------------------------------------------------------------


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


# --- What is seen meanwhile ------------------------------------------------------------------------------------------


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
    """What the failed runs are told to."""

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


# --- The kills -------------------------------------------------------------------------------------------------------


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
            folder = PATHS[stage](lake, "2021a").parent
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
        own = False
        with suppress(OSError, psutil.Error):
            states = self._deployment.lake.training_states(release).glob("*/step-*/progress.json")
            own = any(path.stat().st_mtime > payloads[0].create_time() for path in states)
        if after_state and not own:
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


# --- The verification ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A run of the history.

    Attributes:
        past: What the automation reads of it.
        created: When it was asked for, in seconds since 1970.
        started: When its process began, or None.
    """

    past: PastRun
    created: float
    started: float | None

    @property
    def ended(self) -> float:
        return self.past.ended or time.time()


class Findings:
    """The lines of the table."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, list[str], str]] = []

    def add(self, what: str, look: Callable[[], Iterable[str]], note: Callable[[], str] = str) -> None:
        try:
            self.lines.append((what, list(look()), note()))
        except Exception as error:  # of what is not there, for one
            self.lines.append((what, [repr(error)], ""))

    @property
    def failed(self) -> bool:
        return any(problems for _, problems, _ in self.lines)

    def show(self) -> None:
        print("| what is to hold | | seen |\n|---|---|---|")
        for what, problems, note in self.lines:
            shown = "; ".join(problems[:6]) + (f"; and {len(problems) - 6} more" if len(problems) > 6 else "")
            print(f"| {what} | {'FAIL' if problems else 'PASS'} | {shown or note} |")


class Verification:
    """Everything that must hold in the end."""

    def __init__(self, deployment: Deployment, story: Story) -> None:
        self._deployment, self._story = deployment, story
        self.settings, self.lake, self.instance = deployment.settings, deployment.lake, deployment.instance
        self.found = find_releases(deployment.raw)
        self.keys = self.found.keys
        self.runs: dict[str, list[Run]] = {key: self._runs(key) for key in self.keys}
        self.corrected = {item.release for item in story.drops if item.correction}

    def _runs(self, key: str) -> list[Run]:
        records = {item.dagster_run.run_id: item for item in self.instance.get_run_records(limit=1000)}
        runs = []
        for past in reversed(runs_of(self.instance, key)):
            record = records[past.id]
            runs.append(Run(past, record.create_timestamp.timestamp(), record.start_time))
        return runs

    @property
    def all_runs(self) -> list[Run]:
        return [run for runs in self.runs.values() for run in runs]

    def verify(self) -> Findings:
        findings = Findings()
        findings.add("`booru status --check` is green", self._status, lambda: f"{len(self.keys)} releases")
        findings.add(
            "one good artifact a release and stage, fresh, and its checks hold", self._artifacts, self._counted
        )
        findings.add("no leftovers: staging, states, processes, runs under way", self._leftovers)
        findings.add("each checkpoint went on from the newest earlier one of its time", self._lineages)
        findings.add("a correction remakes that release alone", self._remade, lambda: ", ".join(sorted(self.corrected)))
        findings.add("no run without a cause", self._causes, lambda: f"{len(self.all_runs)} runs")
        findings.add("nothing is asked for again after a success", self._after_success)
        findings.add("Dagster knows of each artifact, once", self._materializations)
        findings.add("the checks that block were evaluated on each artifact", self._evaluations)
        findings.add("a training that had a state went on from it", self._resumed, self._resumed_note)
        findings.add("no run failed by itself", self._own_failures)
        findings.add("each failed run was told of once, in the right words", self._messages, self._told)
        return findings

    # Each gives what is wrong, a phrase each.

    def _status(self) -> list[str]:
        done = self._deployment.booru("status", "--check")
        return [] if done.returncode == 0 else [done.stdout[-500:].replace("\n", " ")]

    def _counted(self) -> str:
        return f"{len(self.keys) * len(Stage)} artifacts"

    def _artifacts(self) -> Iterator[str]:
        relations = self.settings.tag_relations.fingerprints
        for stage in Stage:
            there = sorted(path.stem for path in PATHS[stage](self.lake, "2021a").parent.iterdir())
            if there != sorted(self.keys):
                yield f"{stage.value}: {there}"
        for release in self.found.releases:
            fingerprint = release_fingerprint(release, self.lake.raw_fingerprints, reread=True)
            keys = target_keys(release.key, fingerprint, self.settings, *relations)
            for stage in Stage:
                record = read_record(PATHS[stage](self.lake, release.key))
                if record is None or record.key != keys[stage]:
                    yield f"{stage.value} of {release.key} is not of the present bytes"
            try:
                yield from (f"{release.key}: {problem}" for problem in self._opened(release.key))
            except Exception as error:
                yield f"{release.key} does not open: {error!r}"

    def _opened(self, key: str) -> Iterator[str]:
        """What the blocking checks look at, looked at again, and every artifact opened by its own reader."""
        from datasets import load_from_disk
        from transformers import AutoModelForSeq2SeqLM

        from booru_pipeline.dataset.gate import read_gate
        from booru_pipeline.model.provenance import soundness_of
        from booru_pipeline.tag_table.load import summarise
        from booru_pipeline.training_shards.shards import count_lost, count_straddling
        from booru_pipeline.vocabulary.vocabulary import Vocabulary

        lake = self.lake
        summary = summarise(lake.tag_table(key))
        if not all(accounting.holds for accounting in summary.accounting) or any(summary.key_violations.values()):
            yield "lines unaccounted for, or keys violated"
        if any(count_lost(lake.training_shards(key), lake.tag_table(key)).values()):
            yield "the shards lack something"
        if count_straddling(*(lake.training_shards(other) for other in self.keys if other <= key)):
            yield "a picture on two sides"
        if failures := read_gate(lake.tokenized_dataset(key)).failures:
            yield f"the gate: {failures}"
        vocabulary = Vocabulary.load(lake.vocabulary(key))
        dataset = load_from_disk(str(lake.tokenized_dataset(key)))
        if not len(vocabulary) or not len(dataset["train"]):
            yield "an empty vocabulary or dataset"
        if not soundness_of(lake.checkpoint(key)).is_sound:
            yield "unsound weights"
        AutoModelForSeq2SeqLM.from_pretrained(lake.checkpoint(key))
        steps = json.loads((lake.checkpoint(key) / "provenance.json").read_text(encoding="utf-8"))["training"]["steps"]
        if steps != STEPS:
            yield f"trained for {steps} steps, not {STEPS}"
        report = lake.evaluation_report(key)
        if any(json.loads((report / "metrics.json").read_text(encoding="utf-8"))["leaks"].values()):
            yield "the report names leaks"
        if "</html>" not in (report / "report.html").read_text(encoding="utf-8"):
            yield "the report is cut short"

    def _leftovers(self) -> Iterator[str]:
        staging = [path.name for path in self.lake.staging.folder.iterdir() if path.name != "gate"]
        if staging or leftovers(self.lake.staging.folder):
            yield f"in .staging: {', '.join(staging)}"
        states = self.lake.training_states("any").parent
        for path in sorted(states.glob("*/*/step-*")) if states.is_dir() else []:
            yield f"state {path.relative_to(states)}"
        for process in self._deployment.payloads():
            yield f"payload {process.pid}"
        for run in unfinished(self._deployment):
            yield f"run {run.run_id[:8]} {run.status.value}"

    def _lineages(self) -> Iterator[str]:
        seen = self._story.checkpoints
        for key in self.keys:
            provenance = json.loads((self.lake.checkpoint(key) / "provenance.json").read_text(encoding="utf-8"))
            begun = self._step_begun(provenance["dagster_run"])
            before: dict[str, Seen] = {}
            for item in seen:
                if item.moment < begun and release_order(item.release) < release_order(key):
                    before[item.release] = item
            expected = before[max(before, key=release_order)] if before else None
            parent = provenance["parent"]
            if (expected and {"release": expected.release, "key": expected.key}) != parent:
                yield f"{key} has the parent {parent}, not {expected}"
            if provenance["lineage"] != [*(expected.lineage if expected else []), key]:
                yield f"{key} has the lineage {provenance['lineage']}"
            # What was there before its run was asked for must be in the chain, and nothing be jumped over.
            created = next(run.created for run in self.runs[key] if run.past.id == provenance["dagster_run"])
            first = {item.release: item.ended for item in reversed(self._story.drops) if not item.correction}
            due = [other for other in self.keys if other < key and first[other] < created - 60]
            if due and (expected is None or release_order(expected.release) < release_order(due[-1])):
                yield f"{key} jumped over {due[-1]}"

    def _step_begun(self, run_id: str) -> float:
        events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START)
        return next(e.timestamp for e in events if e.dagster_event and e.dagster_event.step_key == Stage.CHECKPOINT)

    def _remade(self) -> Iterator[str]:
        keys: dict[str, set[str]] = defaultdict(set)
        for item in self._story.checkpoints:
            keys[item.release].add(item.key)
        for key in self.keys:
            if len(keys[key]) > 1 + (key in self.corrected):
                yield f"{key} has had {len(keys[key])} checkpoints"

    def _killed(self, run: Run) -> Kill | None:
        """What killed a run, if this process did."""
        return next((kill for kill in self._story.kills if run.past.id in kill.runs), None)

    def _overtaken(self, run: Run) -> bool:
        """Whether an earlier release came, or its own files changed, between the run's request and its end."""
        return any(
            item.begun < run.ended
            and item.ended > run.created - 15
            and (item.release == self._release(run) or release_order(item.release) < release_order(self._release(run)))
            for item in self._story.drops
        )

    def _release(self, run: Run) -> str:
        return next(key for key, runs in self.runs.items() if run in runs)

    def _causes(self) -> Iterator[str]:
        for key, runs in self.runs.items():
            for before, run in itertools.pairwise(runs):
                interrupted = before.past.outcome is Outcome.INTERRUPTED and self._killed(before) is not None
                overtaken = before.past.outcome is Outcome.OVERTAKEN and self._overtaken(before)
                loaded = before.past.job == "load_only" and before.past.target != run.past.target
                other = before.past.target != run.past.target and key in self.corrected
                if not (interrupted or overtaken or loaded or other):
                    yield f"{key}: run {run.past.id[:8]} after {before.past.id[:8]} ({before.past.outcome})"
            for run in runs:
                if run.past.outcome is Outcome.INTERRUPTED and self._killed(run) is None:
                    yield f"{key}: run {run.past.id[:8]} is said to be interrupted, and nobody killed it"

    def _after_success(self) -> Iterator[str]:
        for key, runs in self.runs.items():
            made: set[str | None] = set()
            for run in runs:
                if run.past.target in made:
                    yield f"{key}: run {run.past.id[:8]} for what was made"
                if run.past.outcome is Outcome.SUCCEEDED:
                    made.add(run.past.target)

    def _events(self, stage: Stage) -> list[dg.EventLogRecord]:
        asset = dg.AssetRecordsFilter(asset_key=dg.AssetKey(stage.value))
        return list(self.instance.fetch_materializations(asset, limit=10_000).records)

    def _materializations(self) -> Iterator[str]:
        for stage in Stage:
            versions = Counter(
                (record.partition_key, record.asset_materialization.tags.get("dagster/data_version"))
                for record in self._events(stage)
                if record.asset_materialization
            )
            for (key, version), count in versions.items():
                if count > 1:
                    yield f"{stage.value} of {key} was made {count} times from the same ({version})"
            for key in self.keys:
                record = read_record(PATHS[stage](self.lake, key))
                if record is not None and (key, record.key) not in versions:
                    yield f"{stage.value} of {key} is there and not in Dagster's history"

    def _evaluations(self) -> Iterator[str]:
        """By name: a passed evaluation of each blocking check, later than the artifact."""
        from booru_pipeline.defs.build import build_defs

        definitions = build_defs(self.settings)
        blocking = [
            spec.key
            for item in definitions.asset_checks or []
            for spec in item.check_specs
            if spec.blocking  # type: ignore[union-attr]
        ]
        passed: dict[tuple[str, str, str], float] = {}
        for run in self.all_runs:
            for entry in self.instance.all_logs(run.past.id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
                check = entry.dagster_event.asset_check_evaluation_data if entry.dagster_event else None
                if check is not None and check.passed:
                    name = (self._release(run), check.asset_key.to_user_string(), check.check_name)
                    passed[name] = max(passed.get(name, 0), entry.timestamp)
        for key in self.keys:
            for check in blocking:
                asset = check.asset_key.to_user_string()
                if asset not in set(Stage):
                    continue
                path = PATHS[Stage(asset)](self.lake, key)
                written = (path / "record.json" if path.is_dir() else path).stat().st_mtime
                if passed.get((key, asset, check.name), 0) < written:
                    yield f"{check.name} of {key}"

    def _resumed(self) -> Iterator[str]:
        for kill in self._story.kills:
            if not kill.state or kill.step != Stage.CHECKPOINT or not kill.kind.startswith(("payload", "run")):
                continue
            runs = self.runs[kill.release]
            row = next(index for index, run in enumerate(runs) if run.past.id in kill.runs)
            later = [run for run in runs[row + 1 :] if run.past.target == runs[row].past.target]
            if kill.key != self._made_of(kill.release):
                continue  # another parent by now, or other bytes: that state is of no use
            words = [self._went_on(run) for run in later]
            trained = next((step for step in words if step is not None), None)
            if trained is None and kill.kind != "run, just published" and later:
                yield f"{kill.release} had a state of step {kill.state} and began anew"
            elif trained is not None and trained < kill.state:
                yield f"{kill.release} had a state of step {kill.state} and went on from {trained}"

    def _made_of(self, release: str) -> str:
        """What the states of the checkpoint that is there were on the way to."""
        folder = self.lake.checkpoint(release)
        record = read_record(folder)
        parent = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["parent"]
        return "" if record is None else f"{record.key}-{parent['key']}" if parent else record.key

    def _resumed_note(self) -> str:
        steps = [step for run in self.all_runs if (step := self._went_on(run)) is not None]
        return f"{len(steps)} went on, from step {', '.join(map(str, steps)) or 'none'} of {STEPS}"

    def _went_on(self, run: Run) -> int | None:
        for entry in self.instance.all_logs(run.past.id):
            if "going on from step " in entry.user_message:
                return int(entry.user_message.split("going on from step ")[1].split(",")[0])
        return None

    def _own_failures(self) -> Iterator[str]:
        for run in self.all_runs:
            if run.past.outcome in (Outcome.FAILED, Outcome.CANCELED):
                failure = failure_of(self.instance, run.past.id)
                yield f"{self._release(run)} at {failure.step}: {failure.text[:200]}"

    def _messages(self) -> Iterator[str]:
        told = Counter(message["run_id"] for message in self._story.messages)
        for run in self.all_runs:
            if run.past.outcome not in (Outcome.INTERRUPTED, Outcome.OVERTAKEN):
                continue
            message = describe_failure(self.instance, self.instance.get_run_by_id(run.past.id))
            if f"release {self._release(run)} was {run.past.outcome.value}" not in message["text"]:
                yield message["text"][:200]
            if told[run.past.id] != 1:
                yield f"run {run.past.id[:8]} of {self._release(run)} was told of {told[run.past.id]} times"

    def _told(self) -> str:
        return f"{len(self._story.messages)} messages"


# --- The figures -----------------------------------------------------------------------------------------------------


def minutes_to_report(verification: Verification, story: Story) -> list[float]:
    """Minutes from the last byte of each drop to the first report of it."""
    minutes = []
    for item in story.drops:
        times = [
            record.timestamp
            for record in verification._events(Stage.EVALUATION_REPORT)
            if record.partition_key == item.release and record.timestamp > item.ended
        ]
        if times:
            minutes.append((min(times) - item.ended) / 60)
    return minutes


def seconds_of_looks(deployment: Deployment, since: float) -> list[float]:
    """What the sensor's looks took that found nothing to do."""
    seconds = []
    for state in deployment.instance.all_instigator_state():
        if state.instigator_name == "new_releases":
            ticks = deployment.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
            seconds += [tick.end_timestamp - tick.timestamp for tick in ticks if tick.end_timestamp]
    return seconds


def show_figures(deployment: Deployment, verification: Verification, story: Story, idle_since: float) -> None:
    outcomes = Counter(run.past.outcome for run in verification.all_runs)
    kinds = Counter(kill.kind for kill in story.kills)
    minutes = minutes_to_report(verification, story)
    looks = seconds_of_looks(deployment, idle_since)
    rows = [
        ("releases, posts each", f"{len(verification.keys)}, {POSTS}"),
        ("corrected", str(len(verification.corrected))),
        ("kills", f"{len(story.kills)}: {', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))}"),
        ("runs asked for", str(len(verification.all_runs))),
        *((f"runs {outcome.value}", str(outcomes[outcome])) for outcome in Outcome if outcomes[outcome]),
        ("minutes from last byte to report, median", f"{statistics.median(minutes):.1f}"),
        ("minutes from last byte to report, most", f"{max(minutes):.1f}"),
        ("a look with nothing to do, seconds", f"{statistics.median(looks):.2f} (median of {len(looks)})"),
        ("minutes in all", f"{(time.time() - story.begun) / 60:.1f}"),
    ]
    print("\n| | |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")


# --- All of it -------------------------------------------------------------------------------------------------------


def drop_all(
    deployment: Deployment,
    story: Story,
    source: Path,
    better: Path,
    keys: Sequence[str],
    chance: random.Random,
    ended: threading.Event,
) -> None:
    """Drop the releases in random order, and correct two of them: one under way, one at any moment after it came."""
    for file in source.glob("tag_*.json"):
        shutil.copy(file, deployment.raw)
    order = chance.sample(keys, len(keys))
    corrected = chance.sample(keys, min(2, len(keys) // 2))
    under_way, whenever = corrected[:1], corrected[1:]
    waiting = {key: chance.uniform(20, 60) for key in whenever}
    for key in order:
        story.drops.append(drop(source, deployment.raw, key, chance, correction=False))
        story.say(f"dropped {key}")
        until = time.monotonic() + chance.uniform(0, 2 * SECONDS_A_DROP)
        while time.monotonic() < until and not ended.wait(0.2):
            for other in list(under_way):
                at = {step_of(deployment, run) for run in at_work(deployment) if run.tags.get(PARTITION) == other}
                if at - {"", Stage.TAG_TABLE.value, "raw_release_release_is_whole"}:
                    under_way.remove(other)
                    story.drops.append(drop(better, deployment.raw, other, chance, correction=True))
                    story.say(f"corrected {other}, while at {', '.join(at)}")
    for key in [*under_way, *whenever]:
        ended.wait(waiting.get(key, 0))
        story.drops.append(drop(better, deployment.raw, key, chance, correction=True))
        story.say(f"corrected {key}")


def soak(folder: Path, seed: int, releases: int, kills: int, minutes: float) -> bool:
    """All of it; gives whether everything holds."""
    chance = random.Random(seed)
    keys = [f"2021{chr(ord('a') + row)}" for row in range(releases)]
    source, better = folder / "source", folder / "better"
    generate(source, releases=keys, posts=POSTS, seed=seed)
    generate(better, releases=keys, posts=POSTS, seed=seed + 1000)
    story = Story()
    server = webhook(story)
    options = {**SETTINGS, "BOORU_AUTOMATION__WEBHOOK": f"http://127.0.0.1:{server.server_port}/"}
    kinds = [KINDS[row % len(KINDS)] for row in range(kills)]
    chance.shuffle(kinds)
    ended = threading.Event()
    with Deployment(folder, options) as deployment:
        story.begun = time.time()
        killer = Killer(deployment, story, random.Random(chance.random()), kinds)
        dropper = (deployment, story, source, better, keys, random.Random(chance.random()), ended)
        threads = [
            threading.Thread(target=drop_all, args=dropper),
            threading.Thread(target=killer.work, args=(ended,)),
            threading.Thread(target=watch_checkpoints, args=(deployment, story, ended)),
        ]
        for thread in threads:
            thread.start()
        threads[0].join()
        left = minutes * 60 - (time.time() - story.begun) - 60
        quiet = threading.Event()
        until = time.monotonic() + left
        busy = time.monotonic()
        while time.monotonic() < min(until, busy + STUCK_S) and not quiet.is_set():
            if unfinished(deployment):
                busy = time.monotonic()
            elif time.monotonic() > busy + CALM_S and deployment.booru("status", "--check").returncode == 0:
                quiet.set()
            time.sleep(2)
        story.say("all is made" if quiet.is_set() else "it is stuck, or time is up")
        idle_since = time.time()
        time.sleep(40)  # for some looks that find nothing to do, and for the sensor of failed runs
        ended.set()
        for thread in threads[1:]:
            thread.join()
        verification = Verification(deployment, story)
        findings = verification.verify()
        findings.show()
        show_figures(deployment, verification, story, idle_since)
    server.shutdown()
    return not findings.failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of order, moments, kinds and contents (default 0)")
    parser.add_argument("--releases", type=int, default=12, help="how many (default 12)")
    parser.add_argument("--kills", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--minutes", type=float, default=20, help="at most (default 20)")
    parser.add_argument("--keep", type=Path, help="folder to work in and to leave behind")
    arguments = parser.parse_args()
    busy = os.getloadavg()[0]
    print(
        f"{datetime.date.today()}. {os.cpu_count()} cores, Python {platform.python_version()}, dagster "
        f"{dg.__version__}, {busy:.1f} other processes running. --seed {arguments.seed} --releases "
        f"{arguments.releases} --kills {arguments.kills}\n"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        holds = soak(folder.resolve(), arguments.seed, arguments.releases, arguments.kills, arguments.minutes)
    sys.stdout.flush()
    os._exit(not holds)  # DuckDB's binding prints pages at the usual exit


if __name__ == "__main__":
    main()
