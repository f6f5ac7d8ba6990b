"""Which labels of a post are hidden when it is seen: a pure function of (seed, epoch, post), so it can be repeated.

A counter-based generator (SplitMix64, Steele, Lea and Flood 2014) gives each label its random number without a
generator per post, and a batch's composition does not change what is hidden.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from booru_pipeline.labels.posts import IntArray, Posts


@dataclass(frozen=True)
class Hiding:
    """How much of a post is hidden: a share drawn evenly from [`least`, `most`].

    At least one label is hidden and one stays visible whatever the share, so `most` = 1 makes posts of which a single
    label is seen: what a person asks when they type one tag.
    """

    seed: int
    least: float = 0.1
    most: float = 1.0

    def visible_counts(self, sizes: IntArray, posts: IntArray, epoch: int) -> IntArray:
        """How many labels of each post stay visible, int64 [posts], each in 1..size-1."""
        share = self.least + (self.most - self.least) * _uniform(_mix(self.seed, epoch, posts))
        return np.clip(np.rint((1 - share) * sizes), 1, sizes - 1).astype(np.int64)

    def split(self, posts: Posts, index: npt.ArrayLike, epoch: int) -> tuple[Posts, Posts]:
        """Split posts into what is seen and what is hidden.

        Args:
            posts: All posts of the split.
            index: The positions of the batch's posts in it.
            epoch: Another epoch hides other labels.

        Returns:
            Visible and hidden labels of the chosen posts, each in random order; together they are the post.
        """
        chosen = np.asarray(index, dtype=np.int64)
        batch = posts.take(chosen)
        sizes = batch.sizes
        owner = np.repeat(np.arange(len(chosen)), sizes)
        slot = np.arange(len(batch.rows)) - batch.offsets[owner]
        order = np.lexsort((_uniform(_mix(self.seed, epoch, chosen[owner], slot + 1)), owner))
        rows = batch.rows[order]
        visible = self.visible_counts(sizes, chosen, epoch)
        # `owner` is sorted, so after the sort by (owner, random) position i still belongs to owner[i].
        seen = slot < visible[owner]
        return (
            Posts(rows[seen], np.concatenate([[0], np.cumsum(visible)])),
            Posts(rows[~seen], np.concatenate([[0], np.cumsum(sizes - visible)])),
        )


def _mix(*parts: int | IntArray) -> npt.NDArray[np.uint64]:
    state = np.zeros((), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            state = state + np.asarray(part).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def _uniform(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53, dtype=np.float64)
