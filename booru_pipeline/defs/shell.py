"""Running jobs from the shell, on the instance that the UI shows: of releases, and the hydration experiment."""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import JobExecutionResult

from booru_pipeline.defs.assets.raw_release import RELEASES, arrival
from booru_pipeline.defs.automation.jobs import REFRESH_RELEASE, checks_of
from booru_pipeline.defs.automation.schedule import check_cron
from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.console import Teller, failure_in_words, steps_unseen
from booru_pipeline.defs.hydration import CONCLUDE, hydration_experiment, plan_arms
from booru_pipeline.defs.resources import run_config
from booru_pipeline.defs.runs.execute import execute
from booru_pipeline.defs.runs.history import PARTITION, first_failure
from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.defs.runs.process import unfinished_runs
from booru_pipeline.defs.runs.stopping import Stop
from booru_pipeline.errors import BooruError, Stopped
from booru_pipeline.pipeline.contradictions import check_recipe
from booru_pipeline.pipeline.freshness import State, Status, due_stages, release_status
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import Found, Release, find_releases
from booru_pipeline.release.key import check_key, release_order
from booru_pipeline.sample.place import sample_remedy

# From here on, stages read all earlier releases' shards too.
_CUMULATIVE_FROM = Stage.VOCABULARY


@dataclass(frozen=True)
class ReleasePlan:
    """The stages to make of one release.

    Attributes:
        release: The raw release.
        due: Stages to make, in order; empty if all are fresh.
        statuses: The state of each stage up to the one asked for.
    """

    release: Release
    due: list[Stage]
    statuses: list[Status]


@dataclass(frozen=True)
class RunPlan:
    """The stages to make of all releases.

    Attributes:
        releases: In release order.
        problems: Releases that cannot be made, each with its remedy; whatever builds on them is not planned.
    """

    releases: list[ReleasePlan]
    problems: list[str]


def make_plan(settings: Settings, keys: Sequence[str], last: Stage, *, retrain: bool = False) -> RunPlan:
    """Decide what has to be made of some releases, or of all if `keys` is empty, up to the stage `last`.

    A stage is made if it, or one before it, is missing or stale. Earlier releases are brought as far as their training
    shards where a later one reads them. With `retrain`, checkpoints that are fresh are made too, and all after them.

    Raises:
        BooruError: A release that was asked for is not there, there is none at all, the preset or cron is unknown,
            options contradict each other, or the tag aliases or implications are broken.
    """
    check_cron(settings)
    check_recipe(settings)
    found = find_releases(settings.raw_folder)
    wanted = _wanted(settings, found, keys)
    goals = _goals(found, wanted, last, named=bool(keys))
    releases = {release.key: release for release in found.releases}
    broken = {item.key: item.problem for item in found.incomplete}
    relations = settings.tag_relations.fingerprints
    plan = RunPlan([], [] if keys else [problem for key, problem in broken.items() if key not in found.keys])
    for row, (key, goal) in enumerate(goals.items()):
        later = [other for other in list(goals)[row + 1 :] if other in wanted]
        if key in releases:
            sources = settings.sources(releases[key], relations)
            statuses = release_status(settings.lake, key, sources, settings)[: goal.order + 1]
            statuses = [_to_retrain(status) for status in statuses] if retrain else statuses
            # What retention removed is made again only for somebody who names the release.
            due = due_stages(statuses, retired_too=bool(keys) and key in wanted)
            plan.releases.append(ReleasePlan(releases[key], due, statuses))
        elif later and _is_cumulative(last):
            plan.problems.append(f"{broken[key]} Not run, since they build on it: {', '.join(later)}.")
            break
        else:
            plan.problems.append(broken[key])
    return plan


def _to_retrain(status: Status) -> Status:
    if not status.is_fresh or status.stage.order < Stage.CHECKPOINT.order:
        return status
    why = "it is to be trained again" if status.stage is Stage.CHECKPOINT else f"{status.stage.upstream} changed"
    return Status(status.stage, State.STALE, why)


def _wanted(settings: Settings, found: Found, keys: Sequence[str]) -> list[str]:
    """The releases that were asked for, or all, whole or not, in release order."""
    wanted = sorted({check_key(key) for key in keys}, key=release_order)
    for key in wanted:
        if key not in found.keys:
            whole = ", ".join(release.key for release in found.releases)
            raise BooruError(
                f"release {key} is not in {settings.raw_folder} (found: {whole or 'none'}). "
                "Put its folder there or name another release."
            )
    if not wanted and not found.keys and not found.incomplete:
        raise BooruError(
            f"there is no release in {settings.raw_folder}: a release is a folder such as `Safebooru 2021a` with "
            f"V2021A_files.tsv and V2021A_tags.tsv. {sample_remedy()}"
        )
    return wanted or found.keys


