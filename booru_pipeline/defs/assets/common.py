"""Helpers that the stages' assets share: how they are presented, and the record of what they are made from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import dagster as dg
from pydantic import BaseModel

from booru_pipeline.defs.assets.raw_release import RELEASES, release_of
from booru_pipeline.defs.runs.history import OVERTAKEN, TARGET
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.record import Record, read_record
from booru_pipeline.lake.trial import release_part
from booru_pipeline.pipeline.settings import Folders
from booru_pipeline.pipeline.stages import Stage, stage_record, upstream_key
from booru_pipeline.release.find import find_releases
from booru_pipeline.training_shards.shards import earlier_releases

OWNERS = ["team:booru-pipeline"]
GROUPS: Final = ("data", "labels", "model", "trials")
GRAPH: Final = "/asset-groups?expanded=" + ",".join(f"global@global:{group}" for group in GROUPS)
"""Path of the UI's graph with the assets of all groups in sight: without a word the UI folds them."""


def asset_settings(stage: Stage, group: str, kinds: set[str]) -> dict[str, Any]:
    """Arguments of `@dg.asset` that every stage gives the same way."""
    return {
        "name": stage.value,
        "deps": [stage.upstream],
        "partitions_def": RELEASES,
        "group_name": group,
        "kinds": kinds,
        "owners": OWNERS,
        "code_version": stage.code_version,
        "config_schema": {},  # options are resources: what is typed elsewhere would be passed over
    }


def check_settings(stage: Stage, *, blocking: bool) -> dict[str, Any]:
    """Arguments of `@dg.asset_check` that every stage gives the same way."""
    return {"asset": stage.value, "partitions_def": RELEASES, "blocking": blocking}


def record_for(
    stage: Stage,
    folders: Folders,
    release: str,
    options: BaseModel,
    *,
    also_read: Mapping[str, str] | None = None,
    relations: Mapping[str, str] | None = None,
    **extra: Any,
) -> Record:
    """The record of an artifact of a release or trial, made from the stage above it.

    That artifact is fetched if it is in the store only. A trial that has none of its own is made from its release's.
    """
    lake, above = folders.lake, Stage(stage.upstream)
    source = release if lake.record(above.path(lake, release)) is not None else release_part(release)
    upstream = upstream_key(lake, stage, source)
    lake.bring(above.path(lake, source))
    chosen = {**extra, **options.model_dump(mode="json")}
    return stage_record(stage, release_part(release), upstream, chosen, relations, also_read)


def shards_so_far(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, folders: Folders, release: str
) -> dict[str, Path]:
    """Training shards of all earlier releases and of this one, by release, in release order.

    Raises:
        BooruError: An earlier release has none. A run that was started unattended had all of them when it was asked
            for: it is noted as overtaken, and so asked for again.
    """
    lake = folders.lake
    known = find_releases(folders.raw_folder).keys if folders.raw_folder.is_dir() else []
    try:
        earlier = earlier_releases(release, known, lake.releases_with(lake.training_shards))
    except BooruError:
        if TARGET in context.run.tags:
            context.instance.add_run_tags(context.run.run_id, {OVERTAKEN: f"an earlier release, {context.run.run_id}"})
        raise
    return {key: lake.bring(lake.training_shards(key)) for key in [*earlier, release]}


def shards_there(folders: Folders, release: str) -> dict[str, Path]:
    """Training shards of this release and of those earlier ones that have some, by release, in release order."""
    lake = folders.lake
    keys = [*lake.releases_before(lake.training_shards, release), release]
    return {key: lake.bring(lake.training_shards(key)) for key in keys}


def at_hand(context: dg.AssetCheckExecutionContext, folders: Folders, stage: Stage) -> Path:
    """The artifact that a check looks at, after it was fetched if it is in the store only."""
    return folders.lake.bring(stage.path(folders.lake, release_of(context)))


def earlier_keys(shards: Mapping[str, Path], release: str) -> dict[str, str]:
    """Record keys of the earlier releases' shards, for `also_read`."""
    records = {key: read_record(path) for key, path in shards.items() if key != release}
    return {key: record.key for key, record in records.items() if record}
