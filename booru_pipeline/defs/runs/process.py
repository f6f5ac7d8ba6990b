"""The process that executes a run: who it is, and whether it is gone."""

import socket
import time
from typing import Final

import dagster as dg
import psutil
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

_UNFINISHED: Final = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
_SILENT_S: Final = 60  # a run says where it is within a second of its start
_START_S: Final = 240  # Dagster's daemon, if there is one, gives up a run that does not start after 180 s
_CLOCK_S: Final = 3
_PROCESS_TAG: Final = ".dagster/booru_process"  # the prefix keeps it out of the UI's list of runs


def process_tag(run_id: str = "") -> dict[str, str]:
    """A run tag that says which process executes the run."""
    process = psutil.Process()
    # The start time tells a process from a later one with the same number.
    name = f"{socket.gethostname()}:{process.pid}:{process.create_time():.0f}"
    return {_PROCESS_TAG: f"{name}:{run_id}" if run_id else name}


def own_tag(run: dg.DagsterRun, name: str) -> str:
    """What a tag says of this run; empty if it says nothing.

    Who re-executes a run in the UI gives the new one all the tags of the old: what is true of one run only has the
    run's id in it.
    """
    value = run.tags.get(name, "")
    return value if run.parent_run_id is None or run.run_id in value else ""


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed that a process of this machine executed which is gone, and give their ids.

    Dagster finds out by itself only as long as the code server that started the process lives.
    """
    buried = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)):
        if is_dead(record):
            instance.report_run_failed(record.dagster_run, "the process that executed this run is gone")
            buried.append(record.dagster_run.run_id)
    return buried


def unfinished_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Runs that may still do something: queued or under way, and not dead."""
    records = instance.get_run_records(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    return [record.dagster_run for record in records if not is_dead(record)]


def is_dead(record: dg.RunRecord) -> bool:
    """Whether Dagster takes a run for unfinished, and the process of this machine that executed it is gone.

    A run that began long ago and has not said which process executes it died before it could.
    """
    run = record.dagster_run
    if run.status not in _UNFINISHED:
        return False
    host, _, _ = own_tag(run, _PROCESS_TAG).partition(":")
    if host:
        return host == socket.gethostname() and process_of(run) is None
    starting = run.status == dg.DagsterRunStatus.STARTING
    began, patience = (record.update_timestamp.timestamp(), _START_S) if starting else (record.start_time, _SILENT_S)
    return began is not None and time.time() - began > patience


def process_of(run: dg.DagsterRun) -> psutil.Process | None:
    """The process of this machine that executes a run; None if it is gone, not known, or another machine's."""
    name = own_tag(run, _PROCESS_TAG)
    try:
        _, number, began, *_ = name.split(":")
        process = psutil.Process(int(number))
        # Linux reckons it from the time of the boot, which moves when the clock is set.
        return process if abs(process.create_time() - float(began)) < _CLOCK_S else None
    except (psutil.Error, ValueError):
        return None
