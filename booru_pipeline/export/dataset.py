"""The posts of a dataset as the hub takes them: Parquet by split, and the labels beside them."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline.dataset.ledger import Ledger
from booru_pipeline.dataset.posts import load_posts, open_splits
from booru_pipeline.export.card import dataset_card
from booru_pipeline.export.source import Source
from booru_pipeline.model.label_tables import label_table
from booru_pipeline.model.provenance import CARD_FILE

if TYPE_CHECKING:
    from datasets import DatasetInfo


def write_dataset(source: Source, dataset: Path, folder: Path) -> None:
    """Write a folder that `datasets.load_dataset` takes, with its card.

    Configurations: `posts`, with the dataset's splits: booru, fid, group_md5, release, tags (list of string); and
    `labels`: tag, category, posts, aliases, implies.

    Args:
        source: The checkpoint that learned from it.
        dataset: As `build_dataset` wrote it.
        folder: To be made.

    Raises:
        BooruError: It is not there, or not whole.
    """
    names = pa.array(source.vocabulary.labels)
    (folder / "posts").mkdir(parents=True)
    (folder / "labels").mkdir()
    found: dict[str, dict[str, pa.Table]] = {"posts": {}, "labels": {}}
    for split in open_splits(dataset):
        posts = load_posts(dataset, split, labels=len(names), about=True)
        tags = pa.ListArray.from_arrays(pa.array(posts.offsets, pa.int32()), names.take(pa.array(posts.rows)))
        assert posts.about is not None
        found["posts"][split] = posts.about.append_column("tags", tags)
    found["labels"]["train"] = _labels(source)  # the hub knows no table that is not a split
    for config, splits in found.items():
        for split, table in splits.items():
            pq.write_table(table, folder / config / f"{split}.parquet")
    infos = {config: _info(splits) for config, splits in found.items()}
    (folder / CARD_FILE).write_text(dataset_card(source, infos, Ledger.read(dataset).shards), encoding="utf-8")


def _labels(source: Source) -> pa.Table:
    table = label_table(source.vocabulary, source.relations)
    implied = [sorted(source.relations.closure([tag]) - {tag}) for tag in table["tag"].to_pylist()]
    return table.append_column("implies", pa.array(implied, pa.list_(pa.string())))


def _info(splits: dict[str, pa.Table]) -> "DatasetInfo":
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo

    schema = next(iter(splits.values())).schema
    sizes = SplitDict()
    for split, table in splits.items():
        sizes.add(SplitInfo(split, table.nbytes, table.num_rows))
    return DatasetInfo(features=Features.from_arrow_schema(schema), splits=sizes)
