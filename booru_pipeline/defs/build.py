"""Assembling the code location."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from booru_pipeline.defs import hydration
from booru_pipeline.defs.assets import (
    checkpoint,
    evaluation_report,
    raw_release,
    tag_table,
    tokenized_dataset,
    training_shards,
    vocabulary,
)
from booru_pipeline.defs.automation import jobs
from booru_pipeline.defs.automation.schedule import schedules
from booru_pipeline.defs.resources import resources_from
from booru_pipeline.pipeline.settings import Settings, load_settings

# The code location's name, as `dagster dev -m booru_pipeline.definitions` gives it: history, cursors and schedules
# go by it.
LOCATION = "booru_pipeline.definitions"
STAGE_MODULES = [raw_release, tag_table, training_shards, vocabulary, tokenized_dataset, checkpoint, evaluation_report]


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
        jobs=[*jobs.JOBS, hydration.hydration_experiment],
        sensors=jobs.sensors(read_settings, check_keys),
        schedules=schedules(read_settings, check_keys),
        resources={**resources_from(read_settings()), **(resources or {})},
        # A release's stages run one after another anyway; in one process they share its imports.
        executor=dg.in_process_executor,
    )
