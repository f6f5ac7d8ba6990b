"""The datasets that arms are trained on: nested shares of the train posts, without the labels that are held out."""

from pathlib import Path
from typing import Final

import datasets
import numpy as np
import pyarrow as pa

from booru_pipeline.dataset.build import DatasetSummary
from booru_pipeline.dataset.chance import mix
from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.dataset.posts import Posts, load_posts, releases_of
from booru_pipeline.errors import BooruError
from booru_pipeline.hydration.questions import long_enough, without
from booru_pipeline.hydration.words import Words
from booru_pipeline.ragged import IntArray

VALIDATION_POSTS: Final = 500  # for the payload's own figures, which the experiment does not use
_LEAST: Final = 2
_SALT: Final = 0x48594452  # another order than that of anything else that hashes a post's key


def share_of(posts: Posts, share: float, seed: int) -> IntArray:
    """Positions of a share of the posts, ascending. A smaller share is part of a larger one with the same seed.

    Args:
        posts: With their keys, by whose hash they are chosen.
        share: In (0, 1].
        seed: Another seed, other posts.
    """
    order = np.argsort(mix(_SALT, seed, posts.keys), kind="stable")
    return np.sort(order[: round(share * len(posts))])


def learnable(dataset: Path, split: str, words: Words) -> tuple[Posts, IntArray]:
    """Posts of a split without held-out labels, over `words`, and their positions in the split."""
    posts = without(words.renumber(load_posts(dataset, split)), words.learned)
    kept = long_enough(posts)
    return posts.take(kept), kept


def write_subset(dataset: Path, words: Words, captions: CaptionOptions, share: float, folder: Path, seed: int) -> int:
    """Write a dataset for the training program.

    Args:
        dataset: The release's tokenized dataset.
        words: The labels.
        captions: How captions are made.
        share: Of the train posts.
        folder: Where it goes.
        seed: Of which posts the share has.

    Returns:
        How many posts it has to train on.

    Raises:
        BooruError: The share is next to nothing.
    """
    datasets.disable_progress_bars()
    train, kept = learnable(dataset, "train", words)
    chosen = share_of(train, share, seed)
    if len(chosen) < _LEAST:
        raise BooruError(
            f"{share:g} of {len(train):,} train posts is {len(chosen)}, too few to train on. Raise the smallest of "
            "the shares, or take a larger release."
        )
    releases = releases_of(dataset, "train")[kept[chosen]]
    validation, held = learnable(dataset, "validation", words)
    first = np.arange(min(VALIDATION_POSTS, len(validation)))
    splits = {
        "train": _split(train.take(chosen), releases.tolist()),
        "validation": _split(validation.take(first), releases_of(dataset, "validation")[held[first]].tolist()),
        "test": _split(train.take([]), []),
    }
    datasets.DatasetDict(splits).save_to_disk(str(folder))
    sizes = {name: len(split) for name, split in splits.items()}
    DatasetSummary(posts=sizes, captions=captions).write(folder)
    return len(chosen)


def _split(posts: Posts, releases: list[str]) -> datasets.Dataset:
    features = datasets.Features(
        {
            "release": datasets.Value("string"),
            "post_key": datasets.Value("int64"),
            "label_rows": datasets.List(datasets.Value("int32")),
        }
    )
    table = pa.table(
        {
            "release": pa.array(releases, pa.string()),
            "post_key": posts.keys,
            "label_rows": pa.ListArray.from_arrays(posts.offsets.astype(np.int32), posts.rows.astype(np.int32)),
        }
    )
    return datasets.Dataset(table.cast(features.arrow_schema), info=datasets.DatasetInfo(features=features))
