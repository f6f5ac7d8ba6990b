"""The state of each release, stage by stage, and why: for people and for scripts."""

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from booru_pipeline.defs.assets.trial import TRIALS
from booru_pipeline.defs.automation.agree import all_differences
from booru_pipeline.defs.automation.decide import decide, goal_of
from booru_pipeline.defs.runs.history import Outcome, PastRun, failure_of, runs_of
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.trial import is_kept, parse_trial, release_part
from booru_pipeline.pipeline.differences import OptionsInForce, other_options
from booru_pipeline.pipeline.freshness import State, Status, release_status
from booru_pipeline.pipeline.promoted import checkpoint_in_use, read_promoted
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import Found, find_releases
from booru_pipeline.release.key import release_order


@dataclass(frozen=True)
class ReleaseStatus:
    """The state of one release.

    Attributes:
        release: Its key.
        stages: Stage by stage; empty if the release is not whole.
        problem: Why it is not whole, or None.
        last_run: Its newest run, or None if there was none.
    """

    release: str
    stages: list[Status]
    problem: str | None
    last_run: PastRun | None

    @property
    def is_fresh(self) -> bool:
        """Whether everything is there and up to date."""
        return self.problem is None and all(item.is_fresh for item in self.stages)

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "release": self.release,
            "fresh": self.is_fresh,
            "problem": self.problem,
            "stages": {
                item.stage.value: {"state": str(item.state), "why": item.why, "note": item.note} for item in self.stages
            },
            "last_run": self.last_run and self.last_run.as_dict(),
        }


def pipeline_status(settings: Settings, instance: dg.DagsterInstance | None) -> list[ReleaseStatus]:
    """The state of all releases of the raw folder, in release order; without an instance, nothing ever ran.

    Raises:
        BooruError: The raw folder, the aliases or the implications cannot be read.
    """
    found = find_releases(settings.raw_folder)
    relations = settings.tag_relations.fingerprints
    problems = {item.key: item.problem for item in found.incomplete}
    whole = {release.key: release for release in found.releases}
    result = []
    for key in [*found.keys, *(item.key for item in found.incomplete if item.key not in found.keys)]:
        runs = runs_of(instance, key) if instance is not None else []
        stages: list[Status] = []
        if key in whole:
            statuses = release_status(settings.lake, key, settings.sources(whole[key], relations), settings)
            stages = _with_runs(key, found, statuses, instance, runs)
        result.append(ReleaseStatus(key, stages, problems.get(key), runs[0] if runs else None))
    return result


@dataclass(frozen=True)
class TrialStatus:
    """The state of one trial.

    Attributes:
        trial: Its key, such as `2021d@lr5`.
        state: `evaluated`, `trained`, or, without a checkpoint, how its newest run ended; `kept` for a checkpoint that
            was promoted and whose place another took.
        promoted: Whether `booru suggest` asks it.
        recall: By hidden share its answer's recall@10 of labels that are not derivable; empty without a report.
        options: Those in which it differs from what is set now, in words.
        problem: Why its newest run failed, or empty.
        last_run: Its newest run, or None if there was none.
    """

    trial: str
    state: str
    promoted: bool
    recall: dict[float, float]
    options: list[str]
    problem: str
    last_run: PastRun | None

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "last_run": self.last_run and self.last_run.as_dict()}


def trial_status(settings: Settings, instance: dg.DagsterInstance | None) -> list[TrialStatus]:
    """The state of all trials, by release, then name; without an instance, nothing ever ran."""
    lake, promoted = settings.lake, read_promoted(settings.lake)
    known = instance.get_dynamic_partitions(str(TRIALS.name)) if instance is not None else []
    trials = {*lake.trials_with(lake.checkpoint), *(key for key in known if parse_trial(key) == key)}
    found = []
    for trial in sorted(trials, key=lambda key: (release_order(release_part(key)), key)):
        runs = runs_of(instance, trial) if instance is not None else []
        record, recall = lake.record(lake.checkpoint(trial)), _recall(lake, trial)
        if record is None:
            state = runs[0].outcome.value if runs else "not made yet"
        else:
            state = "kept" if is_kept(trial) else "evaluated" if recall else "trained"
        found.append(
            TrialStatus(
                trial=trial,
                state=state,
                promoted=promoted is not None and promoted.release == trial,
                recall=recall,
                options=_unlike(lake, trial, settings) if record is not None else [],
                problem=_why_failed(instance, runs),
                last_run=runs[0] if runs else None,
            )
        )
    return found


