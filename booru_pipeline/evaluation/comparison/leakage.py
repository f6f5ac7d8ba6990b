"""The guard against leakage: what lies on two sides of the split would be learned by heart."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from datasets import Dataset
from pydantic import Field

from booru_pipeline.dataset.posts import Posts, open_splits
from booru_pipeline.evaluation.finding import Count, Finding


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
    groups, posts = zip(*map(_named, open_splits(dataset).values()), strict=True)
    return Leaks(groups=_shared(groups), posts=_shared(posts))


def _named(split: Dataset) -> tuple[set[str], set[tuple[str, int]]]:
    """The picture groups and the posts of a split."""
    booru, fid, group = (split.data.table[name].to_pylist() for name in ("booru", "fid", "group_md5"))
    return set(group), set(zip(booru, fid, strict=True))


def _shared(sides: Sequence[set[Any]]) -> int:
    return len(set().union(*(one & other for one, other in combinations(sides, 2))))


def trained_on(dataset: Path, test: Posts) -> frozenset[str]:
    """Picture groups of test posts that another release's dataset has in train, which its model may know by heart.

    A post counts by its key and by its group, since a group may be called after another picture in another release.

    Raises:
        BooruError: There is no dataset at the path.
    """
    groups, keys = _named(open_splits(dataset)["train"])
    posts = zip(*(test.column(name) for name in ("booru", "fid", "group_md5")), strict=True)
    return frozenset(group for booru, fid, group in posts if group in groups or (booru, fid) in keys)
