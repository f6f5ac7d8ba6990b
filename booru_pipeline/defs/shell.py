"""Materializing releases from the shell, on the instance that the UI shows."""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEventType, EventLogEntry
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from booru_pipeline.defs.assets.raw_release import RELEASES, arrival
from booru_pipeline.defs.automation.jobs import REFRESH_RELEASE
from booru_pipeline.defs.automation.sensor import checks_of
from booru_pipeline.defs.build import LOCATION, build_defs
from booru_pipeline.defs.hydration import CONCLUDE, hydration_experiment, plan_arms
from booru_pipeline.defs.resources import run_config
from booru_pipeline.defs.runs.history import Failure, Outcome, first_failure, runs_of
from booru_pipeline.defs.runs.instance import open_instance, process_tag
from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.freshness import State, Status, release_status
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import Release, find_releases
from booru_pipeline.release.key import check_key, is_hand_tagged, release_order
from booru_pipeline.vocabulary.base_model import resolve_base_model

# Stages that read one release only; the others read all earlier releases' shards too.
_CUMULATIVE_FROM = Stage.VOCABULARY

# Dagster's own tag for runs of a code location's job: without it the UI's job pages do not list the shell's runs.
_LOCATION_TAG = ".dagster/repository"


@dataclass(frozen=True)
class ReleasePlan:
    """What is to be made of one release.

    Attributes:
        release: The raw release.
        due: Stages to make, in order; empty if all are fresh.
        statuses: The state of each stage up to the one asked for.
    """

    release: Release
    due: list[Stage]
    statuses: list[Status]


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        releases: In release order.
        problems: Releases that cannot be made, each with its remedy; whatever builds on them is not planned.
    """

    releases: list[ReleasePlan]
    problems: list[str]


class Progress:
    """Told of things as they happen. This one keeps silent."""

    def started(self, release: str, stage: Stage) -> None:
        """A stage begins."""

    def made(self, release: str, stage: Stage, seconds: float, metadata: dict[str, Any]) -> None:
        """An artifact is there."""

    def said(self, release: str, message: str, level: int) -> None:
        """A line of the run's log, with Python's logging level."""

    def checked(self, release: str, check: str, passed: bool) -> None:
        """A check has been evaluated."""


def make_plan(settings: Settings, keys: Sequence[str], last: Stage) -> Plan:
    """Decide what has to be made.

    A stage is made if it, or one before it, is missing or stale. Earlier releases are brought as far as their training
    shards where a later one reads them.

    Args:
        settings: Where things are and how they are made.
        keys: Releases that were asked for; all if empty.
        last: The last stage that was asked for.

    Raises:
        BooruError: A release that was asked for is not there, there is none at all, the preset is unknown, or the tag
            aliases or implications are broken.
    """
    resolve_base_model(settings.preset)
    found = find_releases(settings.raw_folder)
    releases = {release.key: release for release in found.releases}
    broken = {item.key: item.problem for item in found.incomplete}
    wanted = sorted({check_key(key) for key in keys}, key=release_order) or found.keys
    for key in wanted:
        if key not in releases and key not in broken:
            raise BooruError(
                f"release {key} is not in {settings.raw_folder} (found: {', '.join(releases) or 'none'}). "
                "Put its folder there or name another release."
            )
    problems = [] if keys else [problem for key, problem in broken.items() if key not in found.keys]
    if not wanted and not problems:
        raise BooruError(
            f"there is no release in {settings.raw_folder}: a release is a folder such as `Safebooru 2021a` with "
            "V2021A_files.tsv and V2021A_tags.tsv. Make a sample with `booru sample`."
        )
    # A hand-tagged release is an addition to the dated ones: a model of it alone is made only if asked for.
    whole = wanted if keys else [key for key in wanted if not is_hand_tagged(key)] or wanted
    cumulative = last.order >= _CUMULATIVE_FROM.order
    needed = found.keys[: found.keys.index(wanted[-1]) + 1] if wanted and cumulative else wanted
    relations = settings.tag_relations.fingerprints
    plans = []
    for row, key in enumerate(needed):
        if key in releases:
            goal = last if key in whole else min(last, Stage.TRAINING_SHARDS, key=lambda stage: stage.order)
            # What retention removed is made again only for somebody who names the release.
            anew = {State.RETIRED} if key in wanted and keys else set()
            plans.append(_plan_release(settings, releases[key], goal, relations, anew))
            continue
        later = [other for other in needed[row + 1 :] if other in wanted]
        if cumulative and later:
            problems.append(f"{broken[key]} Not run, since they build on it: {', '.join(later)}.")
            break
        problems.append(broken[key])
    return Plan(plans, problems)


def _plan_release(
    settings: Settings, release: Release, last: Stage, relations: tuple[str, str], anew: Collection[State]
) -> ReleasePlan:
    stages = last.upto()
    statuses = release_status(settings.lake, release.key, settings.sources(release, relations), settings)[: len(stages)]
    first = next(
        (row for row, status in enumerate(statuses) if not status.is_fresh or status.state in anew), len(stages)
    )
    return ReleasePlan(release, stages[first:], statuses)


def run_plan(settings: Settings, plan: Plan, progress: Progress) -> None:
    """Make what is due, release after release, each in one Dagster run.

    Raises:
        BooruError: A run failed, another run makes the same release, or the plan has problems; what comes before is
            done.
    """
    due = [item for item in plan.releases if item.due]
    if due:
        definitions = build_defs(settings)
        with open_instance(settings.lake) as instance:
            for item in due:
                _refuse_second_run(instance, item.release.key)
            for item in due:
                _materialize(definitions, instance, settings, item, progress)
    if plan.problems:
        raise BooruError("\n".join(plan.problems))


def _refuse_second_run(instance: dg.DagsterInstance, release: str) -> None:
    """The queue keeps a release to one run at a time, but the shell's runs do not pass through it."""
    for run in runs_of(instance, release):
        if run.outcome is Outcome.UNDER_WAY:
            raise BooruError(
                f"release {release} is being made by run {run.id[:8]} of {run.job}. Wait for it, or end it in the UI "
                "(`booru dev`), and run this again."
            )


