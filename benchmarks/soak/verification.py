"""The claims that must hold after a soak, verified from the artifacts, Dagster's history and what was seen."""

import itertools
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import dagster as dg
import pyarrow.parquet as pq

from benchmarks.deployment import Deployment
from benchmarks.frame import show
from benchmarks.soak.story import STEPS, Kill, Seen, Story, unfinished
from booru_pipeline.audit.tables import SCHEMAS
from booru_pipeline.defs.automation.failed_runs import describe_failure
from booru_pipeline.defs.runs.history import Outcome, PastRun, failure_of, runs_of
from booru_pipeline.lake.publish import leftovers
from booru_pipeline.lake.record import read_record
from booru_pipeline.pipeline.freshness import expected_records
from booru_pipeline.pipeline.stages import Sources, Stage
from booru_pipeline.release.find import find_releases
from booru_pipeline.release.fingerprint import release_fingerprint
from booru_pipeline.release.key import release_order


@dataclass(frozen=True)
class Run:
    """A run of the history.

    Attributes:
        past: What the automation reads of it.
        release: The release's key.
        created: When it was asked for, in seconds since 1970.
    """

    past: PastRun
    release: str
    created: float

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
        rows = []
        for what, problems, note in self.lines:
            shown = "; ".join(problems[:6]) + (f"; and {len(problems) - 6} more" if len(problems) > 6 else "")
            rows.append([what, "FAIL" if problems else "PASS", shown or note])
        show(["what is to hold", "", "seen"], rows)


class Verification:
    """Everything that must hold in the end."""

    def __init__(self, deployment: Deployment, story: Story) -> None:
        self._deployment, self._story = deployment, story
        self.settings, self.lake, self.instance = deployment.settings, deployment.lake, deployment.instance
        self.found = find_releases(deployment.raw)
        self.keys = self.found.keys
        self.corrected = {item.release for item in story.drops if item.correction}
        records = self.instance.get_run_records(limit=1000)
        created = {record.dagster_run.run_id: record.create_timestamp.timestamp() for record in records}
        self.runs = {
            key: [Run(past, key, created[past.id]) for past in reversed(runs_of(self.instance, key))]
            for key in self.keys
        }

    @property
    def all_runs(self) -> list[Run]:
        return [run for runs in self.runs.values() for run in runs]

    def verify(self) -> Findings:
        findings = Findings()
        findings.add("`booru status --check` is green", self._status, lambda: f"{len(self.keys)} releases")
        findings.add(
            "one good artifact a release and stage, fresh, and its checks hold",
            self._artifacts,
            lambda: f"{len(self.keys) * len(Stage)} artifacts",
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
        findings.add(
            "each failed run was told of once, in the right words",
            self._messages,
            lambda: f"{len(self._story.messages)} messages",
        )
        return findings

    # Each gives what is wrong, a phrase each.

    def _status(self) -> list[str]:
        done = self._deployment.booru("status", "--check")
        return [] if done.returncode == 0 else [done.stdout[-500:].replace("\n", " ")]

    def _artifacts(self) -> Iterator[str]:
        relations = self.settings.tag_relations.fingerprints
        for stage in Stage:
            there = sorted(path.stem for path in stage.path(self.lake, "2021a").parent.iterdir())
            if there != sorted(self.keys):
                yield f"{stage.value}: {there}"
        for release in self.found.releases:
            fingerprint = release_fingerprint(release, self.lake.raw_fingerprints, reread=True)
            records = expected_records(release.key, Sources(fingerprint, *relations), self.settings)
            for stage in Stage:
                record = read_record(stage.path(self.lake, release.key))
                if record is None or record.key != records[stage].key:
                    yield f"{stage.value} of {release.key} is not of the present bytes"
            try:
                yield from (f"{release.key}: {problem}" for problem in self._opened(release.key))
            except Exception as error:
                yield f"{release.key} does not open: {error!r}"

    def _opened(self, key: str) -> Iterator[str]:
        """Problems that the blocking checks would find, and of every artifact when its reader opens it."""
        from datasets import load_from_disk
        from transformers import AutoModelForSeq2SeqLM

        from booru_pipeline.dataset.gate import GateReport
        from booru_pipeline.model.provenance import soundness_of
        from booru_pipeline.tag_table.accounting import key_violations, summarise
        from booru_pipeline.training_shards.shards import count_lost, count_straddling
        from booru_pipeline.vocabulary.vocabulary import Vocabulary

        lake = self.lake
        summary = summarise(lake.tag_table(key))
        if not all(accounting.holds for accounting in summary.accounting) or any(
            key_violations(lake.tag_table(key)).values()
        ):
            yield "lines unaccounted for, or keys violated"
        if any(count_lost(lake.training_shards(key), lake.tag_table(key)).values()):
            yield "the shards lack something"
        if count_straddling(*(lake.training_shards(other) for other in self.keys if other <= key)):
            yield "a picture on two sides"
        if failures := GateReport.read(lake.tokenized_dataset(key)).failures:
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
        audit = lake.tag_audit(key)
        rows = json.loads((audit / "audit.json").read_text(encoding="utf-8"))["rows"]
        if {name: pq.read_metadata(audit / f"{name}.parquet").num_rows for name in SCHEMAS} != rows:
            yield "an audit with other rows than were counted"

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
        """The kill that hit a run, if this process sent it."""
        return next((kill for kill in self._story.kills if run.past.id in kill.runs), None)

    def _overtaken(self, run: Run) -> bool:
        """Whether an earlier release came, or its own files changed, between the run's request and its end."""
        return any(
            item.begun < run.ended
            and item.ended > run.created - 15
            and (item.release == run.release or release_order(item.release) < release_order(run.release))
            for item in self._story.drops
        )

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

    def events(self, stage: Stage) -> list[dg.EventLogRecord]:
        asset = dg.AssetRecordsFilter(asset_key=dg.AssetKey(stage.value))
        return list(self.instance.fetch_materializations(asset, limit=10_000).records)

    def _materializations(self) -> Iterator[str]:
        for stage in Stage:
            versions = Counter(
                (record.partition_key, record.asset_materialization.tags.get("dagster/data_version"))
                for record in self.events(stage)
                if record.asset_materialization
            )
            for (key, version), count in versions.items():
                if count > 1:
                    yield f"{stage.value} of {key} was made {count} times from the same ({version})"
            for key in self.keys:
                record = read_record(stage.path(self.lake, key))
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
                    name = (run.release, check.asset_key.to_user_string(), check.check_name)
                    passed[name] = max(passed.get(name, 0), entry.timestamp)
        for key in self.keys:
            for check in blocking:
                asset = check.asset_key.to_user_string()
                if asset not in set(Stage):
                    continue
                path = Stage(asset).path(self.lake, key)
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
        """The key that the training states of the present checkpoint had."""
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
                yield f"{run.release} at {failure.step}: {failure.text[:200]}"

    def _messages(self) -> Iterator[str]:
        told = Counter(message["run_id"] for message in self._story.messages)
        for run in self.all_runs:
            if run.past.outcome not in (Outcome.INTERRUPTED, Outcome.OVERTAKEN):
                continue
            message = describe_failure(self.instance, self.instance.get_run_by_id(run.past.id))
            if f"release {run.release} was {run.past.outcome.value}" not in message["text"]:
                yield message["text"][:200]
            if told[run.past.id] != 1:
                yield f"run {run.past.id[:8]} of {run.release} was told of {told[run.past.id]} times"
