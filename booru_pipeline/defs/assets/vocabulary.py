"""The asset `vocabulary` and its check."""

from collections import Counter
from pathlib import Path

import dagster as dg

from booru_pipeline.defs.assets.common import (
    asset_settings,
    at_hand,
    check_settings,
    earlier_keys,
    record_for,
    shards_so_far,
)
from booru_pipeline.defs.assets.metadata import location, open_with, show_parquet, table_of
from booru_pipeline.defs.resources import BaseModelChoice, FoldersParam
from booru_pipeline.defs.retry import retry_io
from booru_pipeline.defs.telling import telling
from booru_pipeline.pipeline.settings import Folders
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.faults import LabelFaults
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE, Vocabulary

_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("label", "string"),
        dg.TableColumn("category", "int8", "0 general, 1 artist, 3 copyright, 4 character, 5 meta, -1 uncatalogued"),
        dg.TableColumn("posts", "int64", "Posts with the label, in this and all earlier releases"),
        dg.TableColumn("train_posts", "int64", "Those of them in the train split"),
        dg.TableColumn("text", "string", "What the base model's tokenizer reads"),
        dg.TableColumn("piece_ids", "list<int32>", "The text in the base model's pieces"),
        dg.TableColumn("token_id", "int32", "The label's own token"),
    ]
)


@dg.asset(**asset_settings(Stage.VOCABULARY, "labels", {"parquet", "huggingface"}))
@retry_io
@telling
def vocabulary(
    context: dg.AssetExecutionContext,
    folders: FoldersParam,
    base_model: BaseModelChoice,
    vocabulary_options: dg.ResourceParam[VocabularyOptions],
) -> dg.MaterializeResult:
    """The tags that the model learns: those on enough pictures. They are counted over this and all earlier releases,
    each with its text, its pieces and a token of its own. `labels.parquet` is the table, `tokenizer/` a Hugging Face
    tokenizer. A tag that is a label keeps its row and its token in every later release.
    """
    key = context.partition_key
    path = folders.lake.vocabulary(key)
    base = base_model.resolve()
    shards = shards_so_far(context, folders, key)
    record = record_for(
        Stage.VOCABULARY,
        folders,
        key,
        vocabulary_options,
        also_read=earlier_keys(shards, key),
        preset=base_model.preset,
    )
    earlier = earlier_vocabulary(folders, key)
    built = build_vocabulary(shards, base, path, folders.lake.staging, vocabulary_options, record, earlier)
    left_out = LabelFaults.read(path).left_out
    if left_out:
        some = ", ".join(item["label"] for item in left_out[:10])
        context.log.warning(f"{len(left_out):,} labels cannot be told apart by their tokens and are left out: {some}")
    by_category = Counter(Category.name_of(category) for category in built.categories.tolist())
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={
            "dagster/row_count": len(built),
            "dagster/column_schema": _COLUMNS,
            "base model": base.name,
            "releases": ", ".join(shards),
            **location(folders, path),
            **open_with(*show_parquet(path / LABELS_FILE)),
            "labels by category": table_of(["category", "labels"], by_category.most_common()),
            "left out": table_of(
                ["label", "category", "posts", "why"],
                [
                    (item["label"], Category.name_of(item["category"]), item["posts"], ", ".join(item["faults"]))
                    for item in left_out
                ],
            ),
            "most frequent": table_of(
                ["label", "category", "posts", "text"],
                [
                    (row["label"], Category.name_of(row["category"]), row["posts"], row["text"])
                    for row in built.table.take(built.by_posts[:20]).to_pylist()
                ],
            ),
        },
    )


def earlier_vocabulary(folders: Folders, release: str) -> Path | None:
    """The vocabulary of the newest earlier release that has one, whose rows are kept; None if none has.

    What is to be replaced is fetched too, if it is in the store only: its rows are kept as well.
    """
    lake = folders.lake
    if lake.record(lake.vocabulary(release)) is not None:
        lake.bring(lake.vocabulary(release))
    keys = lake.releases_before(lake.vocabulary, release)
    return lake.bring(lake.vocabulary(keys[-1])) if keys else None


@dg.asset_check(**check_settings(Stage.VOCABULARY, blocking=False))
@telling
def labels_occur_in_train(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """Every tag to learn is on a picture that is trained on. A label that is not can only be guessed."""
    built = Vocabulary.load(at_hand(context, folders, Stage.VOCABULARY))
    unseen = [label for label, posts in zip(built.labels, built.train_posts.tolist(), strict=True) if not posts]
    return dg.AssetCheckResult(
        passed=not unseen,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"labels": len(built), "without a train post": len(unseen), "first": ", ".join(unseen[:10]) or "none"},
    )
