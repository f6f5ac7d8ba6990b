"""The sensor that looks through the raw folder and asks for what is to be made."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

from booru_pipeline.defs.assets.raw_release import BYTES_CHECK, RELEASES, arrival
from booru_pipeline.defs.automation.decide import Decision, Request, decide
from booru_pipeline.defs.payload import TRAINING_POOL
from booru_pipeline.defs.resources import run_config
from booru_pipeline.defs.runs.history import ASKED_BY, MAX_RUNTIME, PRIORITY, TARGET, interrupted_since
from booru_pipeline.defs.runs.instance import bury_dead_runs, make_up_for
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import RAW_RELEASE, Stage
from booru_pipeline.release.at_rest import Rest, at_rest, look_at, unsteady
from booru_pipeline.release.find import Found, find_releases
from booru_pipeline.release.fingerprint import marks_of
from booru_pipeline.training_shards.relations import relations_files

SENSOR: Final = "new_releases"
_OVERLAP_S: Final = 60  # machines' clocks differ, and a look that was killed is not made up for


def new_releases_sensor(
    read_settings: Callable[[], Settings],
    interval_s: int,
    chain: AssetJob,
    loading: AssetJob,
    checks: Sequence[dg.AssetCheckKey],
) -> dg.SensorDefinition:
    """Make the sensor.

    Args:
        read_settings: Gives the settings as they are now: other ones make releases stale.
        interval_s: Seconds between two looks.
        chain: The job that makes everything of a release.
        loading: The job that only loads it.
        checks: All checks of the graph.
    """

    @dg.sensor(
        name=SENSOR,
        jobs=[chain, loading],
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks through the raw folder, adds releases as partitions once their files have come to rest, and "
        "asks for a run of each that is not made from the present bytes, options, aliases and code. Says in each tick "
        "what it is waiting for.",
    )
    def new_releases(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings = read_settings()
        if not settings.raw_folder.is_dir():
            return dg.SkipReason(f"there is no folder {settings.raw_folder}")
        instance = context.instance
        # Or the queue's first look, which comes before Dagster makes the pool, would let every chain through.
        storage = instance.event_log_storage
        if TRAINING_POOL not in {pool.name for pool in storage.get_pool_limits()}:
            storage.initialize_concurrency_limit_to_default(TRAINING_POOL)
        for run_id in bury_dead_runs(instance):
            context.log.warning(f"run {run_id[:8]} is marked as failed: its process is gone")
        cursor = _Cursor(context.cursor)
        for key in cursor.newly_killed(instance):
            for stage in make_up_for(instance, settings.lake, key):
                context.log.info(f"{stage.value} of {key} is there, and its run was killed before it could say so")
        found = find_releases(settings.raw_folder)
        problems = cursor.look(found, settings.automation.rest_s)
        decision = decide(settings, instance, found, problems, cursor.relations(settings))
        known = set(instance.get_dynamic_partitions(str(RELEASES.name)))
        gone = sorted(known - set(found.keys))
        new = [key for key in found.keys if key not in known and key not in problems and _is_whole(found, key)]
        for key in cursor.news_of_gone(gone):
            context.log.warning(f"release {key} is no longer in {settings.raw_folder}; what was made of it stays")
        waiting = [*decision.waiting, *(f"{key} was taken away; what was made of it stays" for key in gone)]
        for line in waiting:
            context.log.info(line)
        for request in decision.requests:
            context.log.info(f"asks for {', '.join(request.stages)} of {request.release.key}: {request.why}")
        return dg.SensorResult(
            run_requests=[
                run_request(request, settings, found, checks, SENSOR, (chain if request.whole else loading).name)
                for request in decision.requests
            ],
            skip_reason=None if decision.requests else _summary(found, decision, waiting),
            dynamic_partitions_requests=[RELEASES.build_add_request(new)] if new else [],
            asset_events=[arrival(settings, request.release) for request in decision.requests],
            cursor=cursor.text(),
        )

    return new_releases


def run_request(
    request: Request,
    settings: Settings,
    found: Found,
    checks: Sequence[dg.AssetCheckKey],
    asked_by: str,
    job: str | None,
    *,
    more_checks: Sequence[dg.AssetCheckKey] = (),
) -> dg.RunRequest:
    """Dagster's request for a run.

    Args:
        request: What to make.
        settings: The options to make it with.
        found: All releases: earlier ones go first.
        checks: All checks of the graph.
        asked_by: The sensor's or schedule's name.
        job: The job's name, for a sensor of several.
        more_checks: Checks to run besides those of the stages.
    """
    return dg.RunRequest(
        run_key=request.run_key,
        job_name=job,
        partition_key=request.release.key,
        run_config=run_config(settings),
        asset_selection=[dg.AssetKey(stage.value) for stage in request.stages],
        asset_check_keys=[*checks_of([*request.unchecked, *request.stages], checks), *more_checks],
        tags={
            **automatic_tags(settings, asked_by),
            TARGET: request.target,
            # The queue takes the highest first. Loading goes before chains, which wait for it.
            PRIORITY: str((0 if request.whole else len(found.keys)) - found.keys.index(request.release.key)),
        },
    )


def automatic_tags(settings: Settings, asked_by: str) -> dict[str, str]:
    """Tags of every run that nobody started by hand."""
    limit = settings.automation.run_timeout_s
    return {ASKED_BY: asked_by, **({MAX_RUNTIME: str(limit)} if limit else {})}


def checks_of(stages: Sequence[Stage], checks: Sequence[dg.AssetCheckKey]) -> list[dg.AssetCheckKey]:
    """The checks that run when some stages are made; loading brings the check of the raw files' headers."""
    checked = {stage.value for stage in stages} | ({RAW_RELEASE} if Stage.TAG_TABLE in stages else set())
    return [key for key in checks if key.asset_key.to_user_string() in checked and key.name != BYTES_CHECK]


