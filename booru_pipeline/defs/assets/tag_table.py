"""The asset `tag_table` and its checks."""

from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import dagster as dg

from booru_pipeline.defs.assets.common import asset_settings, at_hand, check_settings
from booru_pipeline.defs.assets.metadata import location, open_with, table_of
from booru_pipeline.defs.resources import FoldersParam
from booru_pipeline.defs.retry import retry_io
from booru_pipeline.defs.telling import telling
from booru_pipeline.pipeline.stages import Stage, stage_record
from booru_pipeline.release.find import find_release
from booru_pipeline.tag_table.accounting import Accounting, TagTableSummary, key_violations, summarise
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions

_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("booru", "string", "Where the post stands, such as danbooru.donmai.us"),
        dg.TableColumn("fid", "int64", "The post's number there"),
        dg.TableColumn("tag", "string"),
        dg.TableColumn("tag_id", "int64", "The booru's number of the tag; 0 if it has none"),
        dg.TableColumn("tag_cat", "int8", "0 general, 1 artist, 3 copyright, 4 character, 5 meta, -1 uncatalogued"),
        dg.TableColumn("danb_fr", "string", "The copyright that Danbooru files the tag under"),
    ]
)


@dg.asset(**asset_settings(Stage.TAG_TABLE, "data", {"duckdb", "tsv"}))
@retry_io
@telling
def tag_table(
    context: dg.AssetExecutionContext, folders: FoldersParam, tag_table_options: dg.ResourceParam[TagTableOptions]
) -> dg.MaterializeResult:
    """The release's pictures and tags as tables that can be asked. One DuckDB file a release with the origin's tables
    `files` and `tags`, plus `rejects` (each unusable line with its number, bytes and reason) and `accounting` (what
    became of every line). Open it with `booru sql` or `duckdb -readonly`.
    """
    key = context.partition_key
    release = find_release(folders.raw_folder, key)
    path = folders.lake.tag_table(key)
    record = stage_record(Stage.TAG_TABLE, key, folders.fingerprint(release), tag_table_options.model_dump(mode="json"))
    load_release(release, path, folders.lake.staging, tag_table_options, record)
    summary = summarise(path)
    files, tags = summary.accounting
    names, rows = summary.sample
    for sentence in _about_names(summary):
        context.log.info(sentence)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={
            "dagster/row_count": tags.kept,
            "dagster/column_schema": _COLUMNS,
            "posts": files.kept,
            "rejected lines": files.rejected + tags.rejected,
            **location(folders, path),
            **open_with("booru", "sql", "--home", folders.home, f'select * from "{key}".tags limit 10'),
            "bytes": path.stat().st_size,
            "accounting": _accounting_table([files, tags]),
            "names written otherwise": table_of(["file", "of", "rule", "names", "rows"], summary.spellings),
            "statements passed over, or that did more than insert": table_of(
                ["line", "statement"], summary.passed_over
            ),
            "sample": table_of(names, rows),
        },
    )


@dg.asset_check(**check_settings(Stage.TAG_TABLE, blocking=True))
@telling
def every_line_is_accounted_for(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """Every line of both files is a row, an exact duplicate, a reject with a reason, blank, or the header."""
    summary = summarise(at_hand(context, folders, Stage.TAG_TABLE))
    return dg.AssetCheckResult(
        passed=all(accounting.holds for accounting in summary.accounting),
        metadata={
            "accounting": _accounting_table(summary.accounting),
            "rejects": table_of(
                ["file", "reason", "lines"], [(*source, lines) for source, lines in summary.rejects.items()]
            ),
        },
    )


@dg.asset_check(**check_settings(Stage.TAG_TABLE, blocking=True))
@telling
def keys_hold(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """No picture is listed twice, nor a tag of it, and no tag is without its picture. (booru, fid) is unique in files,
    (booru, fid, tag) in tags.
    """
    violations = key_violations(at_hand(context, folders, Stage.TAG_TABLE))
    return dg.AssetCheckResult(passed=not any(violations.values()), metadata=dict(violations))


def _accounting_table(accounting: list[Accounting]) -> dg.MetadataValue[Any]:
    names = ["file", "lines read", "header", "kept", "exact duplicates", "merged", "rejected", "blank"]
    return table_of(names, [astuple(item) for item in accounting])


def _about_names(summary: TagTableSummary) -> Iterator[str]:
    """What was done to names, and which statements of a script did nothing, a sentence each."""
    for source, kind, rule, names, rows in summary.spellings:
        yield (
            f"{source}, {kind}: the rule {rule} changed {names:,} name{'' if names == 1 else 's'} on "
            f"{rows:,} row{'' if rows == 1 else 's'}"
        )
    for line, statement in summary.passed_over:
        did = "" if statement.endswith(")") and "row" in statement else ", passed over"  # else it says what it did
        yield f"line {line}{did}: {statement}"
