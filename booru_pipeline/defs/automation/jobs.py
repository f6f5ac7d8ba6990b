"""Jobs by name, and the checks that run with the stages they make."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

from booru_pipeline.defs import assets
from booru_pipeline.defs.assets.raw_release import BYTES_CHECK
from booru_pipeline.defs.assets.trial import TRIAL_CHECKPOINT, TRIAL_REPORT
from booru_pipeline.pipeline.stages import RAW_RELEASE, Stage

CHECKS: Final = dg.load_asset_checks_from_package_module(assets)
BYTES: Final = dg.AssetCheckKey(dg.AssetKey(RAW_RELEASE), BYTES_CHECK)


def checks_of(stages: Sequence[Stage]) -> list[dg.AssetCheckKey]:
    """The checks that run when some stages are made; loading brings the check of the raw files' headers."""
    checked = {stage.value for stage in stages} | ({RAW_RELEASE} if Stage.TAG_TABLE in stages else set())
    keys = [key for definition in CHECKS for key in definition.check_keys]
    return [key for key in keys if key.asset_key.to_user_string() in checked and key != BYTES]


def _job(
    name: str,
    stages: Sequence[Stage],
    description: str,
    *more_checks: dg.AssetCheckKey,
    config: Mapping[str, Any] | None = None,
) -> AssetJob:
    made = dg.AssetSelection.assets(*(stage.value for stage in stages))
    checked = dg.AssetSelection.checks(*checks_of(stages), *more_checks)
    return dg.define_asset_job(name, selection=made | checked, description=description, config=config)


# One run for the whole chain: a blocking check stops only the run that it is in.
REFRESH_RELEASE = _job(
    "refresh_release",
    list(Stage),
    "Makes everything of one release, from its raw files to the trained model, its report and the audit of its tags. "
    "Choose the release as the partition; the options are those of the settings unless you change them here.",
)
LOAD_ONLY = _job(
    "load_only",
    Stage.TRAINING_SHARDS.upto(),
    "Loads one release, without training. Its tag table and shards take seconds, and are all that `booru sql` and "
    "later releases need.",
)
RETRAIN = _job(
    "retrain",
    [Stage.CHECKPOINT, Stage.EVALUATION_REPORT, Stage.TAG_AUDIT],
    "Trains one release's model again, evaluates it, and asks it for the audit. From the base model, on this and all "
    "earlier releases, whatever `strategy` is set: now and then this makes up for what a chain of checkpoints forgets. "
    "Choose the newest release; its dataset must be there.",
    config={"resources": {Stage.CHECKPOINT.options_key: {"config": {"strategy": "retrain"}}}},
)
EVALUATE_ONLY = _job(
    "evaluate_only",
    [Stage.EVALUATION_REPORT],
    "Tests one release's model again and writes its report anew. It takes minutes, with other options if you like, and "
    "nothing is trained.",
)
CATCH_UP = _job(
    "catch_up",
    list(Stage),
    "Verifies one release and makes what is missing or stale, as the weekly schedule asks for each. Reads the raw "
    "files whole and compares them with what was loaded, then makes what is missing or stale, or evaluates the "
    "promoted checkpoint again. Started by hand it does all of that to one release.",
    BYTES,
)
TRIAL = dg.define_asset_job(
    "trial",
    selection=[TRIAL_CHECKPOINT, TRIAL_REPORT],
    description="Train and evaluate with other options beside what is there: nothing that is there changes. Add a "
    "partition named by release and a name of your choice, such as 2021d@lr5, and change options here.",
)
JOBS: Final = [REFRESH_RELEASE, LOAD_ONLY, RETRAIN, EVALUATE_ONLY, CATCH_UP, TRIAL]
