"""The asset `tokenized_dataset` and its checks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from booru_pipeline.dataset.gate import GateReport
from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.defs.assets.common import (
    asset_settings,
    at_hand,
    check_settings,
    earlier_keys,
    record_for,
    shards_so_far,
)
from booru_pipeline.defs.assets.metadata import location, open_with, table_of
from booru_pipeline.defs.assets.raw_release import release_of
from booru_pipeline.defs.resources import FoldersParam
from booru_pipeline.defs.retry import retry_io
from booru_pipeline.defs.telling import telling
from booru_pipeline.pipeline.settings import Folders
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary

# What reads or makes a dataset imports scipy and rensa, half a second that loading the definitions need not cost.
if TYPE_CHECKING:
    from booru_pipeline.dataset.inspection import Inspector

_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("booru", "string"),
        dg.TableColumn("fid", "int64"),
        dg.TableColumn("release", "string", "The latest that lists the post"),
        dg.TableColumn("group_md5", "string", "Its picture and what is nearly the same: all on one side"),
        dg.TableColumn("post_key", "int64", "A hash of booru and fid: what everything random depends on"),
        dg.TableColumn("label_rows", "list<int32>", "Its labels as rows of labels.parquet"),
        dg.TableColumn("length", "int32", "How many labels"),
    ]
)
_SHOWN_POSTS = 3


@dg.asset(**asset_settings(Stage.TOKENIZED_DATASET, "labels", {"huggingface", "arrow"}))
@retry_io
@telling
def tokenized_dataset(
    context: dg.AssetExecutionContext,
    folders: FoldersParam,
    dataset_options: dg.ResourceParam[DatasetOptions],
    vocabulary_options: dg.ResourceParam[VocabularyOptions],
) -> dg.MaterializeResult:
    """The pictures' tags as the model reads them, divided into those to learn from and those to test on. Posts of this
    and all earlier releases as sets of labels: a Hugging Face `DatasetDict` with train, validation and test, checked
    against the tokenizer. `datasets.load_from_disk(path)` opens it, `booru_pipeline.dataset.collator.CaptionCollator`
    makes batches of it, `booru inspect` shows a post's way.
    """
    from booru_pipeline.dataset.build import build_dataset
    from booru_pipeline.dataset.inspection import Inspector

    key = context.partition_key
    path = folders.lake.tokenized_dataset(key)
    shards = shards_so_far(context, folders, key)
    record = record_for(Stage.TOKENIZED_DATASET, folders, key, dataset_options, also_read=earlier_keys(shards, key))
    labels = Vocabulary.load(folders.lake.bring(folders.lake.vocabulary(key)))
    earlier = earlier_dataset(folders, key)
    summary = build_dataset(shards, labels, path, folders.lake.staging, dataset_options, record, earlier)
    inspector = Inspector(
        dataset=path,
        vocabulary=labels,
        shards=shards,
        tag_tables={name: table for name in shards if (table := folders.lake.tag_table(name)).exists()},
        relations=folders.tag_relations,
        thresholds=vocabulary_options,
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={
            "dagster/row_count": sum(summary.posts.values()),
            "dagster/column_schema": _COLUMNS,
            **location(folders, path),
            **open_with("python", "-c", f"import datasets; print(datasets.load_from_disk({str(path)!r}))"),
            "captions": table_of(["split", "captions"], list(summary.posts.items())),
            "left out": table_of(["why", "posts"], list(summary.left_out.items())),
            "labels per caption": round(summary.labels_per_caption, 2),
            "tokens per caption": table_of(
                ["encoding", "tokens"], [(name, round(mean, 2)) for name, mean in summary.tokens_per_caption.items()]
            ),
            "longest caption": summary.longest_caption,
            "groups": table_of(["what", "number"], list(summary.groups.items())),
            "coverage": table_of(
                ["category", "tag occurrences", "kept", "share"],
                [
                    (name, item["occurrences"], item["kept"], f"{summary.coverage_shares[name]:.1%}")
                    for name, item in summary.coverage.items()
                ],
            ),
            **_examples(inspector),
        },
    )


def earlier_dataset(folders: Folders, release: str) -> Path | None:
    """The dataset of the newest earlier release that has one, which the next goes on from; None if none has."""
    lake = folders.lake
    keys = lake.releases_before(lake.tokenized_dataset, release)
    return lake.bring(lake.tokenized_dataset(keys[-1])) if keys else None


def _examples(inspector: "Inspector") -> dict[str, dg.MetadataValue[Any]]:
    """Some posts: what became of their tags, and how the model sees them."""
    from booru_pipeline.dataset.inspection import KEPT

    posts = [inspector.inspect(booru, fid) for booru, fid in inspector.sample(_SHOWN_POSTS)]
    fates = [
        (
            f"{post.booru} {post.fid}",
            post.split,
            ", ".join(item.tag for item in post.tags if item.fate == KEPT),
            "; ".join(f"{item.tag}: {item.fate}" for item in post.tags if item.fate != KEPT),
            post.left_out or "",
        )
        for post in posts
    ]
    seen = [
        (f"{post.booru} {post.fid}", example.kind, example.source, example.target)
        for post in posts
        for example in post.examples
    ]
    return {
        "sample posts": table_of(["post", "side", "caption", "dropped, and why", "left out"], fates),
        "sample examples": table_of(["post", "what is hidden", "input", "target"], seen),
    }


@dg.asset_check(**check_settings(Stage.TOKENIZED_DATASET, blocking=True))
@telling
def no_label_is_lost(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """The model can read and say every tag that it is to learn; else it is not trained. Every label comes back from its
    pieces and from its own token, no text has an unknown piece, no two labels share pieces, the pieces are
    SentencePiece's own, captions are no longer than the base model takes, and the vocabulary covers what the posts say.
    """
    report = GateReport.read(at_hand(context, folders, Stage.TOKENIZED_DATASET))
    return dg.AssetCheckResult(
        passed=report.passed,
        description="; ".join(f"{reason}: {what}" for reason, what in report.failures.items()) or None,
        metadata={
            "labels": report.faults.labels,
            "failures": table_of(["reason", "what"], list(report.failures.items())),
            "encoding": report.encoding,
            "longest caption": f"{report.longest_caption} of {report.most_tokens} tokens",
            "coverage": table_of(
                ["category", "share of tag occurrences"],
                [(name, f"{share:.1%}") for name, share in report.coverage.items()],
            ),
            "labels that transformers cuts in another order": ", ".join(report.faults.ties[:20]) or "none",
            "worst labels": table_of(
                ["label", "category", "posts", "pieces"],
                [
                    (row["label"], Category.name_of(row["category"]), row["posts"], row["pieces"])
                    for row in report.worst
                ],
            ),
        },
    )


@dg.asset_check(**check_settings(Stage.TOKENIZED_DATASET, blocking=True))
@telling
def split_does_not_leak(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """Nothing that the model is tested on was there to learn from. No group of posts (one picture, or nearly the same)
    is on two sides of the split, and no post or picture has changed its side since the last release's dataset.
    """
    from booru_pipeline.dataset.sides import audit_sides

    key = release_of(context)
    dataset = at_hand(context, folders, Stage.TOKENIZED_DATASET)
    found = audit_sides(dataset, shards_so_far(context, folders, key), earlier_dataset(folders, key))
    counts = {
        "groups on two sides": found.straddling.groups,
        "pictures on two sides": found.straddling.pictures,
        "posts on two sides": found.straddling.posts,
        "pairs of near-duplicates on two sides": found.across.pairs,
    }
    examples = [*found.straddling.examples, *found.across.examples]
    if found.moved is not None:
        counts |= {
            "posts that changed side": found.moved.posts,
            "pictures that changed side": found.moved.pictures,
            "posts that were left out and are back": found.moved.returned,
        }
        examples += found.moved.examples
    return dg.AssetCheckResult(
        passed=not any(counts.values()),
        metadata={
            "counts": table_of(["what", "number"], list(counts.items())),
            "examples": "; ".join(examples) or "none",
            "compared with": f"the dataset of {found.compared_with}" if found.compared_with else "no earlier dataset",
            "posts not compared, in blocks too large": found.across.skipped_posts,
        },
    )
