"""The runs of a release in Dagster's history: how they ended, and why one failed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import dagster as dg
from dagster import DagsterEventType
from dagster._core.events import EngineEventData, JobFailureData
from dagster_shared.error import SerializableErrorInfo

from booru_pipeline.defs.runs.process import is_dead, own_tag
from booru_pipeline.errors import BooruError, first_line

# Tags of the runs that are started unattended.
ASKED_BY: Final = "booru/asked_by"  # the sensor's or the schedule's name
TARGET: Final = "booru/target"  # the key that the last artifact is to have: bytes, options, aliases and code
INTERRUPTED: Final = "booru/interrupted"  # what was killed under a run that could say so itself
OVERTAKEN: Final = "booru/overtaken"  # what came after a run was asked for, and has to go first

RELEASE_PARTITIONS: Final = "release"  # the names of the dynamic partitions
TRIAL_PARTITIONS: Final = "trial"
PARTITION: Final = "dagster/partition"
MAX_RUNTIME: Final = "dagster/max_runtime"
PRIORITY: Final = "dagster/priority"
_REASON: Final = "dagster/failure_reason"

# Dagster's reasons for a failure that is not the work's own; without one, somebody else marked the run as failed.
_NOT_ITS_OWN: Final = {"", "UNEXPECTED_TERMINATION", "START_TIMEOUT", "RUN_WORKER_RESTART", "UNKNOWN"}
_NOTHING_SAID: Final = "This run has been marked as failed from outside"  # Dagster knows no more
_STARTING: Final = {DagsterEventType.ENGINE_EVENT, DagsterEventType.RESOURCE_INIT_FAILURE}
_KEPT_RUNS: Final = 200
_MODULE: Final = re.compile(r"^(?:\w+\.)+(?=[A-Z]\w*(?::|$))", re.ASCII)  # before the name of an exception
_IN_WORDS: Final = {"DagsterExecutionInterruptedError": "its process was told to end."}


class Outcome(StrEnum):
    """The end of a run, if it has come."""

    UNDER_WAY = "under way"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    OVERTAKEN = "overtaken"
    CANCELED = "canceled"


@dataclass(frozen=True)
class PastRun:
    """A run of one release.

    Attributes:
        id: Dagster's.
        job: The job's name.
        outcome: How it ended. `interrupted` is the fate of one that was killed, `overtaken` of one that met an earlier
            release which came after it was asked for: they say nothing about the work.
        asked_by: The sensor or schedule that asked for it, or None: a person did, or re-executed it.
        target: The key of what it was to make last, if it was asked for by the sensor or the schedule.
        stages: Which assets it was to make; empty if it was not told.
        ended: When it ended, in seconds since 1970, or None.
    """

    id: str
    job: str
    outcome: Outcome
    asked_by: str | None
    target: str | None
    stages: frozenset[str]
    ended: float | None

    def as_dict(self) -> dict[str, object]:
        """What scripts are told of it, as JSON."""
        return {name: getattr(self, name) for name in ("id", "job", "outcome", "asked_by", "ended")}


def runs_of(instance: dg.DagsterInstance, release: str) -> list[PastRun]:
    """The runs of a release or trial, the newest first."""
    records = instance.get_run_records(dg.RunsFilter(tags={PARTITION: release}), limit=_KEPT_RUNS)
    return [_past(record) for record in records]


def run_of(instance: dg.DagsterInstance, run_id: str) -> PastRun | None:
    """One run, or None if there is none of that id."""
    record = instance.get_run_record_by_id(run_id)
    return _past(record) if record else None


def _past(record: dg.RunRecord) -> PastRun:
    run = record.dagster_run
    return PastRun(
        id=run.run_id,
        job=run.job_name,
        outcome=_outcome(record),
        asked_by=run.tags.get(ASKED_BY) if run.parent_run_id is None else None,
        target=run.tags.get(TARGET),
        stages=frozenset(key.to_user_string() for key in run.asset_selection or ()),
        ended=record.end_time,
    )


def _outcome(record: dg.RunRecord) -> Outcome:
    run = record.dagster_run
    if not run.is_finished:
        return Outcome.INTERRUPTED if is_dead(record) else Outcome.UNDER_WAY
    if run.status == dg.DagsterRunStatus.SUCCESS:
        return Outcome.SUCCEEDED
    if run.status == dg.DagsterRunStatus.CANCELED:
        return Outcome.CANCELED
    if own_tag(run, OVERTAKEN):
        return Outcome.OVERTAKEN
    killed = own_tag(run, INTERRUPTED) or run.tags.get(_REASON, "") in _NOT_ITS_OWN
    return Outcome.INTERRUPTED if killed and not _timed_out(record) else Outcome.FAILED


def _timed_out(record: dg.RunRecord) -> bool:
    # Dagster's monitoring gives no reason when a run has taken too long; what takes too long once does so again.
    limit = float(record.dagster_run.tags.get(MAX_RUNTIME, 0))
    return bool(limit and record.start_time and record.end_time and record.end_time - record.start_time >= limit)


@dataclass(frozen=True)
class Failure:
    """The reason why a run failed.

    Attributes:
        step: The asset or check that failed, or None if the run died outside of any.
        text: What to tell people: of a `BooruError` its message, which has the remedy.
        mendable: Whether it was a `BooruError` or a failed check, so that the text says all there is to say.
    """

    step: str | None
    text: str
    mendable: bool

    @property
    def first_line(self) -> str:
        """The text's first line, cut at 300 characters."""
        line = first_line(self.text)
        return line if len(line) <= 300 else f"{line[:300]}…"