def _goals(found: Found, wanted: Sequence[str], last: Stage, *, named: bool) -> dict[str, Stage]:
    """The last stage of each release that is to be made, in release order; earlier ones than wanted are read, too."""
    needed = found.keys[: found.keys.index(wanted[-1]) + 1] if wanted and _is_cumulative(last) else wanted
    # A hand-tagged release is an addition to the others: a model of it alone is made only if asked for.
    whole = wanted if named else [key for key in wanted if key not in found.additions] or wanted
    shards = min(last, Stage.TRAINING_SHARDS, key=lambda stage: stage.order)
    return {key: last if key in whole else shards for key in needed}


def _is_cumulative(last: Stage) -> bool:
    return last.order >= _CUMULATIVE_FROM.order


def run_plan(settings: Settings, plan: RunPlan, say: Callable[[str], None]) -> None:
    """Make what is due, release after release, each in one Dagster run; `say` is given lines with rich's markup.

    Raises:
        BooruError: A run failed, another run makes the same release, or the plan has problems; what comes before is
            done.
        Stopped: A signal ended it; what comes before is done.
    """
    due = [item for item in plan.releases if item.due]
    if due:
        job = build_defs(settings).resolve_job_def(REFRESH_RELEASE.name)
        with stoppable(say) as stop, open_instance(settings.lake) as instance:
            for item in due:
                refuse_second_run(instance, item.release.key)
            for item in due:
                refuse_second_run(instance, item.release.key)  # asked for while those before were made
                instance.add_dynamic_partitions(str(RELEASES.name), [item.release.key])
                instance.report_runless_asset_event(arrival(settings, item.release))
                # Loading brings the check of the raw files.
                made, checks = [stage.value for stage in item.due], checks_of(item.due)
                run_job(
                    job, instance, run_config(settings), say, stop, key=item.release.key, assets=made, checks=checks
                )
    if plan.problems:
        raise BooruError("\n".join(plan.problems))


@contextmanager
def stoppable(say: Callable[[str], None]) -> Iterator[Stop]:
    """Look for signals within the block; the first one ends what is under way in order.

    Raises:
        Stopped: One came between two runs.
    """
    with Stop(lambda: say("[dim]stopping; once more ends it at once[/]")).watched() as stop:
        try:
            yield stop
        except KeyboardInterrupt:
            raise Stopped("stopped; nothing is half-written; `booru run` goes on", stop.status) from None


def run_hydration(settings: Settings, config: Mapping[str, Any], say: Callable[[str], None]) -> Path:
    """Run the hydration experiment with options that are not the defaults, and give its report's path; see `run_plan`.

    Raises:
        BooruError: It failed, and finished arms are kept; or another one is under way.
        Stopped: A signal ended it.
    """
    job = build_defs(settings).resolve_job_def(hydration_experiment.name)
    with stoppable(say) as stop, open_instance(settings.lake) as instance:
        refuse_second_run(instance, None)  # each would clear away what the other has made for its arms
        with run_job(job, instance, {"ops": {plan_arms.name: {"config": dict(config)}}}, say, stop) as result:
            return Path(result.output_for_node(CONCLUDE))


def refuse_second_run(instance: dg.DagsterInstance, release: str | None) -> None:
    """Keep a release, a trial, or the experiment, to one run at a time, as the queue does for its own runs."""
    for run in unfinished_runs(instance):
        if release != run.tags.get(PARTITION) or (release is None and run.job_name != hydration_experiment.name):
            continue
        name = f"run {run.run_id[:8]} of {run.job_name}"
        what = f"release {release} is being made by {name}" if release else f"{name} is under way"
        kept = "" if release else ": finished arms are kept"
        raise BooruError(f"{what}. Wait for it, or end it in the UI (`booru dev`), and run this again{kept}.")


def run_job(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    config: Mapping[str, Any],
    say: Callable[[str], None],
    stop: Stop,
    *,
    key: str | None = None,
    assets: Collection[str] = (),
    checks: Collection[dg.AssetCheckKey] = (),
) -> JobExecutionResult:
    """Run a job in this process, some assets and checks of a release or trial or a job of none, and say what happens.

    Raises:
        BooruError: It failed; the message is that of the first failure.
        Stopped: A signal ended it.
    """
    run_id = str(uuid.uuid4())
    teller = Teller(say, key, stop)
    instance.add_event_listener(run_id, teller.listen)
    try:
        with steps_unseen(), stop.cancels(instance, run_id):
            result = execute(
                job,
                instance,
                run_id=run_id,
                config={**config, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                tags={PARTITION: key} if key else {},
                assets={dg.AssetKey(name) for name in assets} or None,
                checks=set(checks) or None,
            )
    except KeyboardInterrupt:  # before or after what Dagster keeps them from
        raise Stopped(teller.where_it_stopped, stop.status) from None
    if stop.signal is not None:
        raise Stopped(teller.where_it_stopped, stop.status)
    if not result.success:
        failure = first_failure(result.all_events)
        unknown = f"run {run_id} of {key or job.name} failed; see it with `booru dev`."
        raise BooruError(failure_in_words(failure, key) if failure else unknown)
    return result
