"""Which labels of a post are hidden when it is seen: a pure function of (seed, epoch, post), so it can be repeated."""

from dataclasses import dataclass

import numpy as np

from booru_pipeline.dataset.chance import Draw, uniform
from booru_pipeline.dataset.options import MaskingOptions
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.ragged import IntArray, places


@dataclass(frozen=True)
class Hiding:
    """How much of a post is hidden: a share drawn evenly from [`least`, `most`], `cap` labels at most (0 = no cap).

    Every second post, by lot, takes one of `shares` instead, if there are any. It matters which: that five labels are
    seen says that a post has fifty, where 90 % are always hidden, and that it has few, where shares are even.

    At least one label is hidden and one stays visible. `single` of the posts, by lot, show one label whatever the
    share, which is what a person asks who types one tag.
    """

    seed: int
    least: float = 0.1
    most: float = 1.0
    cap: int = 0
    shares: tuple[float, ...] = ()
    single: float = 0.0

    @classmethod
    def of(cls, options: MaskingOptions, seed: int) -> "Hiding":
        """The hiding that the options describe."""
        return cls(
            seed,
            options.hidden_share_min,
            options.hidden_share_max,
            options.max_hidden_tokens,
            tuple(options.hidden_shares),
            options.single_visible_share,
        )

    def hidden_counts(self, sizes: IntArray, keys: IntArray, epoch: int) -> IntArray:
        """How many of each post's items are hidden, int64 [posts], each in 1..size-1.

        An item is a label or a token, and a post has at least 2. Another epoch hides another share.
        """
        chance = uniform(self.seed, Draw.SHARE, epoch, keys)
        share = self.least + (self.most - self.least) * chance
        if self.shares:
            chosen = np.array(self.shares)[(chance * len(self.shares)).astype(np.int64)]
            share = np.where(uniform(self.seed, Draw.SHARE_KIND, epoch, keys) < 0.5, chosen, share)
        visible = np.clip(np.rint((1 - share) * sizes), 1, sizes - 1).astype(np.int64)
        if self.single:
            visible[uniform(self.seed, Draw.SINGLE, epoch, keys) < self.single] = 1
        return np.minimum(sizes - visible, self.cap) if self.cap else sizes - visible

    def split(self, posts: Posts, epoch: int) -> tuple[Posts, Posts]:
        """Split posts into visible and hidden labels, each in random order. Another epoch hides others."""
        shuffled = shuffle(posts, self.seed, epoch)
        hidden = self.hidden_counts(shuffled.sizes, shuffled.keys, epoch)
        seen = places(shuffled.offsets) < (shuffled.sizes - hidden)[shuffled.owner]
        return shuffled.keep(seen), shuffled.keep(~seen)


def shuffle(posts: Posts, seed: int, epoch: int) -> Posts:
    """The same posts with their labels in random order."""
    owner = posts.owner
    chance = uniform(seed, Draw.ORDER, epoch, posts.keys[owner], posts.rows)
    return Posts(posts.rows[np.lexsort((chance, owner))], posts.offsets, posts.keys)
