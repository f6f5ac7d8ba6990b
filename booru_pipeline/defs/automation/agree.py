"""What the UI shows of releases, against what there is of them: people wipe, add and delete there.

The sensor sets it right at each scan, and `booru status` says what it is about to do.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster import DagsterEventType

from booru_pipeline.defs.assets.evaluation_report import metadata_of_report
from booru_pipeline.defs.assets.metadata import location
from booru_pipeline.defs.assets.raw_release import arrival
from booru_pipeline.defs.assets.tag_audit import metadata_of_audit
from booru_pipeline.defs.assets.trial import TRIAL_CHECKPOINT, TRIAL_REPORT
from booru_pipeline.defs.runs.history import PARTITION, RELEASE_PARTITIONS, TRIAL_PARTITIONS
from booru_pipeline.defs.runs.process import unfinished_runs
from booru_pipeline.hashing import fingerprint
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import leftovers, sweep
from booru_pipeline.lake.record import Record
from booru_pipeline.lake.trial import is_kept, parse_trial, release_part
from booru_pipeline.pipeline.freshness import State, Status
from booru_pipeline.pipeline.settings import Folders
from booru_pipeline.pipeline.stages import RAW_RELEASE, Stage
from booru_pipeline.release.find import Found

Statuses = Mapping[str, Sequence[Status]]  # by release, stage by stage

_VERSION: Final = "dagster/data_version"


@dataclass(frozen=True)
class Partitioned:
    """Assets with the same dynamic partitions.

    Attributes:
        partitions: The name of these.
        assets: Where a partition's artifact lies, by asset.
        listing: Which partitions have an artifact.
        names: Whether a name could be one's, given the keys of the releases that there are.
    """

    partitions: str
    assets: Mapping[str, Callable[[Lake, str], Path]]
    listing: Callable[[Lake, Callable[[str], Path]], list[str]]
    names: Callable[[str, Collection[str]], bool]

    def made(self, lake: Lake) -> set[str]:
        """Partitions of which the home has an artifact; what others put into the store is no business of its UI."""
        here = Lake(lake.home)
        return {key for path in self.assets.values() for key in self.listing(here, partial(path, here))}

    def traces(self, lake: Lake) -> set[str]:
        """The same, and what the store has, with notes of removed artifacts and states of trainings."""
        paths: list[Callable[[str], Path]] = [
            *(partial(path, lake) for path in self.assets.values()),
            *(partial(lake.retired, asset) for asset in self.assets),
            lake.training_states,
        ]
        return {key for path in paths for key in self.listing(lake, path)}


def _is_trial_of(name: str, releases: Collection[str]) -> bool:
    """Whether a partition may be a trial that somebody is about to launch: it is added before its options are typed."""
    return parse_trial(name) == name and not is_kept(name) and release_part(name) in releases


STAGES: Final = Partitioned(
    RELEASE_PARTITIONS, {stage.value: stage.path for stage in Stage}, Lake.releases_with, lambda key, keys: key in keys
)
TRIALS: Final = Partitioned(
    TRIAL_PARTITIONS,
    {TRIAL_CHECKPOINT: Stage.CHECKPOINT.path, TRIAL_REPORT: Stage.EVALUATION_REPORT.path},
    Lake.trials_with,
    _is_trial_of,
)


# What an artifact that is there shows in the UI, by asset, if nobody knows any more how it was made.
_FIGURES: Final[Mapping[str, Callable[[Path], Mapping[str, Any]]]] = {
    Stage.EVALUATION_REPORT: metadata_of_report,
    TRIAL_REPORT: metadata_of_report,
    Stage.TAG_AUDIT: metadata_of_audit,
}


@dataclass(frozen=True)
class Differences:
    """What the UI shows otherwise than `booru status`, and the next scan sets right.

    Attributes:
        of: Which assets.
        missing: Releases or trials that are there, or of which something was made, and that are no partitions.
        empty: Partitions that name no release or trial, and of which nothing was ever made.
        unknown: Assets and partitions of which Dagster knows nothing, another version, or a failure that is past.
    """

    of: Partitioned
    missing: list[str]
    empty: list[str]
    unknown: list[tuple[str, str]]

    @property
    def in_words(self) -> list[str]:
        """A sentence each."""
        return [
            *(f"{key} is no partition in the UI, and becomes one" for key in self.missing),
            *(
                f"partition {key} names no {self.of.partitions}, nothing was ever made of it, and it goes"
                for key in self.empty
            ),
            *(f"{asset} of {key} is there, and the UI is told of it" for asset, key in self.unknown),
        ]


def all_differences(instance: dg.DagsterInstance, lake: Lake, found: Found, statuses: Statuses) -> list[Differences]:
    """Those of releases, then those of trials; see `differences`."""
    return [differences(instance, lake, found, statuses), differences(instance, lake, found, {}, TRIALS)]


def differences(
    instance: dg.DagsterInstance, lake: Lake, found: Found, statuses: Statuses, of: Partitioned = STAGES
) -> Differences:
    """Find out what the UI shows otherwise; nothing is changed.

    A release that is being made is left alone: between an artifact's name and its event lies a moment.

    Args:
        instance: What the UI shows.
        lake: With the artifacts.
        found: What the raw folder has.
        statuses: Of the releases that may be read.
        of: Which assets.
    """
    unfinished = unfinished_runs(instance)  # before what is known: what ends meanwhile has said all
    known = {asset: _known_versions(instance, asset) for asset in of.assets}
    partitions, made = set(instance.get_dynamic_partitions(of.partitions)), of.made(lake)
    busy = {run.tags.get(PARTITION) for run in unfinished if run.status != dg.DagsterRunStatus.QUEUED}
    there = sorted({*statuses, *made} - busy)
    unknown = []
    for asset, path in of.assets.items():
        records = {key: record for key in there if (record := lake.record(path(lake, key))) is not None}
        unknown += [(asset, key) for key in _unrecorded(instance, asset, known[asset], records, statuses)]
    arrived = _known_versions(instance, RAW_RELEASE)
    loaded = [key for key, items in statuses.items() if items[0].state is State.FRESH and key not in busy]
    return Differences(
        of,
        sorted({*statuses, *made} - partitions),
        sorted(_empty(instance, lake, found, of)),
        [*((RAW_RELEASE, key) for key in loaded if key not in arrived), *unknown],
    )


def _empty(instance: dg.DagsterInstance, lake: Lake, found: Found, of: Partitioned) -> set[str]:
    """Partitions that name no release, and of which nothing was ever made, nor is being made.

    What was made once stays, whatever became of it: the raw folder or the home may be back tomorrow.
    """
    releases = {*found.keys, *(item.key for item in found.incomplete), *STAGES.traces(lake)}
    partitions = {*instance.get_dynamic_partitions(of.partitions)}
    doubtful = {key for key in partitions - of.traces(lake) if not of.names(key, releases)}
    if doubtful:
        doubtful -= {str(run.tags.get(PARTITION)) for run in unfinished_runs(instance)}
        doubtful -= {key for asset in of.assets for key in _known_versions(instance, asset)}
    return doubtful


def _unrecorded(
    instance: dg.DagsterInstance,
    asset: str,
    known: Mapping[str, str],
    records: Mapping[str, Record],
    statuses: Statuses,
) -> Iterator[str]:
    """Partitions of which an asset is to be recorded.

    A failure stays one, unless the artifact is what that run made before it was killed, or is fresh all the same, as
    when the files or settings are again what they were.
    """
    failed = instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations(
        dg.AssetKey(asset)
    )
    for key, record in records.items():
        other = record.key != known.get(key)
        fresh = any(item.stage == asset and item.state is State.FRESH for item in statuses.get(key, ()))
        if (fresh or (other and _made_by(instance, failed[key][0], record))) if key in failed else other:
            yield key


def _made_by(instance: dg.DagsterInstance, run_id: str, artifact: Record) -> bool:
    """Whether an artifact was made when a run had begun, the last that was to make it."""
    run = instance.get_run_record_by_id(run_id)
    return run is not None and datetime.fromisoformat(artifact.made) > run.create_timestamp


def set_right(instance: dg.DagsterInstance, folders: Folders, found: Found, due: Differences) -> None:
    """Have the UI show what there is."""
    instance.add_dynamic_partitions(due.of.partitions, due.missing)
    for key in due.empty:
        instance.delete_dynamic_partition(due.of.partitions, key)
    whole = {release.key: release for release in found.releases}
    for asset, key in due.unknown:
        event = arrival(folders, whole[key]) if asset == RAW_RELEASE else _recorded(folders, due.of, asset, key)
        instance.report_runless_asset_event(event)
    if leftovers(folders.lake.staging.folder):
        sweep(folders.lake.staging.folder)  # of a run that was killed


def _recorded(folders: Folders, of: Partitioned, asset: str, key: str) -> dg.AssetMaterialization:
    """The event that tells Dagster of an artifact that is there."""
    path = of.assets[asset](folders.lake, key)
    record = folders.lake.record(path)
    figures = _FIGURES[asset](path) if asset in _FIGURES else {}
    return dg.AssetMaterialization(
        asset_key=dg.AssetKey(asset),
        partition=key,
        description="It is there, and Dagster did not know of it: its run was killed before it could say so, or a "
        "person wiped what was known.",
        metadata={**location(folders, path), **figures},
        tags={_VERSION: record.key} if record else {},
    )


def signature(instance: dg.DagsterInstance, lake: Lake, found: Found, statuses: Statuses) -> str:
    """Another one if `all_differences` may have something else to say; that takes ten times as long."""
    known = [key.to_user_string() for key in instance.get_asset_keys()]  # a wiped one is none
    events = instance.event_log_storage.get_maximum_record_id()
    kinds = (STAGES, TRIALS)
    partitions = [(sorted(instance.get_dynamic_partitions(of.partitions)), sorted(of.made(lake))) for of in kinds]
    runs = sorted((run.run_id, run.status.value) for run in unfinished_runs(instance))
    states = {key: [item.state.value for item in items] for key, items in statuses.items()}
    return fingerprint(known, events, partitions, runs, states, found.keys)


def taken_away(lake: Lake, instance: dg.DagsterInstance | None, found: Found) -> list[str]:
    """Releases of which something was made, and that the raw folder no longer has."""
    known = STAGES.made(lake)
    if instance is not None:
        known |= {*instance.get_dynamic_partitions(STAGES.partitions)} - _empty(instance, lake, found, STAGES)
    return sorted(known - {*found.keys, *(item.key for item in found.incomplete)})


def _known_versions(instance: dg.DagsterInstance, asset: str) -> dict[str, str]:
    """The data version of the newest materialization, by partition."""
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        dg.AssetKey(asset), DagsterEventType.ASSET_MATERIALIZATION, [_VERSION]
    )
    return {key: values[_VERSION] for key, values in tags.items() if _VERSION in values}