def resting(found: Found) -> dict[str, str]:
    """Why releases must not be read yet, by key, for who has no memory of a look before."""
    problems = {}
    for release in found.releases:
        try:
            if not at_rest(look_at(release)):
                problems[release.key] = f"release {release.key} was written to less than two minutes ago"
        except OSError as error:
            problems[release.key] = f"{error.filename} of release {release.key} cannot be read: {error.strerror}"
    return problems


def _is_whole(found: Found, key: str) -> bool:
    return any(release.key == key for release in found.releases)


def _summary(found: Found, decision: Decision, waiting: Sequence[str]) -> str:
    fresh = f"{len(decision.fresh)} of {len(found.keys)} releases are made and fresh"
    return ". ".join([fresh, *waiting])


class _Cursor:
    """What the sensor remembers from one look to the next."""

    def __init__(self, text: str | None) -> None:
        try:
            content = json.loads(text or "{}")
        except ValueError:
            content = {}
        self._before: dict[str, Any] = content if isinstance(content, dict) else {}
        self._now: dict[str, Any] = {"moment": time.time()}

    def text(self) -> str:
        """For the next look."""
        return json.dumps(self._now)

    def newly_killed(self, instance: dg.DagsterInstance) -> list[str]:
        """Releases of which a run was killed since the look before, each such run counted once."""
        since = self._before.get("moment", self._now["moment"]) - _OVERLAP_S
        killed = interrupted_since(instance, since)
        self._now["killed"] = list(killed)
        # A later look must not do it again: the next run may be publishing the same by then.
        return sorted({key for run_id, key in killed.items() if run_id not in self._before.get("killed", [])})

    def look(self, found: Found, rest_s: float) -> dict[str, str]:
        """Why whole releases must not be read yet, by key."""
        known: Mapping[str, Any] = self._before.get("rests", {})
        rests: dict[str, Rest] = {}
        now = self._now["moment"]
        problems = {}
        for release in found.releases:
            try:
                look = look_at(release)
            except OSError as error:
                problems[release.key] = f"{error.filename} of release {release.key} cannot be read: {error.strerror}"
                continue
            before = Rest(**known[release.key]) if release.key in known else None
            rests[release.key] = before if before is not None and before.look == look else Rest(look, now)
            problem = unsteady(release, look, now, before, rest_s)
            if problem is not None:
                problems[release.key] = problem
        self._now["rests"] = {key: asdict(rest) for key, rest in rests.items()}
        return problems

    def relations(self, settings: Settings) -> tuple[str, str]:
        """Fingerprints of aliases and implications; the files are read only if they changed."""
        files = relations_files(settings.relations_folder, settings.raw_folder)
        seen = [settings.skip_ambiguous_aliases, {str(path): marks_of(path) for path in files}]
        entry = self._before.get("relations")
        if not files or not entry or entry[0] != seen:  # the sample world changes with the code, and is quickly read
            entry = [seen, list(settings.tag_relations.fingerprints)]
        self._now["relations"] = entry
        aliases, implications = entry[1]
        return aliases, implications

    def news_of_gone(self, gone: Sequence[str]) -> list[str]:
        """Which of the releases that are gone were not at the look before."""
        self._now["gone"] = list(gone)
        return [key for key in gone if key not in self._before.get("gone", [])]
