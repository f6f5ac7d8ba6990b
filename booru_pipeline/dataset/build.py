"""The tokenized dataset: posts as sets of labels, each on its side of the split, checked against the tokenizer.

A post is stored as rows of the vocabulary, not as text or tokens: every label was tokenized once, when the vocabulary
was made, and `dataset.collator` looks its tokens up when a batch is put together, in either encoding.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from pydantic import Field

from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.gate import inspect
from booru_pipeline.dataset.growth import Growing
from booru_pipeline.dataset.options import CaptionOptions, DatasetOptions
from booru_pipeline.dataset.settling import SIDES
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.document import Document
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_SUPERSEDED: Final = "listed again in a later release"
_TOO_SHORT: Final = "too few labels"


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


def build_dataset(
    shards: Mapping[str, Path],
    vocabulary: Vocabulary,
    final: Path,
    staging: Staging,
    options: DatasetOptions,
    record: Record,
    earlier: Path | None = None,
) -> DatasetSummary:
    """Write posts as a Hugging Face DatasetDict (train, validation, test), with the gate's report beside it.

    Columns: see the dataset's description. Beside it: `summary.json`, `gate.json`, and what the next release's goes on
    from: `sides/` (each post's side), `aside/` (posts that are no caption), `pairs/` (tags that are no labels) and
    `totals.json`.

    Args:
        shards: Folders of training shards by release, in release order; the last is this release's.
        vocabulary: Labels and their tokens.
        final: The folder to publish.
        staging: Where it is written first.
        options: What is left out of posts, and which posts are.
        record: What the dataset is made from.
        earlier: An earlier release's dataset, which spares reading its releases. The result has the same posts without,
            in other files.

    Raises:
        BooruError: No post has enough labels.
    """
    dataset = Growing.of(shards, vocabulary, options, earlier)
    for release in list(shards)[len(dataset.ledger.shards) :]:
        dataset.add(release)
    posts = {split: dataset.posts.count(split) for split in SIDES}
    if not posts["train"]:
        raise BooruError(
            f"no post of {', '.join(shards)} in the train split has min_tokens = {options.min_tokens} tokens of "
            "labels of the vocabulary. Lower min_tokens or the vocabulary's thresholds."
        )
    choice = CaptionChoice.of(vocabulary, options)
    lengths = np.array([tokens for tokens, captions in dataset.tokens[options.encoding_name].items() if captions])
    means = {name: _mean(counts) for name, counts in dataset.tokens.items()}
    groups = {size: number for size, number in dataset.groups.items() if number}
    summary = DatasetSummary(
        posts=posts,
        left_out=_left_out(dataset),
        labels_per_caption=means[EncodingName.LABELS],
        tokens_per_caption={name.value: mean for name, mean in means.items()},
        longest_caption=int(lengths.max()),
        coverage={
            Category.name_of(category): {"occurrences": tags, "kept": dataset.kept[category]}
            for category, tags in sorted(dataset.occurrences.items())
            if tags
        },
        groups={"groups": sum(groups.values()), "posts of the largest": max(groups, default=0)},
        captions=CaptionOptions(**options.model_dump(include=set(CaptionOptions.model_fields))),
    )
    report = inspect(
        vocabulary,
        choice.encoding,
        longest_caption=choice.longest(lengths),
        coverage=summary.coverage_shares,
        min_coverage=options.min_coverage,
    )
    with staged(final, staging) as draft:
        draft.mkdir()
        dataset.write(draft, list(shards)[-1])
        summary.write(draft)
        report.write(draft)
        record.write(draft)
    return summary


def _mean(counts: Mapping[int, int]) -> float:
    return sum(length * captions for length, captions in counts.items()) / sum(counts.values())


def _left_out(dataset: Growing) -> dict[str, int]:
    """Listings in the shards that are no caption, by reason."""
    aside = dataset.posts.aside()
    long_enough = dataset.is_long_enough(aside)
    posts = len(aside) + sum(dataset.posts.count(split) for split in SIDES)
    reasons = Counter({_SUPERSEDED: dataset.listings - posts, _TOO_SHORT: int((~long_enough).sum())})
    reasons.update(aside.filter(pa.array(long_enough))["left_out"].to_pylist())
    return {reason: posts for reason, posts in reasons.items() if posts}
