"""Running an experiment from the shell, on the instance that the UI shows."""

import logging
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEventType, EventLogEntry
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from booru_pipeline.definitions import LOCATION, build_defs
from booru_pipeline.defs.hydration import CONCLUDE, hydration_experiment, plan_arms
from booru_pipeline.errors import BooruError
from booru_pipeline.history import first_failure
from booru_pipeline.instance import open_instance, process_tag
from booru_pipeline.settings import Settings

_LOCATION_TAG = ".dagster/repository"  # without it the UI's job pages do not list the shell's runs


def run_hydration(settings: Settings, config: Mapping[str, Any], said: Callable[[str, int], None]) -> Path:
    """Run the hydration experiment.

    Args:
        settings: Where things are.
        config: The experiment's options that are not the defaults, and `release`.
        said: Told each line of the run's log, with Python's logging level.

    Returns:
        The report's path.

    Raises:
        BooruError: It failed, and finished arms are kept; or another one is under way.
    """
    definitions = build_defs(settings)
    run_id = str(uuid.uuid4())
    listener = _Listener(said)
    with open_instance(settings.lake) as instance:
        # Each would clear away what the other has made for its arms. The training pool keeps them apart in the queue,
        # which the shell's runs do not pass through.
        unfinished = dg.RunsFilter(job_name=hydration_experiment.name, statuses=NOT_FINISHED_STATUSES)
        for run in instance.get_runs(unfinished, limit=1):
            raise BooruError(
                f"run {run.run_id[:8]} of {run.job_name} is under way. Wait for it, or end it in the UI (`booru dev`), "
                "and run this again: finished arms are kept."
            )
        instance.add_event_listener(run_id, listener)
        result = definitions.resolve_job_def(hydration_experiment.name).execute_in_process(
            run_id=run_id,
            instance=instance,
            run_config={
                "ops": {plan_arms.name: {"config": dict(config)}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            tags={**process_tag(), _LOCATION_TAG: f"__repository__@{LOCATION}"},
            raise_on_error=False,
        )
        if not result.success:
            raise BooruError(listener.failure or f"run {run_id} of the experiment failed; see it with `booru dev`.")
        return Path(result.output_for_node(CONCLUDE))


class _Listener:
    """Passes the run's log on, and keeps the first failure's message."""

    def __init__(self, said: Callable[[str, int], None]) -> None:
        self._said = said
        self.failure: str | None = None

    def __call__(self, entry: EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            self._said(entry.user_message, int(entry.level))
        elif event.event_type == DagsterEventType.STEP_START:
            self._said(f"{event.step_key} …", logging.INFO)
        if event is not None and self.failure is None and (failure := first_failure([event])):
            self.failure = (
                failure.text
                if failure.mendable
                else f"{failure.step} failed: {failure.text}\nThe whole log is in the UI: `booru dev`."
            )
