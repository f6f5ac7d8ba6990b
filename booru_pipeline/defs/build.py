"""Assembling the code location."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from booru_pipeline.defs import assets
from booru_pipeline.defs.automation.failed_runs import failed_runs_sensor
from booru_pipeline.defs.automation.jobs import CHECKS, JOBS
from booru_pipeline.defs.automation.schedule import schedules
from booru_pipeline.defs.automation.sensor import new_releases_sensor
from booru_pipeline.defs.hydration import hydration_experiment
from booru_pipeline.defs.resources import resources_from
from booru_pipeline.defs.runs.execute import LOCATION as LOCATION
from booru_pipeline.pipeline.settings import Settings, load_settings


def build_defs(settings: Settings | None = None, *, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Assemble the code location.

    Args:
        settings: Where things are and how they are made; read from the environment and the config file by default.
        resources: Replacements by resource key, such as a Pipes client that starts the training somewhere else.
    """

    def read_settings() -> Settings:
        # Read again at each tick if nobody gave them, so that a changed setting is noticed.
        return settings if settings is not None else load_settings()

    now = read_settings()
    linked = _with_reports(now)
    return dg.Definitions(
        assets=[
            item.map_asset_specs(linked) if isinstance(item, dg.AssetsDefinition) else item  # a source asset has none
            for item in dg.load_assets_from_package_module(assets)
        ],
        asset_checks=CHECKS,
        jobs=[*JOBS, hydration_experiment],
        sensors=[new_releases_sensor(read_settings), failed_runs_sensor(read_settings)],
        schedules=schedules(read_settings),
        resources={**resources_from(now), **(resources or {})},
        # A release's stages run one after another anyway; in one process they share its imports.
        executor=dg.in_process_executor,
    )


def _with_reports(settings: Settings) -> Callable[[dg.AssetSpec], dg.AssetSpec]:
    """Adds the addresses of the model's page and of the reports to the description of each asset that is one.

    The definitions are loaded with the settings that the reports are served by. A materialization would keep the
    address of its day.
    """
    url = settings.reports_url.rstrip("/")
    links = f"[Ask the model, in the browser](<{url}/>), [all reports](<{url}/reports/>)"

    def linked(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(description=f"{spec.description}\n\n{links}") if "html" in spec.kinds else spec

    return linked
