"""Dagster's history in a home that cannot be written: read from a copy, since SQLite writes beside what it reads."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg

from booru_pipeline.defs.runs.history import PARTITION

# Where Dagster's SQLite storages keep everything but the events of single runs, which are a file a run.
_INDEXES: Final = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")
_EVENTS: Final = "history/runs"


def is_read_only(dagster_home: Path) -> bool:
    """Whether this process cannot write where the history is."""
    folders = {dagster_home, *(dagster_home / name for name in _INDEXES), dagster_home / _EVENTS}
    return not all(os.access(path, os.W_OK) for path in folders if path.exists())


@contextmanager
def copied_instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    """An instance of a copy: of what is known about runs, and of what happened in the newest failed one a release.

    Events of all runs are 0.7 MB a run, and nobody asks for the others.
    """
    with tempfile.TemporaryDirectory(prefix="booru-history-") as name:
        copy = Path(name)
        shutil.copyfile(dagster_home / "dagster.yaml", copy / "dagster.yaml")
        for database in _INDEXES:
            _copy(dagster_home / database, copy / database)
        with dg.DagsterInstance.from_config(str(copy)) as instance:
            failed = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
            newest = {
                run.tags.get(PARTITION): run.run_id for run in (record.dagster_run for record in reversed(failed))
            }
            for run_id in newest.values():
                _copy(dagster_home / _EVENTS / f"{run_id}.db", copy / _EVENTS / f"{run_id}.db")
            yield instance


def _copy(database: Path, to: Path) -> None:
    """Copy a SQLite file, if it is there, with what was written last and stands beside it."""
    to.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", "-wal"):
        source = database.with_name(f"{database.name}{suffix}")
        if source.is_file():
            shutil.copyfile(source, to.with_name(f"{to.name}{suffix}"))
