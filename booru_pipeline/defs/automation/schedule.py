"""The schedule that verifies every file and catches up."""

from collections.abc import Callable
from typing import Final

import dagster as dg
from dagster._utils.schedules import is_valid_cron_schedule

from booru_pipeline.defs.assets.raw_release import RELEASES, arrival
from booru_pipeline.defs.automation.decide import Request, decide
from booru_pipeline.defs.automation.jobs import BYTES, CATCH_UP
from booru_pipeline.defs.automation.sensor import run_request
from booru_pipeline.defs.runs.process import bury_dead_runs
from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.layers import config_file
from booru_pipeline.pipeline.retention import promoted_release
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.at_rest import at_rest, look_at
from booru_pipeline.release.find import Found, find_releases

_SCHEDULE: Final = "weekly_catch_up"


def schedules(read_settings: Callable[[], Settings]) -> list[dg.ScheduleDefinition]:
    """The weekly schedule, or none if the settings have no cron for it; they are read again at each tick."""
    cron = check_cron(read_settings())
    if not cron:
        return []

    @dg.schedule(
        name=_SCHEDULE,
        job=CATCH_UP,
        cron_schedule=cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Verifies everything and catches up, once a week by default. Reads every raw file whole and "
        "compares it with what was loaded, asks once more for whatever is missing, stale or failed, and evaluates the "
        "promoted checkpoint again. Releases whose chain must wait for an earlier one are left to the sensor.",
    )
    def weekly_catch_up(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        settings = read_settings()
        if not settings.raw_folder.is_dir():
            return dg.SkipReason(f"there is no folder {settings.raw_folder}")
        instance = context.instance
        bury_dead_runs(instance)
        found = find_releases(settings.raw_folder)
        relations = settings.tag_relations.fingerprints
        decision = decide(settings, instance, found, _unstable(found), relations, again=True)
        for line in decision.waiting:
            context.log.info(line)
        evaluated = promoted_release(settings.lake)
        verified = {*decision.fresh, *decision.left}
        verifications = [
            Request(release, [Stage.EVALUATION_REPORT] if release.key == evaluated else [], whole=True)
            for release in found.releases
            if release.key in verified
        ]
        requests = [*verifications, *decision.requests]
        instance.add_dynamic_partitions(str(RELEASES.name), [request.release.key for request in requests])
        for request in decision.requests:
            instance.report_runless_asset_event(arrival(settings, request.release))
        return [
            run_request(request, settings, found, _SCHEDULE, more_checks=[BYTES]) for request in requests
        ] or dg.SkipReason(". ".join(decision.waiting) or f"there is no release in {settings.raw_folder}")

    return [weekly_catch_up]


def check_cron(settings: Settings) -> str:
    """The cron schedule of the settings, if it is one that Dagster understands, or empty.

    Raises:
        BooruError: It is none.
    """
    cron = settings.automation.cron
    if cron and not is_valid_cron_schedule(cron):
        raise BooruError(
            f"setting automation.cron: {cron!r} is no cron schedule such as '0 4 * * 1'. "
            f"Look at the BOORU_ variables and {config_file()}."
        )
    return cron


def _unstable(found: Found) -> dict[str, str]:
    """Reasons not to read releases yet, by key, for who has no memory of an earlier scan."""
    problems = {}
    for release in found.releases:
        try:
            if not at_rest(look_at(release)):
                problems[release.key] = f"release {release.key} was written to less than two minutes ago"
        except OSError as error:
            problems[release.key] = f"{error.filename} of release {release.key} cannot be read: {error.strerror}"
    return problems
