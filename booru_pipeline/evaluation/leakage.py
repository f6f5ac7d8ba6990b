"""The guard against leakage: a picture whose posts lie on two sides of the split would be learned by heart."""

from itertools import combinations
from pathlib import Path

from booru_pipeline.labels.splits import open_splits


def shared_groups(dataset: Path) -> int:
    """Number of picture groups (`group_md5`) that have posts in more than one split; 0 in a sound dataset.

    Raises:
        BooruError: There is no dataset at the path, or it lacks a split.
    """
    splits = open_splits(dataset)
    sides = [set(split.with_format("arrow")["group_md5"].to_pylist()) for split in splits.values()]
    return len(set().union(*(one & other for one, other in combinations(sides, 2))))
