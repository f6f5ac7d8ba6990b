"""The sensor that scans the raw folder and asks for what is to be made."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import dagster as dg
from pydantic import BaseModel, ValidationError

from booru_pipeline.defs.assets.raw_release import arrival
from booru_pipeline.defs.automation.agree import all_differences, set_right, signature, taken_away
from booru_pipeline.defs.automation.decide import Decision, Request, decide
from booru_pipeline.defs.automation.jobs import LOAD_ONLY, REFRESH_RELEASE, checks_of
from booru_pipeline.defs.payload import TRAINING_POOL
from booru_pipeline.defs.resources import run_config
from booru_pipeline.defs.runs.history import ASKED_BY, MAX_RUNTIME, PRIORITY, TARGET
from booru_pipeline.defs.runs.process import bury_dead_runs
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.release.at_rest import Rest, look_at, unsteady
from booru_pipeline.release.find import Found, find_releases
from booru_pipeline.release.fingerprint import marks_of
from booru_pipeline.training_shards.relations import relations_files

SENSOR: Final = "new_releases"


class Cursor(BaseModel):
    """The sensor's memory from one scan to the next, as JSON in Dagster's cursor.

    Attributes:
        agreed: `agree.signature` once the UI showed what there is.
        rests: Since when each release's files have been the same.
        relations: Whether ambiguous aliases are skipped and what is seen of the relations' files, with the fingerprints
            of aliases and implications that these gave.
        gone: Releases that were taken away.
    """

    agreed: str = ""
    rests: dict[str, Rest] = {}
    relations: tuple[tuple[bool, dict[str, list[int]]], tuple[str, str]] | None = None
    gone: list[str] = []

    @classmethod
    def parse(cls, text: str | None) -> "Cursor":
        """The cursor of the scan before; an empty one if there is none that can be read."""
        try:
            return cls.model_validate_json(text or "")
        except ValidationError:
            return cls()


def new_releases_sensor(read_settings: Callable[[], Settings]) -> dg.SensorDefinition:
    """The sensor; `read_settings` gives the settings as they are now: other ones make releases stale."""

    @dg.sensor(
        name=SENSOR,
        jobs=[REFRESH_RELEASE, LOAD_ONLY],
        minimum_interval_seconds=read_settings().automation.look_interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Notices releases that are new or changed, and asks for the runs that make them. Looks through the "
        "raw folder, adds releases as partitions once their files have come to rest, and asks for a run of each that "
        "is not made from the present bytes, options, aliases and code. Says in each tick what it is waiting for. What "
        "was wiped, added or deleted here and is otherwise on the disk, it sets right.",
    )
    def new_releases(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings, now = read_settings(), time.time()
        if not settings.raw_folder.is_dir():
            return dg.SkipReason(f"there is no folder {settings.raw_folder}")
        before = Cursor.parse(context.cursor)
        _make_pool(context.instance)
        for run_id in bury_dead_runs(context.instance):
            context.log.warning(f"run {run_id[:8]} is marked as failed: its process is gone")
        found = find_releases(settings.raw_folder)
        rests, unstable = _scan(found, before.rests, now, settings.automation.rest_s)
        relations = _relations(settings, before)
        decision = decide(settings, context.instance, found, unstable, relations[1])
        agreed = _agree(context, settings, found, decision, before.agreed)
        gone = taken_away(settings.lake, context.instance, found)
        waiting = [
            *decision.waiting,
            *(f"{key} was taken away; what was made of it stays until `booru forget {key}`" for key in gone),
        ]
        _log(context, settings, decision, waiting, [key for key in gone if key not in before.gone])
        fresh = f"{len(decision.fresh)} of {len(found.keys)} releases are made and fresh"
        cursor = Cursor(agreed=agreed, rests=rests, relations=relations, gone=gone)
        return dg.SensorResult(
            run_requests=[
                run_request(request, settings, found, SENSOR, (REFRESH_RELEASE if request.whole else LOAD_ONLY).name)
                for request in decision.requests
            ],
            skip_reason=None if decision.requests else ". ".join([fresh, *waiting]),
            asset_events=[arrival(settings, request.release) for request in decision.requests],
            cursor=cursor.model_dump_json(),
        )

    return new_releases


def run_request(
    request: Request,
    settings: Settings,
    found: Found,
    asked_by: str,
    job: str | None = None,
    *,
    more_checks: Sequence[dg.AssetCheckKey] = (),
) -> dg.RunRequest:
    """Dagster's request for a run that nobody starts by hand; of the releases found, earlier ones go first.

    It is `asked_by` a sensor, which names one of its jobs, or by a schedule, which adds checks to those of the stages.
    """
    limit = settings.automation.run_timeout_s
    # The queue takes the highest first. Loading goes before chains, which wait for it.
    priority = (0 if request.whole else len(found.keys)) - found.keys.index(request.release.key)
    return dg.RunRequest(
        run_key=request.run_key,
        job_name=job,
        partition_key=request.release.key,
        run_config=run_config(settings),
        asset_selection=[dg.AssetKey(stage.value) for stage in request.stages],
        asset_check_keys=[*checks_of([*request.unchecked, *request.stages]), *more_checks],
        tags={
            ASKED_BY: asked_by,
            PRIORITY: str(priority),
            **({MAX_RUNTIME: str(limit)} if limit else {}),
            **({TARGET: request.target} if request.target else {}),
        },
    )


def _make_pool(instance: dg.DagsterInstance) -> None:
    """Make the pool of trainings before Dagster does: the queue's first round would let every chain through."""
    storage = instance.event_log_storage
    if TRAINING_POOL not in {pool.name for pool in storage.get_pool_limits()}:
        storage.initialize_concurrency_limit_to_default(TRAINING_POOL)


