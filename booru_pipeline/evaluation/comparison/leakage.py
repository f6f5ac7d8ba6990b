"""The guard against leakage: what lies on two sides of the split would be learned by heart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from booru_pipeline.dataset.posts import Posts, open_splits
from booru_pipeline.evaluation.finding import Count, Finding

_GROUP: Final = ["group_md5"]
_POST: Final = ["booru", "fid"]


class Leaks(Finding):
    """Posts and pictures in more than one split; all 0 in a sound dataset."""

    groups: Count = Field(description="Picture groups (`group_md5`).")
    posts: Count = Field(description="Posts (booru and fid).")

    def __bool__(self) -> bool:
        return bool(self.groups or self.posts)

    def __str__(self) -> str:
        return f"{self.groups:,} pictures and {self.posts:,} posts are on two sides of the split"


def find_leaks(dataset: Path) -> Leaks:
    """Count the picture groups and the posts that are in more than one split.

    Raises:
        BooruError: There is no dataset at the path, or it lacks a split.
    """
    splits = [split.data.table for split in open_splits(dataset).values()]
    return Leaks(groups=_shared(splits, _GROUP), posts=_shared(splits, _POST))


def _shared(splits: Sequence[pa.Table], names: list[str]) -> int:
    """How many values of some columns are in more than one of the splits."""
    distinct = [split.select(names).group_by(names).aggregate([]) for split in splits]
    counted = pa.concat_tables(distinct).group_by(names).aggregate([([], "count_all")])
    return int(pc.sum(pc.greater(counted["count_all"], 1)).as_py() or 0)


def trained_on(dataset: Path, test: Posts) -> frozenset[str]:
    """Picture groups of test posts that another release's dataset has in train, which its model may know by heart.

    A post counts by its key and by its group, since a group may be called after another picture in another release.

    Raises:
        BooruError: There is no dataset at the path.
    """
    if test.about is None:
        raise ValueError("nothing is known of the posts but their labels")
    train = open_splits(dataset)["train"].data.table
    named = test.about.select([*_POST, *_GROUP])
    seen = (named.join(train.select(keys), keys, join_type="left semi")[_GROUP[0]] for keys in (_GROUP, _POST))
    return frozenset(group for column in seen for group in column.to_pylist())
