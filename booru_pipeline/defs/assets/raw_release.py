"""The partitions of the graph, and the raw releases behind them, with their checks."""

from typing import Any

import dagster as dg

from booru_pipeline.defs.resources import FoldersParam
from booru_pipeline.defs.runs.history import RELEASE_PARTITIONS
from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.settings import Folders
from booru_pipeline.pipeline.stages import RAW_RELEASE
from booru_pipeline.release.find import Release, find_release, find_releases
from booru_pipeline.release.fingerprint import release_fingerprint
from booru_pipeline.release.layout import Layout
from booru_pipeline.tag_table.layouts.tsv import read_headers

BYTES_CHECK = "bytes_are_what_was_loaded"

RELEASES = dg.DynamicPartitionsDefinition(name=RELEASE_PARTITIONS)


@dg.observable_source_asset(
    name=RAW_RELEASE,
    partitions_def=RELEASES,
    group_name="data",
    description=(
        "The files of a release as they were downloaded: its pictures, and the tags that people gave them. "
        "In a booru-chars release `V2021A_files.tsv` has a row a picture, `V2021A_tags.tsv` a row a tag of a picture, "
        "plain or gzip; a hand-tagged one is a file of SQL statements that insert such rows. Found "
        "in the raw folder, never written. Observing it reads the files' fingerprints again, so that the UI knows what "
        "is out of date."
    ),
    tags={"dagster/kind/tsv": ""},
)
def raw_release(context: dg.AssetExecutionContext, folders: FoldersParam) -> dg.DataVersionsByPartition:
    """Fingerprints of the raw files, for the releases that are partitions already."""
    known = set(context.instance.get_dynamic_partitions("release"))
    found = find_releases(folders.raw_folder)
    for item in found.incomplete:
        context.log.warning(item.problem)
    return dg.DataVersionsByPartition(
        {release.key: folders.fingerprint(release) for release in found.releases if release.key in known}
    )


@dg.asset_check(asset=RAW_RELEASE, partitions_def=RELEASES, blocking=True)
def release_is_whole(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """The files of the release are there; of TSV files, with all columns that are needed. Other layouts have no header
    and are checked where they are loaded.
    """
    try:
        release = find_release(folders.raw_folder, release_of(context))
        found = _metadata(release)
        if release.layout is Layout.TSV:
            found["files columns"], found["tags columns"] = map(", ".join, read_headers(release))
    except BooruError as error:
        return dg.AssetCheckResult(passed=False, description=str(error))
    return dg.AssetCheckResult(passed=True, metadata=found)


@dg.asset_check(asset=RAW_RELEASE, name=BYTES_CHECK, partitions_def=RELEASES, blocking=False)
def bytes_are_what_was_loaded(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """The raw files still are what was loaded. Reads them whole and compares them with what the tag table was made
    from, so that a disk that changes bytes silently is noticed. Run by the weekly schedule; if it fails, the release is
    made again.
    """
    key = release_of(context)
    try:
        release = find_release(folders.raw_folder, key)
    except BooruError as error:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=str(error))
    found = release_fingerprint(release, folders.lake.raw_fingerprints, reread=True)
    table = folders.lake.record(folders.lake.tag_table(key))
    passed = table is None or table.inputs[RAW_RELEASE] == found
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=None if passed else f"release {key} has other bytes than those that its tag table was made from.",
        metadata={
            "fingerprint": found,
            "of the tag table": table.inputs[RAW_RELEASE] if table else "there is none",
            "bytes": _metadata(release)["bytes"],
        },
    )


def release_of(context: dg.AssetCheckExecutionContext) -> str:
    """The release that a check is asked about.

    Raises:
        dg.Failure: None is: the UI's "Execute all" on a checks tab starts partitioned checks without a partition.
    """
    if not context.op_execution_context.has_partition_key:
        raise dg.Failure(
            "A check looks at one release. Materialize the asset for that release: its checks run with it.",
            allow_retries=False,
        )
    return context.partition_key


def arrival(folders: Folders, release: Release) -> dg.AssetMaterialization:
    """The event that tells Dagster of a raw release before a run reads it.

    A materialization, made by whoever published the release: the UI does not count observed partitions as filled.
    """
    return dg.AssetMaterialization(
        asset_key=RAW_RELEASE,
        partition=release.key,
        metadata=_metadata(release),
        tags={"dagster/data_version": folders.fingerprint(release)},
    )


def _metadata(release: Release) -> dict[str, Any]:
    return {
        "files": dg.MetadataValue.path(str(release.files)),
        "tags": dg.MetadataValue.path(str(release.tags)),
        "bytes": sum(path.stat().st_size for path in release.paths),
    }
