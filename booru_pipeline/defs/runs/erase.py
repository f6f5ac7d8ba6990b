"""What Dagster knows of one release or trial, and its removal."""

from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from booru_pipeline.defs.runs.history import PARTITION, RELEASE_PARTITIONS, TRIAL_PARTITIONS
from booru_pipeline.defs.runs.old_runs import OldRuns, remove_runs
from booru_pipeline.defs.runs.process import unfinished_runs
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake

_RUNLESS = ""  # the id of the run of events that are reported without one


@dataclass(frozen=True)
class Past:
    """What Dagster knows of a release.

    Attributes:
        partition: Whether it is a partition.
        runs: Ids of its runs, the newest first.
        events: How many events of assets, of these runs and of none.
    """

    partition: bool
    runs: list[str]
    events: int

    def __bool__(self) -> bool:
        return self.partition or bool(self.runs) or self.events > 0


def past_of(instance: dg.DagsterInstance, release: str) -> Past:
    """Find out what Dagster knows of a release or trial."""
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION: release}))
    return Past(
        any(release in instance.get_dynamic_partitions(name) for name in (RELEASE_PARTITIONS, TRIAL_PARTITIONS)),
        [run.run_id for run in runs],
        len(_events(instance, release)),
    )


def refuse_under_way(instance: dg.DagsterInstance) -> None:
    """Have nothing removed that a run may read.

    Raises:
        BooruError: A run of a release is under way.
    """
    if run := next((run for run in unfinished_runs(instance) if PARTITION in run.tags), None):
        raise BooruError(
            f"run {run.run_id[:8]} of {run.job_name} is under way, which may read what is to be removed. "
            "Wait for it, or end it in the UI (`booru dev`), and run this again."
        )


def erase(instance: dg.DagsterInstance, lake: Lake, release: str) -> None:
    """Remove all of it, the partition last: killed before that, the release is still known and can be named again."""
    storage = _storage(instance)
    runs = past_of(instance, release).runs
    remove_runs(instance, lake, OldRuns(runs, bytes=0))
    with storage.index_connection() as connection:
        checks = AssetCheckExecutionsTable
        connection.execute(checks.delete().where(checks.c.run_id.in_(runs)))
    events, tags = SqlEventLogStorageTable, AssetEventTagsTable
    ids = _events(instance, release)
    with storage.index_connection() as connection:
        connection.execute(tags.delete().where(tags.c.event_id.in_(ids)))
        connection.execute(events.delete().where(events.c.id.in_(ids)))
    with storage.run_connection(_RUNLESS) as connection:  # SQLite keeps a second copy
        connection.execute(events.delete().where(events.c.partition == release, events.c.run_id == _RUNLESS))
    for key in instance.all_asset_keys():
        storage.wipe_asset_cached_status(key)
    for name in (RELEASE_PARTITIONS, TRIAL_PARTITIONS):
        if release in instance.get_dynamic_partitions(name):
            instance.delete_dynamic_partition(name, release)


def _events(instance: dg.DagsterInstance, release: str) -> list[int]:
    events = SqlEventLogStorageTable
    with _storage(instance).index_connection() as connection:
        rows = connection.execute(events.select().with_only_columns(events.c.id).where(events.c.partition == release))
        return [row[0] for row in rows]


def _storage(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    """Dagster wipes assets as a whole only, so that a release's events are removed from the tables.

    Raises:
        BooruError: The history is in another kind of storage.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise BooruError("Dagster's history is not in SQLite or PostgreSQL, so nothing can be taken out of it.")
    return storage
