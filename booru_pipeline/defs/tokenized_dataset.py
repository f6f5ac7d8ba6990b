"""The asset `tokenized_dataset` and the gate."""

import dagster as dg

from booru_pipeline.defs.releases import release_of
from booru_pipeline.defs.resources import DatasetResource, Folders
from booru_pipeline.defs.stage import asset_settings, check_settings, earlier_keys, record_for, shards_so_far, table_of
from booru_pipeline.labels.dataset import build_dataset
from booru_pipeline.labels.gate import read_gate
from booru_pipeline.labels.vocabulary import Vocabulary
from booru_pipeline.stages import Stage

_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("booru", "string"),
        dg.TableColumn("fid", "int64"),
        dg.TableColumn("release", "string", "The latest that lists the post"),
        dg.TableColumn("group_md5", "string"),
        dg.TableColumn("input_ids", "list<int32>", "The caption: one token a label, no end of sequence"),
    ]
)


@dg.asset(
    **asset_settings(Stage.TOKENIZED_DATASET, "labels", {"huggingface", "arrow"}),
    description=(
        "Posts of this and all earlier releases as captions of token ids: a Hugging Face `DatasetDict` with train, "
        "validation and test. `datasets.load_from_disk(path)` opens it."
    ),
)
def tokenized_dataset(
    context: dg.AssetExecutionContext, folders: Folders, dataset_options: DatasetResource
) -> dg.MaterializeResult:
    """Write captions, and send every label through the tokenizer and back."""
    key = context.partition_key
    path = folders.lake.tokenized_dataset(key)
    shards = shards_so_far(folders, key)
    record = record_for(Stage.TOKENIZED_DATASET, folders, key, dataset_options, earlier_keys(shards, key))
    labels = Vocabulary.load(folders.lake.vocabulary(key))
    summary = build_dataset(shards, labels, path, folders.lake.staging, dataset_options, record)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={
            "dagster/row_count": sum(summary.posts.values()),
            "dagster/column_schema": _COLUMNS,
            "path": dg.MetadataValue.path(str(path)),
            "captions": table_of(["split", "captions"], list(summary.posts.items())),
            "posts left out": summary.left_out,
            "labels per caption": round(summary.labels_per_caption, 2),
            "longest caption": summary.longest_caption,
            "coverage": table_of(
                ["category", "tag occurrences", "kept", "share"],
                [
                    (name, item["occurrences"], item["kept"], f"{item['kept'] / item['occurrences']:.1%}")
                    for name, item in summary.coverage.items()
                ],
            ),
        },
    )


@dg.asset_check(
    **check_settings(Stage.TOKENIZED_DATASET, blocking=True),
    description=(
        "The gate: every label's text and token come back from the tokenizer as the label, no text has an unknown "
        "piece, and no two labels share pieces."
    ),
)
def no_label_is_lost(context: dg.AssetCheckExecutionContext, folders: Folders) -> dg.AssetCheckResult:
    """Show what the gate found when the dataset was written."""
    report = read_gate(folders.lake.tokenized_dataset(release_of(context)))
    rows = [(reason, label) for reason, labels in report.failures.items() for label in labels[:20]]
    return dg.AssetCheckResult(
        passed=report.passed,
        metadata={
            "labels": report.labels,
            "failures": sum(len(labels) for labels in report.failures.values()),
            "worst": table_of(["reason", "label"], rows),
        },
    )