def _materialize(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    settings: Settings,
    item: ReleasePlan,
    progress: Progress,
) -> None:
    release = item.release
    _refuse_second_run(instance, release.key)  # which may have been asked for while those before were made
    instance.add_dynamic_partitions(str(RELEASES.name), [release.key])
    instance.report_runless_asset_event(arrival(settings, release))
    run_id = str(uuid.uuid4())
    listener = _Listener(release.key, progress)
    instance.add_event_listener(run_id, listener)
    result = _job(definitions, item.due).execute_in_process(
        run_id=run_id,
        instance=instance,
        partition_key=release.key,
        run_config=_run_config(settings),
        tags={**process_tag(), _LOCATION_TAG: f"__repository__@{LOCATION}"},
        raise_on_error=False,
    )
    if not result.success:
        raise BooruError(listener.failure or f"run {run_id} of release {release.key} failed; see it with `booru dev`.")


def _job(definitions: dg.Definitions, due: Sequence[Stage]) -> dg.JobDefinition:
    """The refresh job cut down to some stages, each with its checks; loading brings the check of the raw files."""
    assets = {dg.AssetKey(stage.value) for stage in due}
    checks = set(checks_of(due, list(definitions.resolve_asset_graph().asset_check_keys)))
    job = definitions.resolve_job_def(REFRESH_RELEASE.name)
    return job.get_subset(asset_selection=assets, asset_check_selection=checks)


def _run_config(settings: Settings) -> dict[str, Any]:
    return {**run_config(settings), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class _Listener:
    """Turns a run's events into progress, and keeps the first failure's message."""

    def __init__(self, release: str, progress: Progress) -> None:
        self._release = release
        self._progress = progress
        self._since: dict[str, float] = {}
        self.failure: str | None = None

    def __call__(self, entry: EventLogEntry) -> None:
        event = entry.dagster_event
        stages = {stage.value: stage for stage in Stage}
        if event is None:
            self._progress.said(self._release, entry.user_message, int(entry.level))
            return
        step = event.step_key or ""
        if event.event_type == DagsterEventType.STEP_START and step in stages:
            self._since[step] = time.monotonic()
            self._progress.started(self._release, stages[step])
        elif event.event_type == DagsterEventType.ASSET_MATERIALIZATION and step in stages:
            metadata = {name: value.value for name, value in event.materialization.metadata.items()}
            self._progress.made(self._release, stages[step], time.monotonic() - self._since[step], metadata)
        elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            self._progress.checked(
                self._release, f"{check.asset_key.to_user_string()}: {check.check_name}", check.passed
            )
        if self.failure is None and (failure := first_failure([event])):
            self.failure = _message(self._release, failure)


def _message(release: str, failure: Failure) -> str:
    if failure.mendable:
        return failure.text if release in failure.text else f"release {release}: {failure.text}"
    return f"{failure.step} of release {release} failed: {failure.text}\nThe whole log is in the UI: `booru dev`."


_EXPERIMENT_TAG = ".dagster/repository"  # without it the UI's job pages do not list the shell's runs


def run_hydration(settings: Settings, config: Mapping[str, Any], said: Callable[[str, int], None]) -> Path:
    """Run the hydration experiment.

    Args:
        settings: Where things are.
        config: The experiment's options that are not the defaults, and `release`.
        said: Told each line of the run's log, with Python's logging level.

    Returns:
        The report's path.

    Raises:
        BooruError: It failed, and finished arms are kept; or another one is under way.
    """
    definitions = build_defs(settings)
    run_id = str(uuid.uuid4())
    listener = _ExperimentListener(said)
    with open_instance(settings.lake) as instance:
        # Each would clear away what the other has made for its arms. The training pool keeps them apart in the queue,
        # which the shell's runs do not pass through.
        unfinished = dg.RunsFilter(job_name=hydration_experiment.name, statuses=NOT_FINISHED_STATUSES)
        for run in instance.get_runs(unfinished, limit=1):
            raise BooruError(
                f"run {run.run_id[:8]} of {run.job_name} is under way. Wait for it, or end it in the UI (`booru dev`), "
                "and run this again: finished arms are kept."
            )
        instance.add_event_listener(run_id, listener)
        result = definitions.resolve_job_def(hydration_experiment.name).execute_in_process(
            run_id=run_id,
            instance=instance,
            run_config={
                "ops": {plan_arms.name: {"config": dict(config)}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            tags={**process_tag(), _EXPERIMENT_TAG: f"__repository__@{LOCATION}"},
            raise_on_error=False,
        )
        if not result.success:
            raise BooruError(listener.failure or f"run {run_id} of the experiment failed; see it with `booru dev`.")
        return Path(result.output_for_node(CONCLUDE))


class _ExperimentListener:
    """Passes the run's log on, and keeps the first failure's message."""

    def __init__(self, said: Callable[[str, int], None]) -> None:
        self._said = said
        self.failure: str | None = None

    def __call__(self, entry: EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            self._said(entry.user_message, int(entry.level))
        elif event.event_type == DagsterEventType.STEP_START:
            self._said(f"{event.step_key} …", logging.INFO)
        if event is not None and self.failure is None and (failure := first_failure([event])):
            self.failure = (
                failure.text
                if failure.mendable
                else f"{failure.step} failed: {failure.text}\nThe whole log is in the UI: `booru dev`."
            )
