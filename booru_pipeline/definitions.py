"""The graph at a glance. `dagster dev` loads `defs`; nothing here imports torch, transformers or datasets."""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from booru_pipeline.settings import Settings, load_settings

# Checks partitioned like their assets are marked as a preview; without them a release's result would hide the others'.
# The other warnings of these kinds are Dagster's about its own calls.
for kind in (dg.PreviewWarning, dg.BetaWarning):
    warnings.filterwarnings("ignore", category=kind)

from booru_pipeline.defs import (  # noqa: E402  (the filter comes first: decorators warn at import)
    automation,
    checkpoint,
    evaluation_report,
    hydration,
    releases,
    tag_table,
    tokenized_dataset,
    training_shards,
    vocabulary,
)
from booru_pipeline.defs.resources import resources_from  # noqa: E402

LOCATION = __name__  # the code location's name, as `dagster dev -m` gives it
STAGE_MODULES = [releases, tag_table, training_shards, vocabulary, tokenized_dataset, checkpoint, evaluation_report]


def build_defs(settings: Settings | None = None, *, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Assemble the code location.

    Args:
        settings: Where things are and how they are made; read from the environment and the config file by default.
        resources: Replacements by resource key, such as a Pipes client that starts the training somewhere else.
    """
    checks = dg.load_asset_checks_from_modules(STAGE_MODULES)
    check_keys = [key for definition in checks for key in definition.check_keys]

    def read_settings() -> Settings:
        # Read anew at each tick if nobody gave them, so that a changed setting is noticed.
        return settings if settings is not None else load_settings()

    return dg.Definitions(
        assets=dg.load_assets_from_modules(STAGE_MODULES),
        asset_checks=checks,
        jobs=[*automation.JOBS, hydration.hydration_experiment],
        sensors=automation.sensors(read_settings, check_keys),
        schedules=automation.schedules(read_settings, check_keys),
        resources={**resources_from(read_settings()), **(resources or {})},
        # A release's stages run one after another anyway; in one process they share its imports.
        executor=dg.in_process_executor,
    )


defs = build_defs()
