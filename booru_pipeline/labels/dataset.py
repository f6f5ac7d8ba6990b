"""The tokenized dataset: posts as captions of token ids, checked against the tokenizer."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow.compute as pc

from booru_pipeline import sql
from booru_pipeline.artifact import Record, staged
from booru_pipeline.category import Category
from booru_pipeline.corpus.shards import read_manifest, shard_files
from booru_pipeline.errors import BooruError
from booru_pipeline.labels.gate import inspect
from booru_pipeline.labels.options import DatasetOptions
from booru_pipeline.labels.vocabulary import Vocabulary

SPLITS: Final = ("train", "validation", "test")
_SUMMARY: Final = "summary.json"


@dataclass(frozen=True)
class DatasetSummary:
    """What a dataset holds.

    Attributes:
        posts: Captions by split.
        left_out: Posts listed in the shards that are no caption: superseded by a later listing, or too few labels.
        labels_per_caption: Mean.
        longest_caption: In tokens.
        coverage: By category: tag occurrences, and how many of them are labels.
    """

    posts: dict[str, int]
    left_out: int
    labels_per_caption: float
    longest_caption: int
    coverage: dict[str, dict[str, int]]


def build_dataset(
    shards: dict[str, Path],
    vocabulary: Vocabulary,
    final: Path,
    staging: Path,
    options: DatasetOptions,
    record: Record,
) -> DatasetSummary:
    """Write posts as a Hugging Face DatasetDict (train, validation, test), with the gate's report beside it.

    Columns: booru, fid, release, group_md5, input_ids (list of int32: the post's labels, one token each, most frequent
    first; no end of sequence).

    Args:
        shards: Folders of training shards by release, in release order; the last is this release's.
        vocabulary: Labels and their tokens.
        final: The folder to publish.
        staging: Where it is written first.
        options: Which posts are left out.
        record: What the dataset is made from.

    Raises:
        BooruError: No post has enough labels.
    """
    import datasets

    datasets.disable_progress_bars()  # the run log is not a terminal

    variables = {"shards": shard_files(*shards.values()), "releases": list(shards), **options.model_dump()}
    features = datasets.Features(
        {
            "booru": datasets.Value("string"),
            "fid": datasets.Value("int64"),
            "release": datasets.Value("string"),
            "group_md5": datasets.Value("string"),
            "input_ids": datasets.List(datasets.Value("int32")),
        }
    )
    with staged(final, staging) as draft, duckdb.connect() as connection:
        connection.register("vocabulary", vocabulary.table.select(["label", "token_id"]))
        sql.run(connection, "tokenized_dataset", "captions", **variables)
        splits = {
            split: datasets.Dataset(
                sql.table(connection, "tokenized_dataset", "split", split=split).cast(features.arrow_schema)
            )
            for split in SPLITS
        }
        posts = {split: len(dataset) for split, dataset in splits.items()}
        if not posts["train"]:
            raise BooruError(
                f"no post of {', '.join(shards)} has min_labels = {options.min_labels} labels of the vocabulary "
                "in the train split. Lower min_labels or the vocabulary's thresholds."
            )
        lengths = np.concatenate(
            [pc.list_value_length(dataset.data["input_ids"]).to_numpy() for dataset in splits.values()]
        )
        coverage = sql.run(connection, "tokenized_dataset", "coverage").fetchall()
        summary = DatasetSummary(
            posts=posts,
            left_out=sum(read_manifest(folder).posts for folder in shards.values()) - sum(posts.values()),
            labels_per_caption=float(lengths.mean()),
            longest_caption=int(lengths.max()),
            coverage={
                Category.name_of(category): {"occurrences": occurrences, "kept": kept}
                for category, occurrences, kept in coverage
            },
        )
        datasets.DatasetDict(splits).save_to_disk(str(draft))
        (draft / _SUMMARY).write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
        inspect(vocabulary).write(draft)
        record.write(draft)
    return summary


def read_summary(dataset: Path) -> DatasetSummary:
    """The figures that a dataset was written with."""
    return DatasetSummary(**json.loads((dataset / _SUMMARY).read_text(encoding="utf-8")))
