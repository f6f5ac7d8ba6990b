"""The tokenized dataset: posts as sets of labels, each on its side of the split, checked against the tokenizer.

A post is stored as rows of the vocabulary, not as text or tokens: every label was tokenized once, when the vocabulary
was made, and `labels.collator` looks its tokens up when a batch is put together, in either encoding.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.chance import post_keys
from booru_pipeline.dataset.gate import inspect
from booru_pipeline.dataset.options import CaptionOptions, DatasetOptions
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.dataset.sides import Sides, decide_sides
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.document import Document
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record
from booru_pipeline.ragged import IntArray, offsets_of
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.shards import ShardManifest, shard_files
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    import datasets

SPLITS: Final = ("train", "validation", "test")

_SUPERSEDED: Final = "listed again in a later release"
_TOO_SHORT: Final = "too few labels"
_DESCRIPTION: Final = """Posts of a booru as sets of labels, one row a post, in random order.

booru, fid: the post. release: the latest that lists it. group_md5: its picture and what is nearly the same, all on one
side of the split. post_key: a hash of booru and fid, which everything random depends on. label_rows: its labels as rows
of the vocabulary's labels.parquet. length: how many they are."""


class DatasetSummary(Document):
    """What a dataset holds.

    Attributes:
        posts: Captions by split.
        left_out: Listings in the shards that are no caption, by reason.
        labels_per_caption: Mean.
        tokens_per_caption: Mean of the whole captions in each encoding, separators included, end of sequence not.
        longest_caption: In tokens of the chosen encoding, before any label is left out for length.
        coverage: By category: tag occurrences, and how many of them are labels.
        groups: Groups of posts that must be on one side, and the posts of the largest.
        captions: Which labels a caption keeps.
    """

    FILE = "summary.json"
    REMEDY = "Make the dataset with `booru run --to tokenized_dataset`."

    posts: dict[str, int]
    left_out: dict[str, int] = Field(default_factory=dict)
    labels_per_caption: float = 0.0
    tokens_per_caption: dict[str, float] = Field(default_factory=dict)
    longest_caption: int = 0
    coverage: dict[str, dict[str, int]] = Field(default_factory=dict)
    groups: dict[str, int] = Field(default_factory=dict)
    captions: CaptionOptions

    @property
    def coverage_shares(self) -> dict[str, float]:
        """Share of tag occurrences that are labels, by category."""
        return {name: item["kept"] / item["occurrences"] for name, item in self.coverage.items()}


@dataclass(frozen=True)
class _Listings:
    """Posts of some releases as they were listed last.

    Attributes:
        posts: Their labels; rows that are no label are left out.
        about: One row a post: booru, fid, release, group_md5, split, left_out.
        occurrences: Tags by category.
        kept: Those of them that are labels.
    """

    posts: Posts
    about: pa.Table
    occurrences: Counter[int]
    kept: Counter[int]

    def __add__(self, other: "_Listings") -> "_Listings":
        offsets = np.concatenate([self.posts.offsets, self.posts.offsets[-1] + other.posts.offsets[1:]])
        return _Listings(
            Posts(
                np.concatenate([self.posts.rows, other.posts.rows]),
                offsets,
                np.concatenate([self.posts.keys, other.posts.keys]),
            ),
            pa.concat_tables([self.about, other.about]),
            self.occurrences + other.occurrences,
            self.kept + other.kept,
        )


def build_dataset(
    shards: Mapping[str, Path],
    vocabulary: Vocabulary,
    final: Path,
    staging: Staging,
    options: DatasetOptions,
    record: Record,
    earlier: Sides | None = None,
) -> DatasetSummary:
    """Write posts as a Hugging Face DatasetDict (train, validation, test), with the gate's report beside it.

    Columns: see the dataset's description. Beside it: `sides.parquet` (each post's side, for later releases),
    `summary.json`, `gate.json`.

    Args:
        shards: Folders of training shards by release, in release order; the last is this release's.
        vocabulary: Labels and their tokens.
        final: The folder to publish.
        staging: Where it is written first.
        options: What is left out of posts, and which posts are.
        record: What the dataset is made from.
        earlier: The sides that an earlier release's dataset was made with, which spares deciding them again.

    Raises:
        BooruError: No post has enough labels.
    """
    import datasets

    sides = decide_sides(dict(shards), options, earlier)
    found = reduce(
        lambda done, more: done + more,
        (_read(release, folder, sides.table, vocabulary) for release, folder in shards.items()),
    )
    choice = CaptionChoice.of(vocabulary, options)
    lengths = choice.encoding.caption_lengths(found.posts.rows, found.posts.offsets)
    long_enough = (lengths >= options.min_tokens) & (found.posts.sizes >= 2)
    reasons = found.about["left_out"].to_numpy(zero_copy_only=False)
    used = long_enough & pc.is_null(found.about["left_out"]).to_numpy(zero_copy_only=False)
    side = found.about["split"].to_numpy(zero_copy_only=False)
    order = np.argsort(found.posts.keys, kind="stable")
    chosen = {split: order[(used & (side == split))[order]] for split in SPLITS}
    if not len(chosen["train"]):
        raise BooruError(
            f"no post of {', '.join(shards)} in the train split has min_tokens = {options.min_tokens} tokens of "
            "labels of the vocabulary. Lower min_tokens or the vocabulary's thresholds."
        )
    every = np.concatenate(list(chosen.values()))
    captions = found.posts.take(every)
    listings = sum(ShardManifest.read(folder).posts for folder in shards.values())
    left_out = Counter({_SUPERSEDED: listings - len(found.posts), _TOO_SHORT: int((~long_enough).sum())})
    left_out.update(str(reason) for reason in reasons[long_enough & ~used])
    summary = DatasetSummary(
        posts={split: len(index) for split, index in chosen.items()},
        left_out={reason: posts for reason, posts in left_out.items() if posts},
        labels_per_caption=float(captions.sizes.mean()),
        tokens_per_caption={
            name.value: float(Encoding.of(vocabulary, name).caption_lengths(captions.rows, captions.offsets).mean())
            for name in EncodingName
        },
        longest_caption=int(lengths[every].max()),
        coverage={
            Category.name_of(category): {"occurrences": found.occurrences[category], "kept": found.kept[category]}
            for category in sorted(found.occurrences)
        },
        groups=_groups(found.about),
        captions=CaptionOptions(**{name: getattr(options, name) for name in CaptionOptions.model_fields}),
    )
    report = inspect(
        vocabulary,
        choice.encoding,
        longest_caption=choice.longest(lengths[every]),
        coverage=summary.coverage_shares,
        min_coverage=options.min_coverage,
    )
    datasets.disable_progress_bars()  # the run log is not a terminal
    with staged(final, staging) as draft:
        splits = {split: _split(found, index) for split, index in chosen.items()}
        datasets.DatasetDict(splits).save_to_disk(str(draft))
        sides.write(draft)
        summary.write(draft)
        report.write(draft)
        record.write(draft)
    return summary


