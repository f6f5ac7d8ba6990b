"""Jobs by name, and what starts them unasked: the sensor, the schedule, and the sensor of failed runs."""

from collections.abc import Callable, Sequence
from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

from booru_pipeline.catch_up import decide
from booru_pipeline.defs.failed_runs import failed_runs_sensor
from booru_pipeline.defs.new_releases import automatic_tags, checks_of, new_releases_sensor, resting, run_request
from booru_pipeline.defs.releases import BYTES_CHECK, RELEASES, arrival
from booru_pipeline.defs.resources import folders_from, run_config
from booru_pipeline.history import PRIORITY
from booru_pipeline.instance import bury_dead_runs
from booru_pipeline.release.find import Found, find_releases
from booru_pipeline.retention import promoted_release
from booru_pipeline.settings import Settings
from booru_pipeline.stages import RAW_RELEASE, Stage

_ASSETS: Final = dg.AssetSelection.assets(*[stage.value for stage in Stage])
_BYTES: Final = dg.AssetCheckKey(dg.AssetKey(RAW_RELEASE), BYTES_CHECK)
_CHECKS: Final = dg.AssetSelection.all_asset_checks() - dg.AssetSelection.checks(_BYTES)
_SCHEDULE: Final = "weekly_catch_up"


def _job(name: str, stages: Sequence[Stage], description: str, **more: object) -> AssetJob:
    names = [stage.value for stage in stages]
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*names) | dg.AssetSelection.checks_for_assets(*names),
        description=description,
        **more,  # type: ignore[arg-type]
    )


# One run for the whole chain: a blocking check stops only the run that it is in.
REFRESH_RELEASE = dg.define_asset_job(
    "refresh_release",
    selection=_ASSETS | _CHECKS,
    description="Everything of one release: load it, cut shards, count labels, tokenize, fine-tune, evaluate. Choose "
    "the release as the partition; the options are those of the settings unless you change them here.",
)
LOAD_ONLY = dg.define_asset_job(
    "load_only",
    selection=dg.AssetSelection.assets(Stage.TAG_TABLE.value, Stage.TRAINING_SHARDS.value)
    | (
        dg.AssetSelection.checks_for_assets(RAW_RELEASE, Stage.TAG_TABLE.value, Stage.TRAINING_SHARDS.value)
        - dg.AssetSelection.checks(_BYTES)
    ),
    description="Load one release and cut its shards: seconds, and all that `booru sql` and later releases need.",
)
RETRAIN = _job(
    "retrain",
    [Stage.CHECKPOINT, Stage.EVALUATION_REPORT],
    "Train one release's model anew, from the base model on this and all earlier releases, and evaluate it, whatever "
    "`strategy` is set: now and then this makes up for what a chain of checkpoints forgets. Choose the newest release; "
    "its dataset must be there.",
    config={"resources": {"training_options": {"config": {"strategy": "retrain"}}}},
)
EVALUATE_ONLY = _job(
    "evaluate_only",
    [Stage.EVALUATION_REPORT],
    "Evaluate one release's checkpoint again, with other options if you like: minutes, and nothing is trained.",
)
CATCH_UP = dg.define_asset_job(
    "catch_up",
    selection=_ASSETS | dg.AssetSelection.all_asset_checks(),
    description="What the weekly schedule asks for, release by release: read the raw files whole and compare them with "
    "what was loaded, then make what is missing or stale, or evaluate the promoted checkpoint again. Started by hand "
    "it does all of that to one release.",
)
JOBS = [REFRESH_RELEASE, LOAD_ONLY, RETRAIN, EVALUATE_ONLY, CATCH_UP]


def sensors(read_settings: Callable[[], Settings], checks: Sequence[dg.AssetCheckKey]) -> list[dg.SensorDefinition]:
    """The sensor of new releases and the one of failed runs.

    Args:
        read_settings: Gives the settings as they are now.
        checks: All checks of the graph.
    """
    interval_s = read_settings().automation.look_interval_s
    return [
        new_releases_sensor(read_settings, interval_s, REFRESH_RELEASE, LOAD_ONLY, checks),
        failed_runs_sensor(read_settings),
    ]


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
                instance.report_runless_asset_event(arrival(folders_from(settings), asked[key].release))
                requests.append(run_request(asked[key], settings, found, checks, _SCHEDULE, None, more_checks=[_BYTES]))
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
        asset_check_keys=[_BYTES, *checks_of(stages, checks)],
        tags={**automatic_tags(settings, _SCHEDULE), PRIORITY: str(-found.keys.index(key))},
    )
