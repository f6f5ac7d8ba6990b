"""The tokenized dataset: posts as sets of labels, each on its side of the split, checked against the tokenizer.

A post is stored as rows of the vocabulary, not as text or tokens: every label was tokenized once, when the vocabulary
was made, and `dataset.collator` looks its tokens up when a batch is put together, in either encoding.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from booru_pipeline.dataset.sides import SIDES, Sides, decide_sides
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

_SUPERSEDED: Final = "listed again in a later release"
_TOO_SHORT: Final = "too few labels"
_DESCRIPTION: Final = """Posts of a booru as sets of labels, one row a post, in random order.

booru, fid: the post. release: the latest that lists it. group_md5: its picture and what is nearly the same, all on one
side of the split. post_key: a hash of booru and fid, which everything random depends on. label_rows: its labels as rows
of the vocabulary's labels.parquet. length: how many they are."""


class DatasetSummary(Document):
    """Figures of a dataset.

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

    @classmethod
    def join(cls, parts: Sequence["_Listings"]) -> "_Listings":
        """The posts of several, one after another."""
        rows, sizes, keys = (
            np.concatenate([getattr(part.posts, name) for part in parts]) for name in ("rows", "sizes", "keys")
        )
        counts = (sum((getattr(part, name) for part in parts), Counter[int]()) for name in ("occurrences", "kept"))
        return cls(Posts(rows, offsets_of(sizes), keys), pa.concat_tables([part.about for part in parts]), *counts)

    def column(self, name: str) -> npt.NDArray[np.object_]:
        """A column of `about`, None where it is null."""
        return self.about[name].to_numpy(zero_copy_only=False)


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
    found = _Listings.join([_read(release, folder, sides.table, vocabulary) for release, folder in shards.items()])
    choice = CaptionChoice.of(vocabulary, options)
    lengths = choice.encoding.caption_lengths(found.posts.rows, found.posts.offsets)
    long_enough = (lengths >= options.min_tokens) & (found.posts.sizes >= 2)
    chosen = _choose(found, long_enough)
    if not len(chosen["train"]):
        raise BooruError(
            f"no post of {', '.join(shards)} in the train split has min_tokens = {options.min_tokens} tokens of "
            "labels of the vocabulary. Lower min_tokens or the vocabulary's thresholds."
        )
    lengths = lengths[np.concatenate(list(chosen.values()))]
    listings = sum(ShardManifest.read(folder).posts for folder in shards.values())
    summary = DatasetSummary(
        left_out=_left_out(found, long_enough, listings),
        longest_caption=int(lengths.max()),
        captions=CaptionOptions(**options.model_dump(include=set(CaptionOptions.model_fields))),
        **_figures(found, chosen, vocabulary),
    )
    report = inspect(
        vocabulary,
        choice.encoding,
        longest_caption=choice.longest(lengths),
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


def _choose(found: _Listings, long_enough: npt.NDArray[np.bool_]) -> dict[str, IntArray]:
    """Positions of the posts that become captions, by split, in random order."""
    order = np.argsort(found.posts.keys, kind="stable")
    used = long_enough & pc.is_null(found.about["left_out"]).to_numpy(zero_copy_only=False)
    return {split: order[(used & (found.column("split") == split))[order]] for split in SIDES}


def _left_out(found: _Listings, long_enough: npt.NDArray[np.bool_], listings: int) -> dict[str, int]:
    """Listings in the shards that are no caption, by reason."""
    reasons = Counter({_SUPERSEDED: listings - len(found.posts), _TOO_SHORT: int((~long_enough).sum())})
    reasons.update(reason for reason in found.column("left_out")[long_enough] if reason is not None)
    return {reason: posts for reason, posts in reasons.items() if posts}


def _figures(found: _Listings, chosen: Mapping[str, IntArray], vocabulary: Vocabulary) -> dict[str, Any]:
    """Fields of `DatasetSummary`: posts, labels and tokens of the captions; coverage and groups of all listings."""
    captions = found.posts.take(np.concatenate(list(chosen.values())))
    groups = pc.value_counts(found.about["group_md5"]).field("counts")
    return {
        "posts": {split: len(index) for split, index in chosen.items()},
        "labels_per_caption": float(captions.sizes.mean()),
        "tokens_per_caption": {
            name.value: float(Encoding.of(vocabulary, name).caption_lengths(captions.rows, captions.offsets).mean())
            for name in EncodingName
        },
        "coverage": {
            Category.name_of(category): {"occurrences": found.occurrences[category], "kept": found.kept[category]}
            for category in sorted(found.occurrences)
        },
        "groups": {"groups": len(groups), "posts of the largest": pc.max(groups).as_py() or 0},
    }


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
    latest = np.repeat(present, sizes)
    is_label = latest & (tags_as_rows >= 0)
    kept = np.diff(offsets_of(is_label)[offsets_of(sizes)])[present]
    keys = post_keys(about["booru"].to_numpy(zero_copy_only=False), about["fid"].to_numpy())
    return _Listings(
        Posts(tags_as_rows[is_label].astype(np.int32), offsets_of(kept), keys),
        about.select(["booru", "fid", "release", "group_md5", "split", "left_out"]),
        _count(categories[latest]),
        _count(categories[is_label]),
    )


def _count(categories: npt.NDArray[np.int8]) -> Counter[int]:
    counts = np.bincount(categories.view(np.uint8), minlength=256)  # much faster than unique
    return Counter({int(np.uint8(value).view(np.int8)): int(counts[value]) for value in np.flatnonzero(counts)})


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
    table = found.about.select(["booru", "fid", "release", "group_md5"]).take(index).combine_chunks()
    rows = pa.ListArray.from_arrays(posts.offsets.astype(np.int32), posts.rows.astype(np.int32))
    for name, column in (("post_key", posts.keys), ("label_rows", rows), ("length", posts.sizes.astype(np.int32))):
        table = table.append_column(name, pa.array(column))
    info = datasets.DatasetInfo(description=_DESCRIPTION, features=features)
    return datasets.Dataset(table.cast(features.arrow_schema), info=info)