def _read(release: str, folder: Path, sides: pa.Table, vocabulary: Vocabulary) -> _Listings:
    """A release's posts, those left out that a later release lists again."""
    shard = pq.read_table(
        shard_files(folder),
        columns=["booru", "fid", "tags", "categories"],
        read_dictionary=["booru", "tags.list.element"],
    )
    names = pa.table({"booru": shard["booru"].cast(pa.string()), "fid": shard["fid"], "row": np.arange(len(shard))})
    about = names.join(sides.filter(pc.field("release") == release), ["booru", "fid"], join_type="inner").sort_by("row")
    tags = shard["tags"].combine_chunks() if shard.num_rows else pa.array([], shard.schema.field("tags").type)
    dictionary = tags.values
    sizes = tags.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    row_of = pc.index_in(dictionary.dictionary, value_set=vocabulary.table["label"].combine_chunks()).fill_null(-1)
    tags_as_rows = row_of.to_numpy()[dictionary.indices.to_numpy()]
    categories = shard["categories"].combine_chunks().values.to_numpy()
    present = np.zeros(len(shard), dtype=bool)
    present[about["row"].to_numpy()] = True
    is_label = tags_as_rows >= 0
    if not present.all():
        latest = np.repeat(present, sizes)
        is_label &= latest
        occurrences = _count(categories[latest])
    else:
        occurrences = _count(categories)
    ends = offsets_of(is_label)[offsets_of(sizes)]
    kept = np.diff(ends)[present]
    boorus = about["booru"].to_numpy(zero_copy_only=False)
    return _Listings(
        Posts(
            tags_as_rows[is_label].astype(np.int32),
            offsets_of(kept),
            post_keys(boorus, about["fid"].to_numpy()),
        ),
        about.select(["booru", "fid", "release", "group_md5", "split", "left_out"]),
        occurrences,
        _count(categories[is_label]),
    )


def _count(categories: npt.NDArray[np.int8]) -> Counter[int]:
    counts = np.bincount(categories.view(np.uint8), minlength=256)  # much faster than unique
    return Counter({int(np.uint8(value).view(np.int8)): int(counts[value]) for value in np.flatnonzero(counts)})


def _groups(about: pa.Table) -> dict[str, int]:
    sizes = pc.value_counts(about["group_md5"]).field("counts")
    return {"groups": len(sizes), "posts of the largest": pc.max(sizes).as_py() if len(sizes) else 0}


def _split(found: _Listings, index: IntArray) -> "datasets.Dataset":
    import datasets

    features = datasets.Features(
        {
            "booru": datasets.Value("string"),
            "fid": datasets.Value("int64"),
            "release": datasets.Value("string"),
            "group_md5": datasets.Value("string"),
            "post_key": datasets.Value("int64"),
            "label_rows": datasets.List(datasets.Value("int32")),
            "length": datasets.Value("int32"),
        }
    )
    posts = found.posts.take(index)
    about = found.about.take(index)
    columns: dict[str, Any] = {name: about[name].combine_chunks() for name in ("booru", "fid", "release", "group_md5")}
    table = pa.table(
        {
            **columns,
            "post_key": posts.keys,
            "label_rows": pa.ListArray.from_arrays(posts.offsets.astype(np.int32), posts.rows.astype(np.int32)),
            "length": posts.sizes.astype(np.int32),
        }
    )
    info = datasets.DatasetInfo(description=_DESCRIPTION, features=features)
    return datasets.Dataset(table.cast(features.arrow_schema), info=info)
