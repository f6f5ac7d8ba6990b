"""Counts of tags over a release and the ones before it, kept so that the next release adds its own to them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booru_pipeline import sql
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.record import read_record
from booru_pipeline.training_shards.shards import ShardManifest, shard_files
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE, Vocabulary

COUNTS_FILE: Final = "counts.parquet"

_SQL: Final = "vocabulary"
_RULES: Final = 1  # raise it when other code gives other rows or tokens: what was made by the former one is no start
_METADATA: Final = b"counted_from"
_SCHEMA: Final = pa.schema(
    [("tag", pa.string()), ("category", pa.int8()), ("posts", pa.int64()), ("train_posts", pa.int64())]
)


@dataclass(frozen=True)
class TagCounts:
    """Posts by tag and category, each post as it was listed last.

    Attributes:
        table: One row a tag and category. Columns: tag, category (int8), posts and train_posts (int64).
        shards: The releases that were counted, in order, with the `content_sha256` of their manifests.
        made_with: What rows and tokens depend on besides: options, base model, aliases, and the version of the code.
            Only vocabularies that were made with the same number their labels alike.
    """

    table: pa.Table
    shards: dict[str, str]
    made_with: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write `counts.parquet` into a folder."""
        content = json.dumps({"shards": self.shards, "made_with": self.made_with})
        table = self.table.replace_schema_metadata({_METADATA: content})
        pq.write_table(table, folder / COUNTS_FILE, compression="zstd", write_page_checksum=True)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Those of a vocabulary's folder; None if there are none, or another version wrote them."""
        try:
            table = pq.read_table(folder / COUNTS_FILE, page_checksum_verification=True)
            content = json.loads((table.schema.metadata or {})[_METADATA])
            return cls(table.replace_schema_metadata().cast(_SCHEMA), content["shards"], content["made_with"])
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def posts_of(cls, folder: Path, tags: Sequence[str]) -> dict[str, int]:
        """How many posts have each of some tags, in a vocabulary's folder; tags of none are not among them."""
        counts = cls.read(folder)
        if counts is None:
            raise BooruError(
                f"{folder / COUNTS_FILE} is not there, or of another version. "
                "Make the vocabulary again with `booru run --to vocabulary`."
            )
        found = counts.table.filter(pc.is_in(counts.table["tag"], pa.array(tags, pa.string())))
        summed = found.group_by("tag").aggregate([("posts", "sum")])
        return dict(zip(summed["tag"].to_pylist(), summed["posts_sum"].to_pylist(), strict=True))


@dataclass(frozen=True)
class Counted:
    """What `count_labels` gives.

    Attributes:
        labels: Rows of the labels that were known, in their order, then of the tags that have become frequent enough.
            Columns: label, category (int8), posts and train_posts (int64).
        starts: Where in `labels` those begin that are new with each release that was counted.
        counts: Of all tags.
    """

    labels: pa.Table
    starts: list[int]
    counts: TagCounts


def made_with(shards: Path, base_model: BaseModel, options: VocabularyOptions) -> dict[str, Any]:
    """See `TagCounts.made_with`. The aliases are those of the release's own shards."""
    record = read_record(shards)
    return {
        "rules": _RULES,
        "base_model": base_model.name,
        "options": options.model_dump(mode="json"),
        "aliases": record.inputs.get("aliases", "") if record else "",
    }


def labels_kept(folders: Sequence[Path], made: Mapping[str, Any]) -> Vocabulary | None:
    """The vocabulary whose rows a new one goes on from.

    Args:
        folders: The vocabulary of the release before, if there is one, and the one that is replaced, if there is one:
            it counts where its rows begin with those of the other.
        made: What the new one is made with.
    """
    kept: Vocabulary | None = None
    for folder in folders:
        counts = TagCounts.read(folder)
        if counts is None or counts.made_with != made or not (folder / LABELS_FILE).is_file():
            continue
        other = Vocabulary.load(folder)
        if kept is None or other.labels[: len(kept)] == kept.labels:
            kept = other
    return kept


def count_labels(
    shards: Mapping[str, Path],
    known: pa.Table | None,
    earlier: TagCounts | None,
    made: Mapping[str, Any],
    options: VocabularyOptions,
) -> Counted:
    """Count tags release by release, and say which are labels: who has been one stays one.

    Args:
        shards: Folders of training shards by release, in release order.
        known: The labels whose rows are kept, in order; columns `label` and `category`.
        earlier: Counts of the first of these releases, which spare reading them; others are not used.
        made: For `TagCounts.made_with`.
        options: Thresholds.
    """
    contents = {release: ShardManifest.read(folder).content_sha256 for release, folder in shards.items()}
    done = list(earlier.shards.items()) if earlier else []
    if earlier is None or done != list(contents.items())[: len(done)] or len(done) == len(contents):
        earlier = TagCounts(_SCHEMA.empty_table(), {}, dict(made))
    labels = known.select(["label", "category"]) if known is not None else _labels([], [])
    starts = []
    with duckdb.connect() as connection:
        connection.register("counts", earlier.table)
        sql.run(connection, _SQL, "recall")
        former = shard_files(*(shards[release] for release in earlier.shards))
        for release in list(shards)[len(earlier.shards) :]:
            files = shard_files(shards[release])
            if former:
                held = sql.run(connection, _SQL, "relisted", former=former, shards=files).fetchall()
                if held:
                    sql.run(connection, _SQL, "take_away", files=[file for (file,) in held])
            sql.run(connection, _SQL, "count", shards=files)
            former += files
            starts.append(len(labels))
            connection.register("known", labels.append_column("row", pa.array(range(len(labels)), pa.int32())))
            found = sql.table(connection, _SQL, "labels", **options.model_dump())
            labels = found.select(["label", "category"])
        counts = TagCounts(sql.table(connection, _SQL, "counts").cast(_SCHEMA), contents, dict(made))
    return Counted(found, starts, counts)


def _labels(labels: list[str], categories: list[int]) -> pa.Table:
    return pa.table({"label": pa.array(labels, pa.string()), "category": pa.array(categories, pa.int8())})