def _recall(lake: Lake, trial: str) -> dict[float, float]:
    """The figures of a trial's report, as far as it has one of the checkpoint that is there, and it can be read."""
    checkpoint, report = lake.record(lake.checkpoint(trial)), lake.record(lake.evaluation_report(trial))
    if checkpoint is None or report is None or report.made < checkpoint.made:
        return {}
    try:
        metrics = json.loads(lake.read(lake.evaluation_report(trial), "metrics.json") or "{}")
        shares = {share["hidden_share"]: share["not_derivable"] for share in metrics.get("shares", [])}
        return {share: result["methods"]["model"]["recall@10"] for share, result in shares.items() if result}
    except (ValueError, KeyError, TypeError):
        return {}


def _unlike(lake: Lake, trial: str, settings: Settings) -> list[str]:
    """The options of a trial that make a difference to those that are set now, such as `learning_rate 0.005`."""
    found = []
    for stage in (Stage.VOCABULARY, Stage.TOKENIZED_DATASET, Stage.CHECKPOINT):
        if (record := lake.record(stage.path(lake, trial))) is not None:
            now = record.model_copy(update={"options": {**record.options, **settings.options(stage)}})
            names = [line.partition(" was ")[0] for line in other_options(record, now, settings)]
            was = OptionsInForce(stage, record.options, settings)
            found += [f"{name} {was.said(name)}" for name in names]
    return found


def _why_failed(instance: dg.DagsterInstance | None, runs: list[PastRun]) -> str:
    failed = runs and runs[0].outcome in (Outcome.FAILED, Outcome.INTERRUPTED)
    return failure_of(instance, runs[0].id).first_line if failed and instance is not None else ""


def what_is_next(settings: Settings, instance: dg.DagsterInstance | None) -> list[str]:
    """The runs that are due and what the others wait for, a sentence a release, as the sensor says it at a scan.

    Raises:
        BooruError: The raw folder, the aliases or the implications cannot be read.
    """
    found, relations = find_releases(settings.raw_folder), settings.tag_relations.fingerprints
    with nullcontext(instance) if instance is not None else dg.DagsterInstance.ephemeral() as history:
        decision = decide(settings, history, found, {}, relations)
    parts = all_differences(instance, settings.lake, found, decision.statuses) if instance is not None else []
    due = [
        f"{request.release.key} is due: `booru dev` or `booru run` makes {', '.join(request.stages)}"
        for request in decision.requests
    ]
    problems = {item.problem for item in found.incomplete}  # which are said already
    unlike = [f"{line}, at the next scan of `booru dev`" for part in parts for line in part.in_words]
    return [*due, *(line for line in decision.waiting if line not in problems), *unlike]


def why_none_is_promoted(lake: Lake) -> str:
    """Why no checkpoint is promoted: there is none, the promoted one is gone, or what the newest one's report says."""
    if not lake.releases_with(lake.checkpoint):
        return "there is no checkpoint yet"
    newest, why = checkpoint_in_use(lake)
    why = why.removeprefix("no checkpoint is promoted: ")
    try:
        found = json.loads(lake.read(lake.evaluation_report(newest), "metrics.json") or "{}")
    except ValueError:
        found = {}
    if not found:
        return f"{why}, which is not evaluated yet"
    judgement = found.get("judgement_in_words") or "; ".join(found.get("losses", []))
    return f"{why}, which was found {judgement}" if found.get("losses") else why


def _with_runs(
    key: str, found: Found, statuses: list[Status], instance: dg.DagsterInstance | None, runs: list[PastRun]
) -> list[Status]:
    """The statuses, with what failed in the newest run, and without what nobody needs."""
    needed = goal_of(key, found).upto()
    failed = _failed_stage(instance, runs, statuses)
    stages = []
    for status in statuses:
        if status.stage not in needed and status.state is State.MISSING:
            stages.append(Status(status.stage, State.NOT_NEEDED))
        elif status.stage in failed and not status.is_fresh:
            why = "; ".join(filter(None, [failed[status.stage], status.why]))
            stages.append(replace(status, state=State.FAILED, why=why))
        else:
            stages.append(status)
    return stages


def _failed_stage(instance: dg.DagsterInstance | None, runs: list[PastRun], statuses: list[Status]) -> dict[Stage, str]:
    """The stage at which the newest run failed and why, if it did."""
    if instance is None or not runs or runs[0].outcome not in (Outcome.FAILED, Outcome.INTERRUPTED):
        return {}
    failure = failure_of(instance, runs[0].id)
    # A check of the raw files stands before the first stage, and a run may die, or be refused, before any.
    due = next((status.stage for status in statuses if not status.is_fresh), Stage.TAG_TABLE)
    first = Stage.TAG_TABLE if failure.step else due
    at = next((stage for stage in Stage if (failure.step or "").startswith(stage.value)), first)
    return {at: f"run {runs[0].id[:8]} {runs[0].outcome.value}: {failure.first_line}"}
