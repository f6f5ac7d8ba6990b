"""The project's Dagster instance: history under BOORU_HOME, shared by the shell and the UI."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
import psutil

from booru_pipeline.defs.runs.given_config import give_config
from booru_pipeline.defs.runs.read_only import copied_instance, is_read_only
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.locks import cannot_write, check_locks
from booru_pipeline.lake.publish import sweep
from booru_pipeline.pipeline.stages import Stage

_PACKAGE: Final = Path(__file__).parents[2]
_INSTALLED: Final = _PACKAGE / "_dagster.yaml"  # where the wheel puts it; a checkout has it beside the package
_TEMPLATE: Final = _INSTALLED if _INSTALLED.is_file() else _PACKAGE.parent / "dagster.yaml"
_SILENT_S: Final = 60  # a run says where it is within a second of its start
_CLOCK_S: Final = 3
_PROCESS_TAG: Final = ".dagster/booru_process"  # the prefix keeps it out of the UI's list of runs


def prepare_dagster_home(lake: Lake) -> Path:
    """Make DAGSTER_HOME with our settings, if it has none of its own, and put it into the environment.

    Raises:
        BooruError: The home cannot be written, or its disk has no locks.
    """
    try:
        lake.dagster_home.mkdir(parents=True, exist_ok=True)
        give_config(_TEMPLATE, lake.dagster_home / "dagster.yaml")
    except OSError as error:
        raise cannot_write(lake.home, error) from error
    check_locks(lake.dagster_home)
    os.environ["DAGSTER_HOME"] = str(lake.dagster_home)
    return lake.dagster_home


@contextmanager
def open_instance(lake: Lake) -> Iterator[dg.DagsterInstance]:
    """The instance, after runs whose shell process died have been marked as failed."""
    prepare_dagster_home(lake)
    with dg.DagsterInstance.get() as instance:
        bury_dead_runs(instance)
        yield instance


@contextmanager
def existing_instance(lake: Lake) -> Iterator[dg.DagsterInstance | None]:
    """The instance for who only reads, or None if nothing ever ran. The home may be read-only."""
    home = lake.dagster_home
    if not (home / "dagster.yaml").is_file():
        yield None
        return
    opened = copied_instance(home) if is_read_only(home) else dg.DagsterInstance.from_config(str(home))
    with opened as instance:
        yield instance


def process_tag() -> dict[str, str]:
    """A run tag that says which process executes the run."""
    process = psutil.Process()
    # The start time tells a process from a later one with the same number.
    return {_PROCESS_TAG: f"{socket.gethostname()}:{process.pid}:{process.create_time():.0f}"}


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed that a process of this machine executed which is gone, and give their ids.

    Dagster finds out by itself only as long as the code server that started the process lives. A run that began long
    ago and has not said which process executes it died before it could.
    """
    unfinished = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    buried = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=unfinished)):
        run = record.dagster_run
        host, _, _ = run.tags.get(_PROCESS_TAG, "").partition(":")
        silent = not host and record.start_time is not None and time.time() - record.start_time > _SILENT_S
        if silent or (host == socket.gethostname() and process_of(run) is None):
            instance.report_run_failed(run, "the process that executed this run is gone")
            buried.append(run.run_id)
    return buried


def process_of(run: dg.DagsterRun) -> psutil.Process | None:
    """The process of this machine that executes a run; None if it is gone, not known, or another machine's."""
    name = run.tags.get(_PROCESS_TAG, "")
    try:
        _, number, began = name.split(":")
        process = psutil.Process(int(number))
        # Linux reckons it from the time of the boot, which moves when the clock is set.
        return process if abs(process.create_time() - float(began)) < _CLOCK_S else None
    except (psutil.Error, ValueError):
        return None


_VERSION = "dagster/data_version"


def make_up_for(instance: dg.DagsterInstance, lake: Lake, release: str) -> list[Stage]:
    """Tell Dagster of artifacts that a killed run published and did not come to record, and sweep up its drafts.

    Returns:
        The stages whose artifacts Dagster did not know of.
    """
    sweep(lake.staging.folder)
    told = []
    for stage in Stage:
        path = stage.path(lake, release)
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