def failure_of(instance: dg.DagsterInstance, run_id: str) -> Failure:
    """Find out why a failed run failed."""
    kinds = {
        DagsterEventType.STEP_FAILURE,
        DagsterEventType.ASSET_CHECK_EVALUATION,
        DagsterEventType.RUN_FAILURE,
        *_STARTING,
    }
    entries = instance.all_logs(run_id, of_type=kinds)
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    return first_failure(events) or _failed_start(events) or Failure(None, _last_words(events), mendable=False)


def first_failure(events: Iterable[dg.DagsterEvent]) -> Failure | None:
    """The first step or blocking check that failed."""
    for event in events:
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.blocking and check.severity == dg.AssetCheckSeverity.ERROR:
                asset = check.asset_key.to_user_string()
                text = check.description or (
                    f"check {check.check_name} of {asset} failed, so nothing after it was made; its table is in the UI "
                    "(`booru dev`)."
                )
                return Failure(asset, text, mendable=True)
        elif event.event_type == DagsterEventType.STEP_FAILURE:
            step, error = event.step_key or "a step", event.step_failure_data.error
            unknown = Failure(step, "it does not say why; see the run with `booru dev`.", mendable=False)
            return _failure(step, error) if error else unknown
    return None


def _failed_start(events: Iterable[dg.DagsterEvent]) -> Failure | None:
    """The reason why a run did not come to its first step: the graph could not be loaded, or it was refused."""
    for event in events:
        data = event.event_specific_data
        error = data.error if isinstance(data, EngineEventData | JobFailureData) else None
        if error is not None and (failure := _failure(None, error)).mendable:
            return failure
    return None


def _failure(step: str | None, error: SerializableErrorInfo) -> Failure:
    while error.cause and error.cls_name != BooruError.__name__:  # its own causes are not for the user
        error = error.cause
    mendable = error.cls_name == BooruError.__name__
    text = _MODULE.sub("", error.message.strip())
    if mendable:
        text = text.removeprefix(f"{BooruError.__name__}:").strip()
    return Failure(step, _IN_WORDS.get(text, text), mendable=mendable)


def _last_words(events: Iterable[dg.DagsterEvent]) -> str:
    words: list[str] = []
    for event in events:
        if event.message and event.event_type != DagsterEventType.ASSET_CHECK_EVALUATION:
            words.append(event.message.strip())
        if event.event_type == DagsterEventType.RUN_FAILURE:  # what comes later is about the failure, not of it
            break
    said = [text for text in words if not text.startswith(_NOTHING_SAID)]
    return said[-1] if said else "it ended without a word."
