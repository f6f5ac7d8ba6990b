"""The posts of a dataset as the hub takes them: Parquet by split, and the labels beside them."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline.dataset.ledger import Ledger
from booru_pipeline.dataset.posts import open_splits
from booru_pipeline.export.card import dataset_card
from booru_pipeline.model.provenance import CARD_FILE
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from datasets import DatasetInfo

_KEPT: Final = ("booru", "fid", "release", "group_md5")


def write_dataset(dataset: Path, vocabulary: Vocabulary, relations: Relations, folder: Path, licence: str) -> None:
    """Write a folder that `datasets.load_dataset` takes, with its card.

    Configurations: `posts`, with the dataset's splits: booru, fid, release, group_md5, tags (list of string); and
    `labels`: tag, category, posts, aliases, implies.

    Args:
        dataset: As `build_dataset` wrote it; the last part of its path names it.
        vocabulary: Its labels.
        relations: Aliases and implications.
        folder: To be made.
        licence: Under which it is shared, as the hub writes it.

    Raises:
        BooruError: It is not there, or not whole.
    """
    names = pa.array(vocabulary.labels)
    (folder / "posts").mkdir(parents=True)
    (folder / "labels").mkdir()
    found: dict[str, dict[str, pa.Table]] = {"posts": {}, "labels": {}}
    for split, posts in open_splits(dataset).items():
        table = posts.data.table
        rows = table["label_rows"].combine_chunks()
        tags = pa.ListArray.from_arrays(rows.offsets, names.take(rows.flatten()))
        columns = {name: table[name] for name in _KEPT} | {"tags": tags}
        found["posts"][split] = pa.table(columns)
    found["labels"]["train"] = _labels(vocabulary, relations)  # the hub knows no table that is not a split
    for config, splits in found.items():
        for split, table in splits.items():
            pq.write_table(table, folder / config / f"{split}.parquet")
    infos = {config: _info(splits) for config, splits in found.items()}
    about = {
        "releases": ", ".join(Ledger.read(dataset).shards),
        "labels": len(vocabulary),
        "rare": "tags that are too rare to be learned, or of a category left out, are not there. ",
    }
    (folder / CARD_FILE).write_text(dataset_card(dataset.name, infos, about, licence), encoding="utf-8")


def _labels(vocabulary: Vocabulary, relations: Relations) -> pa.Table:
    from booru_pipeline.model.label_tables import label_table

    table = label_table(vocabulary, relations)
    implied = [sorted(relations.closure([tag]) - {tag}) for tag in table["tag"].to_pylist()]
    return table.append_column("implies", pa.array(implied, pa.list_(pa.string())))


def _info(splits: dict[str, pa.Table]) -> "DatasetInfo":
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo

    schema = next(iter(splits.values())).schema
    sizes = SplitDict()
    for split, table in splits.items():
        sizes.add(SplitInfo(split, table.nbytes, table.num_rows))
    return DatasetInfo(features=Features.from_arrow_schema(schema), splits=sizes)
