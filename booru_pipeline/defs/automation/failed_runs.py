"""The sensor that says, in one message, what went wrong with a run and what to do."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any, Final

import dagster as dg

from booru_pipeline.defs.runs.history import PARTITION, Outcome, failure_of, run_of
from booru_pipeline.defs.runs.process import own_tag
from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.settings import Settings

_TIMEOUT_S: Final = 10
_TOLD: Final = ".dagster/booru_told"  # the prefix keeps it out of the UI's list of runs


def failed_runs_sensor(read_settings: Callable[[], Settings]) -> dg.SensorDefinition:
    """The sensor; `read_settings` gives the settings as they are now: which webhook is told."""
    former_webhook = read_settings().automation.webhook

    @dg.run_failure_sensor(
        name="failed_runs",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells of runs that failed. Says which release failed, at what, why and what to do: in this tick's "
        "log, and to the webhook of the settings (`automation.webhook`) if there is one, as JSON.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        # A killed run may have failed twice: Dagster marks it, and so does a scan that finds its process gone.
        run = context.instance.get_run_by_id(context.dagster_run.run_id)
        if run is None or own_tag(run, _TOLD):
            return
        message = describe_failure(context.instance, run)
        context.log.error(message["text"])
        try:
            webhook = read_settings().automation.webhook
        except BooruError as error:  # which may be why the run failed: somebody must be told all the same
            context.log.error(str(error))
            webhook = former_webhook
        if webhook:
            post(webhook, message)
        context.instance.add_run_tags(run.run_id, {_TOLD: run.run_id})

    return failed_runs


def describe_failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, Any]:
    """A failed run as a message: `text` for people (and chat programs), the rest for programs."""
    failure = failure_of(instance, run.run_id)
    past = run_of(instance, run.run_id)
    release = run.tags.get(PARTITION)
    what = f"release {release}" if release else f"job {run.job_name}"
    where = f" at {failure.step}" if failure.step else ""
    no_start = failure.mendable and failure.step is None
    outcome = past.outcome if past is not None and not no_start else None
    again = "the sensor asks for it again." if past and past.target else "start it again."
    if no_start:
        fate, todo = "could not be started", f"Once that is mended, {again}"
    elif outcome is Outcome.OVERTAKEN:
        fate = "was overtaken"
        todo = "That release came while the run was under way: the sensor sees to both, one after the other."
    elif outcome is Outcome.INTERRUPTED:
        fate, todo = "was interrupted", f"It was killed and did not fail by itself: {again}"
    elif failure.mendable:
        fate = "failed"
        todo = "Then start it again; the sensor does so when the release's files or the settings change."
    else:
        fate = "failed"
        todo = f"The log of run {run.run_id} in the UI says more. Start it again by hand once the cause is mended."
    said = failure.text if failure.text.endswith((".", "?")) else f"{failure.text}."
    return {
        "text": f"{what} {fate}{where}: {said} {todo}",
        "release": release,
        "stage": failure.step,
        "error": failure.text,
        "remedy": todo,
        "interrupted": outcome is Outcome.INTERRUPTED,
        "job": run.job_name,
        "run_id": run.run_id,
    }


def post(webhook: str, message: dict[str, Any]) -> None:
    """Send a message as JSON.

    Raises:
        BooruError: Nobody took it.
    """
    request = urllib.request.Request(
        webhook, json.dumps(message).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            response.read()
    except OSError as error:
        raise BooruError(
            f"the webhook {webhook} did not take the message about run {message['run_id'][:8]}: {error}. "
            "Correct automation.webhook; the message is in this tick's log."
        ) from error
