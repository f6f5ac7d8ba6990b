"""The asset `tag_audit` and its check."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from booru_pipeline import sql
from booru_pipeline.audit.options import AuditOptions
from booru_pipeline.audit.tables import MISSING, SCHEMAS, SUSPECT, table_file
from booru_pipeline.defs.assets.common import asset_settings, at_hand, check_settings, record_for
from booru_pipeline.defs.assets.metadata import location, open_with, show_parquet, table_of
from booru_pipeline.defs.assets.raw_release import release_of
from booru_pipeline.defs.resources import FoldersParam
from booru_pipeline.defs.retry import retry_io
from booru_pipeline.defs.telling import telling
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.document import Document
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import staged
from booru_pipeline.pipeline.stages import ALIASES, IMPLICATIONS, Stage
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE

_SHOWN: Final = 20  # of each kind
_READ: Final = (Stage.TRAINING_SHARDS, Stage.VOCABULARY, Stage.TOKENIZED_DATASET, Stage.CHECKPOINT)


class AuditCounts(Document):
    """How much an audit found.

    Attributes:
        posts: Posts that were looked over.
        tags: Labels on them.
        rows: By table how many.
        left_out: Posts of the release that were not looked over, since the checkpoint is too slow.
        shown: How many rows the commands show unless they are told otherwise.
    """

    FILE = "audit.json"
    REMEDY = "Make the audit with `booru run`."

    posts: int
    tags: int
    rows: dict[str, int]
    left_out: int = 0
    shown: dict[str, int] = Field(default_factory=dict)


@dg.asset(**asset_settings(Stage.TAG_AUDIT, "model", {"parquet"}))
@retry_io
@telling
def tag_audit(
    context: dg.AssetExecutionContext, folders: FoldersParam, audit_options: dg.ResourceParam[AuditOptions]
) -> dg.MaterializeResult:
    """Which tags pictures lack, which are wrong on them, and which relations of tags Danbooru does not know. The
    checkpoint and the counts of all posts so far are asked about each post of the release. A table a kind, as Parquet:
    missing and suspect tags with the tags that speak for or against them, implications and aliases to propose,
    implications that posts do not keep, tags that exclude each other, and the core tags of characters. In `booru sql`
    they are the views `audit`, `proposed_implications` and so on.
    """
    from booru_pipeline.audit.build import build_audit  # may import torch

    key, lake, relations = context.partition_key, folders.lake, folders.tag_relations
    path = lake.tag_audit(key)
    record = record_for(
        Stage.TAG_AUDIT,
        folders,
        key,
        audit_options,
        relations={ALIASES: relations.aliases_fingerprint, IMPLICATIONS: relations.implications_fingerprint},
    )
    _check_reported(lake, key)
    shards, vocabulary, dataset, checkpoint = (lake.bring(stage.path(lake, key)) for stage in _READ)
    with staged(path, lake.staging) as draft:
        found = build_audit(
            shards=shards,
            dataset=dataset,
            vocabulary=vocabulary,
            checkpoint=checkpoint,
            output=draft,
            options=audit_options,
            relations=relations,
        )
        AuditCounts(**vars(found)).write(draft)
        record.write(draft)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={
            **location(folders, path),
            "aliases and implications from": relations.missing() or relations.source,
            **metadata_of_audit(path),
        },
    )


def _check_reported(lake: Lake, release: str) -> None:
    """An audit is recorded as made from the report, so the checkpoint has to be the one that this is of.

    Raises:
        BooruError: It is another one, as when somebody has trained it alone, or none.
    """
    checkpoint, report = lake.record(lake.checkpoint(release)), lake.record(lake.evaluation_report(release))
    if checkpoint is None:
        raise BooruError(
            f"{lake.checkpoint(release)} is not there: an audit asks it. Make it with `booru run --release {release}`."
        )
    if report is None or report.inputs.get(Stage.EVALUATION_REPORT.upstream) != checkpoint.key:
        raise BooruError(
            f"the report of {release} is not one of the checkpoint that is there. "
            f"Evaluate it with `booru run --release {release}`, which makes the audit too."
        )


def metadata_of_audit(path: Path) -> dict[str, Any]:
    """What an audit that is there shows in the UI; empty if it is broken."""
    try:
        counts = AuditCounts.read(path)
        shown = {name: _first_rows(table_file(path, name)) for name in (MISSING, SUSPECT)}
    except (BooruError, OSError, pa.ArrowException):
        return {}
    return {
        **open_with(*show_parquet(table_file(path, MISSING))),
        "posts": counts.posts,
        "posts left out": counts.left_out,
        "tags": counts.tags,
        **counts.rows,
        **{f"{name}, shown": number for name, number in counts.shown.items()},
        "missing tags": _table(shown[MISSING]),
        "suspect tags": _table(shown[SUSPECT]),
    }


def _first_rows(file: Path) -> list[dict[str, Any]]:
    batch = next(pq.ParquetFile(file).iter_batches(batch_size=_SHOWN), None)
    return batch.to_pylist() if batch is not None else []


def _table(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    return table_of(
        ["booru", "fid", "tag", "probability", "because"],
        [
            (row["booru"], row["fid"], row["tag"], f"{100 * row['probability']:.3g} %", _because(row["because"] or ()))
            for row in rows
        ],
    )


def _because(evidence: Sequence[Mapping[str, Any]]) -> str:
    """Such as `bunny_suit 93 of 98`: of the posts with that tag, those with the one in question. A tag that is no label
    was not counted.
    """
    counted = {item["tag"]: (item["together"], item["posts"]) for item in evidence}
    return ", ".join(
        tag if posts is None else f"{tag} {together:,} of {posts:,}" for tag, (together, posts) in counted.items()
    )


@dg.asset_check(**check_settings(Stage.TAG_AUDIT, blocking=True))
@telling
def audit_is_whole(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """Each finding is about a tag that is learned, on a picture of the release. Missing tags are not on their post, and
    suspect ones are; every table is there with its columns and as many rows as were counted.
    """
    lake, release = folders.lake, release_of(context)
    audit = at_hand(context, folders, Stage.TAG_AUDIT)
    shards, vocabulary = lake.bring(lake.training_shards(release)), lake.bring(lake.vocabulary(release))
    faults = _faults_of_tables(audit) or _faults_of_findings(audit, shards, vocabulary)
    return dg.AssetCheckResult(
        passed=not faults,
        metadata={"faults": "; ".join(f"{fault}: {what}" for fault, what in faults.items()) or "none"},
    )


def _faults_of_tables(audit: Path) -> dict[str, str]:
    """What is wrong with the tables themselves, by their name."""
    counts, faults = AuditCounts.read(audit), {}
    for name, schema in SCHEMAS.items():
        try:
            file = pq.ParquetFile(table_file(audit, name))
        except (OSError, pa.ArrowException) as error:
            faults[name] = f"cannot be read: {error}"
            continue
        lacking = [column for column in schema.names if column not in file.schema_arrow.names]
        if lacking:
            faults[name] = f"lacks {', '.join(lacking)}"
        elif file.metadata.num_rows != counts.rows.get(name):
            faults[name] = f"has {file.metadata.num_rows:,} rows, and {counts.rows.get(name, 0):,} were counted"
    return faults


def _faults_of_findings(audit: Path, shards: Path, vocabulary: Path) -> dict[str, str]:
    """How many findings cannot be, by what is wrong with them."""
    with duckdb.connect() as connection:
        counted = sql.table(
            connection,
            "defs",
            "audit_faults",
            missing=str(table_file(audit, MISSING)),
            suspect=str(table_file(audit, SUSPECT)),
            shards=shard_files(shards),
            labels=str(vocabulary / LABELS_FILE),
        )
    return {row["fault"]: f"{row['findings']:,}" for row in counted.to_pylist() if row["findings"]}
