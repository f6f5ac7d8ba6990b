"""Jobs, the sensor that finds new releases, and the schedule that catches up."""

import dagster as dg

from booru_pipeline.defs.releases import RELEASES, arrival, fingerprint_of, loaded_fingerprint
from booru_pipeline.defs.resources import Folders
from booru_pipeline.release.find import Release, find_releases
from booru_pipeline.stages import RAW_RELEASE, Stage

_LOADED = (Stage.TAG_TABLE, Stage.TRAINING_SHARDS)
_ASSETS = dg.AssetSelection.assets(*[stage.value for stage in Stage])

# One run for the whole chain: a blocking check stops only the run that it is in.
REFRESH_RELEASE = dg.define_asset_job(
    "refresh_release",
    selection=_ASSETS | dg.AssetSelection.all_asset_checks(),
    description="Everything of one release: load it, cut shards, count labels, tokenize, fine-tune, evaluate.",
)
LOAD_ONLY = dg.define_asset_job(
    "load_only",
    selection=dg.AssetSelection.assets(Stage.TAG_TABLE.value, Stage.TRAINING_SHARDS.value)
    | dg.AssetSelection.checks_for_assets(RAW_RELEASE, Stage.TAG_TABLE.value, Stage.TRAINING_SHARDS.value),
    description="Load one release and cut its shards: seconds, and all that `booru sql` and later releases need.",
)
JOBS = [REFRESH_RELEASE, LOAD_ONLY]


@dg.sensor(
    job=REFRESH_RELEASE,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks through the raw folder, adds releases as partitions, and asks for a run of each whose bytes "
    "are new.",
)
def new_releases(context: dg.SensorEvaluationContext, folders: Folders) -> dg.SensorResult | dg.SkipReason:
    """Find releases that were never loaded, or were loaded from other bytes."""
    return _catch_up(context.instance, folders)


@dg.schedule(
    job=REFRESH_RELEASE,
    cron_schedule="0 4 * * 1",
    description="Weekly: the same look as the sensor's, for when that is off.",
)
def weekly_catch_up(context: dg.ScheduleEvaluationContext, folders: Folders) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for a run of each release whose bytes are new."""
    result = _catch_up(context.instance, folders)
    return list(result.run_requests or []) if isinstance(result, dg.SensorResult) else result


def _catch_up(instance: dg.DagsterInstance, folders: Folders) -> dg.SensorResult | dg.SkipReason:
    if not folders.raw_folder.is_dir():
        return dg.SkipReason(f"there is no folder {folders.raw_folder}")
    found = find_releases(folders.raw_folder)
    waiting = "; ".join(item.problem for item in found.incomplete)
    known = set(instance.get_dynamic_partitions(str(RELEASES.name)))
    new_keys = [release.key for release in found.releases if release.key not in known]
    if new_keys:
        instance.add_dynamic_partitions(str(RELEASES.name), new_keys)
    due = [
        release
        for release in found.releases
        if loaded_fingerprint(folders, release.key) != fingerprint_of(folders, release)
    ]
    if not due:
        return dg.SkipReason(f"nothing new among {len(found.releases)} releases. {waiting}".strip())
    return dg.SensorResult(run_requests=[_request(instance, folders, release) for release in due])


def _request(instance: dg.DagsterInstance, folders: Folders, release: Release) -> dg.RunRequest:
    instance.report_runless_asset_event(arrival(folders, release))
    # The fingerprint is in the key: a corrected file runs again, an unchanged one never does (dagster #7292).
    return dg.RunRequest(
        run_key=f"{release.key}:{fingerprint_of(folders, release)}",
        partition_key=release.key,
        # A hand-tagged release is an addition to the dated ones; nothing is trained on it alone.
        asset_selection=[dg.AssetKey(stage.value) for stage in _LOADED] if release.hand_tagged else None,
    )


SENSORS = [new_releases]
SCHEDULES = [weekly_catch_up]
