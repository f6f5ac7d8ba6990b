"""What a run that was killed leaves undone, and somebody has to do for it."""

import dagster as dg

from booru_pipeline.artifact import sweep
from booru_pipeline.lake import Lake
from booru_pipeline.stages import PATHS, Stage

_VERSION = "dagster/data_version"


def make_up_for(instance: dg.DagsterInstance, lake: Lake, release: str) -> list[Stage]:
    """Tell Dagster of artifacts that a killed run published and did not come to record, and sweep up its drafts.

    Returns:
        The stages whose artifacts Dagster did not know of.
    """
    sweep(lake.staging.folder)
    told = []
    for stage in Stage:
        path = PATHS[stage](lake, release)
        record = lake.record(path)
        if record is not None and record.key != _known_version(instance, stage, release):
            event = dg.AssetMaterialization(
                asset_key=stage.value,
                partition=release,
                description="Published by a run that was killed before it could record it.",
                metadata={"path": dg.MetadataValue.path(str(path))},
                tags={_VERSION: record.key},
            )
            instance.report_runless_asset_event(event)
            told.append(stage)
    return told


def _known_version(instance: dg.DagsterInstance, stage: Stage, release: str) -> str | None:
    which = dg.AssetRecordsFilter(asset_key=dg.AssetKey(stage.value), asset_partitions=[release])
    for record in instance.fetch_materializations(which, limit=1).records:
        if record.asset_materialization is not None:
            return (record.asset_materialization.tags or {}).get(_VERSION)
    return None