def _agree(
    context: dg.SensorEvaluationContext, settings: Settings, found: Found, decision: Decision, agreed: str
) -> str:
    """Have the UI show what there is; gives the signature that it had at the last scan if nothing changed since."""
    place = (context.instance, settings.lake, found, decision.statuses)
    if (now := signature(*place)) == agreed:
        return agreed
    due = all_differences(*place)
    lines = [line for part in due for line in part.in_words]
    for line in lines:
        context.log.info(line)
    for part in due:
        set_right(context.instance, settings, found, part)
    return signature(*place) if lines else now


def _scan(found: Found, known: Mapping[str, Rest], now: float, rest_s: float) -> tuple[dict[str, Rest], dict[str, str]]:
    """Since when whole releases have been the same, and why some must not be read yet, both by key."""
    rests: dict[str, Rest] = {}
    problems: dict[str, str] = {}
    for release in found.releases:
        try:
            look = look_at(release)
        except OSError as error:
            problems[release.key] = f"{error.filename} of release {release.key} cannot be read: {error.strerror}"
            continue
        before = known.get(release.key)
        rests[release.key] = before if before is not None and before.look == look else Rest(look, now)
        if problem := unsteady(release, look, now, before, rest_s):
            problems[release.key] = problem
    return rests, problems


def _relations(settings: Settings, before: Cursor) -> tuple[tuple[bool, dict[str, list[int]]], tuple[str, str]]:
    """The cursor's entry about aliases and implications; the files are read only if they changed."""
    files = relations_files(settings.relations_folder, settings.raw_folder)
    seen = (settings.skip_ambiguous_aliases, {str(path): marks_of(path) for path in files})
    if files and before.relations is not None and before.relations[0] == seen:
        return before.relations
    return seen, settings.tag_relations.fingerprints  # without files there is nothing to read


def _log(
    context: dg.SensorEvaluationContext,
    settings: Settings,
    decision: Decision,
    waiting: Sequence[str],
    newly_gone: Sequence[str],
) -> None:
    for key in newly_gone:
        context.log.warning(f"release {key} is no longer in {settings.raw_folder}; what was made of it stays")
    for line in waiting:
        context.log.info(line)
    for request in decision.requests:
        context.log.info(f"asks for {', '.join(request.stages)} of {request.release.key}: {request.why}")
