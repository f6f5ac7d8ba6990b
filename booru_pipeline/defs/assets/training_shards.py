"""The asset `training_shards` and its checks."""

import dagster as dg

from booru_pipeline.defs.assets.common import asset_settings, at_hand, check_settings, record_for, shards_there
from booru_pipeline.defs.assets.metadata import location, open_with, show_parquet, table_of
from booru_pipeline.defs.assets.raw_release import release_of
from booru_pipeline.defs.resources import FoldersParam
from booru_pipeline.defs.retry import retry_io
from booru_pipeline.defs.telling import telling
from booru_pipeline.pipeline.stages import ALIASES, Stage
from booru_pipeline.training_shards.options import ShardOptions
from booru_pipeline.training_shards.relations import ALIASES_FILE
from booru_pipeline.training_shards.shards import build_shards, count_lost, count_straddling

_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("booru", "string"),
        dg.TableColumn("fid", "int64"),
        dg.TableColumn("release", "string"),
        dg.TableColumn("split", "string", "train, validation or test, by a hash of the picture"),
        dg.TableColumn("group_md5", "string", "The picture: posts that share it are on one side"),
        dg.TableColumn("tags", "list<string>", "Alphabetical; canonical, that is, no aliases"),
        dg.TableColumn("categories", "list<int8>", "Parallel to tags"),
        dg.TableColumn("rating", "string", "g, s, q or e; null where the dump has none"),
        dg.TableColumn("score", "int32", "Null where the dump has none"),
    ]
)


@dg.asset(**asset_settings(Stage.TRAINING_SHARDS, "data", {"parquet", "duckdb"}))
@retry_io
@telling
def training_shards(
    context: dg.AssetExecutionContext, folders: FoldersParam, shard_options: dg.ResourceParam[ShardOptions]
) -> dg.MaterializeResult:
    """Each picture with all its tags on one row, to train on. One row a post, aliases replaced by what they stand for,
    as zstd Parquet, already shuffled. A post's side of the split is decided by a hash of its picture: reposts and later
    releases never move one from train to test. Open it with any Parquet reader; `manifest.json` has counts and a
    content hash.
    """
    key = context.partition_key
    path = folders.lake.training_shards(key)
    relations = folders.tag_relations
    record = record_for(
        Stage.TRAINING_SHARDS, folders, key, shard_options, relations={ALIASES: relations.aliases_fingerprint}
    )
    if missing := relations.missing(ALIASES_FILE):
        context.log.warning(missing)
    manifest = build_shards(
        folders.lake.tag_table(key), path, folders.lake.staging, shard_options, record, relations.aliases
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={
            "dagster/row_count": manifest.posts,
            "dagster/column_schema": _COLUMNS,
            "tags": manifest.tags,
            "aliases replaced": manifest.aliased,
            "of them merged": manifest.merged,
            "posts left out by rating or score": manifest.left_out_posts,
            "posts whose picture is not known": manifest.without_picture,
            **location(folders, path),
            **open_with(*show_parquet(path / "*.parquet")),
            "splits": table_of(
                ["split", "posts", "pictures", "tags"],
                [(name, split["posts"], split["pictures"], split["tags"]) for name, split in manifest.splits.items()],
            ),
            "aliases from": missing or relations.source,
            "aliases left out": ", ".join(relations.left_out) or "none",
            "most frequent aliases": table_of(
                ["alias", "tag", "rows"], [tuple(row.values()) for row in manifest.frequent_aliases]
            ),
            "content sha256": manifest.content_sha256,
        },
    )


@dg.asset_check(**check_settings(Stage.TRAINING_SHARDS, blocking=True))
@telling
def nothing_is_lost(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """No picture and no tag was lost on the way from the tag table. The shards have as many posts and tags as it, less
    the aliases that stood beside the tag they stand for.
    """
    lost = count_lost(at_hand(context, folders, Stage.TRAINING_SHARDS), at_hand(context, folders, Stage.TAG_TABLE))
    return dg.AssetCheckResult(passed=not any(lost.values()), metadata={f"{name} lost": n for name, n in lost.items()})


@dg.asset_check(**check_settings(Stage.TRAINING_SHARDS, blocking=True))
@telling
def no_picture_on_two_sides(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """No picture that is tested on is trained on too. None of this and the earlier releases is on two sides of the
    split. Releases are loaded in any order: it looks at those that are there.
    """
    shards = shards_there(folders, release_of(context))
    pictures = count_straddling(*shards.values())
    return dg.AssetCheckResult(
        passed=pictures == 0, metadata={"pictures on two sides": pictures, "releases": ", ".join(shards)}
    )
