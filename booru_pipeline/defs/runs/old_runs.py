"""Runs of Dagster's history that nobody needs any more; Dagster itself purges sensors' and schedules' ticks only."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
from dagster import DagsterEventType
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage

from booru_pipeline.defs.runs.history import PARTITION, TARGET
from booru_pipeline.lake.lake import Lake
from booru_pipeline.sql import statement

_AT_ONCE: Final = 500
_WAIT_S: Final = 5.0
_RUNS: Final = "runs.db"
_DATABASES: Final = (_RUNS, "index.db", "schedules.db")  # each other one has the events of one run
_LATEST: Final = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION)


@dataclass(frozen=True)
class OldRuns:
    """Runs that can go.

    Attributes:
        ids: Dagster's, the newest first.
        bytes: Of their logs; what they take of the history's tables is not known before.
    """

    ids: list[str]
    bytes: int


def find_old_runs(instance: dg.DagsterInstance, lake: Lake, days: float) -> OldRuns:
    """Runs that ended more than so many days ago, and that neither an asset's page nor a decision needs.

    Kept are those that materialized or observed a partition last, and of each release, or job without one: the newest,
    the newest that succeeded, and all with the newest target, which count as attempts.
    """
    records = list(_all_records(instance))
    before = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    kept = {*_last_makers(instance), *_decisive(records)}
    ids = [
        record.dagster_run.run_id
        for record in records
        if record.dagster_run.is_finished
        and record.dagster_run.run_id not in kept
        and (record.end_time or record.update_timestamp.timestamp()) < before
    ]
    return OldRuns(ids, sum(path.lstat().st_size for run_id in ids for path in _files(instance, lake, run_id)))


def remove_runs(instance: dg.DagsterInstance, lake: Lake, runs: OldRuns) -> int:
    """Remove them with their logs, and give the bytes gained."""
    before = _size(lake)
    for run_id in runs.ids:
        instance.delete_run(run_id)
        for path in _files(instance, lake, run_id):
            path.unlink(missing_ok=True)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    for database in lake.dagster_home.rglob("*.db"):
        if database.name in _DATABASES:
            _compact(database)
    return before - _size(lake)


def _all_records(instance: dg.DagsterInstance) -> Iterator[dg.RunRecord]:
    """All runs, the newest first."""
    cursor: str | None = None
    while batch := instance.get_run_records(limit=_AT_ONCE, cursor=cursor):
        yield from batch
        cursor = batch[-1].dagster_run.run_id


def _last_makers(instance: dg.DagsterInstance) -> Iterator[str]:
    """The runs whose events are the last ones of a partition, or of an asset without."""
    storage = instance.event_log_storage
    for key in instance.all_asset_keys():
        for kind in _LATEST:
            rows = list(storage.get_latest_storage_id_by_partition(key, kind).values())
            for start in range(0, len(rows), _AT_ONCE):
                part = rows[start : start + _AT_ONCE]
                which = dg.AssetRecordsFilter(asset_key=key, storage_ids=part)
                fetch = instance.fetch_materializations if kind is _LATEST[0] else instance.fetch_observations
                yield from (record.run_id for record in fetch(which, limit=len(part)).records)
        if (latest := instance.get_latest_materialization_event(key)) is not None:
            yield latest.run_id


def _decisive(records: Iterable[dg.RunRecord]) -> Iterator[str]:
    """The runs that status, sensor and schedule look at, of runs from the newest on."""
    told: set[tuple[str, str]] = set()
    targets: dict[str, str] = {}
    for run in (record.dagster_run for record in records):
        of = run.tags.get(PARTITION) or f"job {run.job_name}"
        marks = {"newest", *(["succeeded"] if run.is_success else [])}
        if target := run.tags.get(TARGET):
            marks |= {target} if targets.setdefault(of, target) == target else set()
        if any((of, mark) not in told or mark == target for mark in marks):
            yield run.run_id
        told |= {(of, mark) for mark in marks}


def _files(instance: dg.DagsterInstance, lake: Lake, run_id: str) -> Sequence[Path]:
    """What a run has in the home: its events, in a SQLite file of its own, and what its steps printed."""
    storage = instance.event_log_storage
    shard = Path(storage.path_for_shard(run_id)) if isinstance(storage, SqliteEventLogStorage) else None
    printed = (lake.dagster_home / "storage" / run_id).rglob("*")
    shards = shard.parent.glob(f"{shard.name}*") if shard is not None else ()
    return [path for path in (*shards, *printed) if path.is_file()]


def _compact(database: Path) -> None:
    """Give the disk what rows have left. Somebody else at work is not waited for long: the next time does it."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, timeout=_WAIT_S)) as connection:
        if database.name == _RUNS:
            connection.executescript(statement("defs", "drop_lone_run_tags"))
        connection.executescript(statement("defs", "compact"))


def _size(lake: Lake) -> int:
    return sum(path.lstat().st_size for path in lake.dagster_home.rglob("*") if path.is_file())
