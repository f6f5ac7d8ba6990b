"""Jobs by name."""

from collections.abc import Callable, Sequence
from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

from booru_pipeline.defs.assets.raw_release import BYTES_CHECK
from booru_pipeline.defs.automation.failed_runs import failed_runs_sensor
from booru_pipeline.defs.automation.sensor import new_releases_sensor
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import RAW_RELEASE, Stage

_ASSETS: Final = dg.AssetSelection.assets(*[stage.value for stage in Stage])
BYTES: Final = dg.AssetCheckKey(dg.AssetKey(RAW_RELEASE), BYTES_CHECK)
_CHECKS: Final = dg.AssetSelection.all_asset_checks() - dg.AssetSelection.checks(BYTES)


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
        - dg.AssetSelection.checks(BYTES)
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
