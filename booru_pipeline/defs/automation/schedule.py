"""The schedule that verifies every file and catches up."""

from collections.abc import Callable, Sequence
from typing import Final

import dagster as dg

from booru_pipeline.defs.assets.raw_release import RELEASES, arrival
from booru_pipeline.defs.automation.decide import decide
from booru_pipeline.defs.automation.jobs import BYTES, CATCH_UP
from booru_pipeline.defs.automation.sensor import automatic_tags, checks_of, resting, run_request
from booru_pipeline.defs.resources import run_config
from booru_pipeline.defs.runs.history import PRIORITY
from booru_pipeline.defs.runs.instance import bury_dead_runs
from booru_pipeline.pipeline.retention import promoted_release
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import Found, find_releases

_SCHEDULE: Final = "weekly_catch_up"


def schedules(read_settings: Callable[[], Settings], checks: Sequence[dg.AssetCheckKey]) -> list[dg.ScheduleDefinition]:
    """The weekly schedule, or none if the settings have no cron for it.

    Args:
        read_settings: Gives the settings as they are now.
        checks: All checks of the graph.
    """
    cron = read_settings().automation.cron
    if not cron:
        return []

    @dg.schedule(
        name=_SCHEDULE,
        job=CATCH_UP,
        cron_schedule=cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Reads every raw file whole and compares it with what was loaded, asks once more for whatever is "
        "missing, stale or failed, and evaluates the promoted checkpoint again. Releases whose chain must wait for an "
        "earlier one are left to the sensor.",
    )
    def weekly_catch_up(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        settings = read_settings()
        if not settings.raw_folder.is_dir():
            return dg.SkipReason(f"there is no folder {settings.raw_folder}")
        instance = context.instance
        bury_dead_runs(instance)
        found = find_releases(settings.raw_folder)
        relations = settings.tag_relations.fingerprints
        decision = decide(settings, instance, found, resting(found), relations, again=True)
        for line in decision.waiting:
            context.log.info(line)
        asked = {request.release.key: request for request in decision.requests}
        evaluated = promoted_release(settings.lake)
        requests = []
        for key in [*decision.fresh, *decision.left, *asked]:
            instance.add_dynamic_partitions(str(RELEASES.name), [key])
            if key in asked:
                instance.report_runless_asset_event(arrival(settings, asked[key].release))
                requests.append(run_request(asked[key], settings, found, checks, _SCHEDULE, None, more_checks=[BYTES]))
            else:
                stages = [Stage.EVALUATION_REPORT] if key == evaluated else []
                requests.append(_verification(key, stages, settings, found, checks))
        return requests or dg.SkipReason(". ".join(decision.waiting) or f"there is no release in {settings.raw_folder}")

    return [weekly_catch_up]


def _verification(
    key: str, stages: Sequence[Stage], settings: Settings, found: Found, checks: Sequence[dg.AssetCheckKey]
) -> dg.RunRequest:
    """A run that reads the files of a made release again, and perhaps evaluates its checkpoint."""
    return dg.RunRequest(
        run_key=f"{key}:verify",
        partition_key=key,
        run_config=run_config(settings),
        asset_selection=[dg.AssetKey(stage.value) for stage in stages],
        asset_check_keys=[BYTES, *checks_of(stages, checks)],
        tags={**automatic_tags(settings, _SCHEDULE), PRIORITY: str(-found.keys.index(key))},
    )
