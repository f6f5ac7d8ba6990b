"""Which of a post's labels its caption keeps, when they are more than a caption may have."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from booru_pipeline.dataset.chance import Draw, uniform
from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.ragged import IntArray, offsets_of, places
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_ALWAYS = 2  # labels: one to see and one to hide


@dataclass(frozen=True)
class CaptionChoice:
    """Up to `crucial_tokens` tokens of crucial labels, then any labels, each at random, up to `most_tokens` in all.

    The first crucial label and two labels in all are kept whatever their length. A pure function of (seed, epoch,
    post).

    Attributes:
        encoding: How many tokens a label has.
        crucial: bool [labels].
        crucial_tokens: What the crucial labels that come first may take.
        most_tokens: What the caption may take, separators included, end of sequence not.
        seed: Another seed keeps other labels.
    """

    encoding: Encoding
    crucial: npt.NDArray[np.bool_]
    crucial_tokens: int
    most_tokens: int
    seed: int = 0

    @classmethod
    def of(cls, vocabulary: Vocabulary, options: CaptionOptions, seed: int = 0) -> "CaptionChoice":
        """The choice that the options describe."""
        return cls(
            encoding=Encoding.of(vocabulary, options.encoding_name),
            crucial=np.isin(vocabulary.categories, options.crucial_categories),
            crucial_tokens=options.crucial_tokens,
            most_tokens=options.most_tokens,
            seed=seed,
        )

    def choose(self, posts: Posts, epoch: int) -> Posts:
        """The same posts with the labels that are kept, in the order they had."""
        if not (self.encoding.caption_lengths(posts.rows, posts.offsets) > self.most_tokens).any():
            return posts
        owner = posts.owner
        chance = uniform(self.seed, Draw.CHOICE, epoch, posts.keys[owner], posts.rows)
        tokens = self.encoding.sizes[posts.rows] + self.encoding.gap
        crucial = self.crucial[posts.rows]
        place, used = self._running(np.lexsort((chance, ~crucial, owner)), tokens, posts.offsets, owner)
        first = crucial & ((used <= self.crucial_tokens + self.encoding.gap) | (place == 0))
        place, used = self._running(np.lexsort((chance, ~first, owner)), tokens, posts.offsets, owner)
        return posts.keep((used <= self.most_tokens + self.encoding.gap) | (place < _ALWAYS))

    def longest(self, lengths: IntArray) -> int:
        """An upper bound of a chosen caption's tokens, given the whole captions' lengths."""
        two = int(2 * self.encoding.sizes.max(initial=0) + self.encoding.gap)
        return min(int(lengths.max(initial=0)), max(self.most_tokens, two))

    @staticmethod
    def _running(order: IntArray, tokens: IntArray, offsets: IntArray, owner: IntArray) -> tuple[IntArray, IntArray]:
        """For each label, in that order: how many come before it in its post, and the tokens up to and with it."""
        place = np.empty(len(order), dtype=np.int64)
        place[order] = places(offsets)  # owner is sorted, and the order sorts by it first
        ends = offsets_of(tokens[order])
        used = np.empty(len(order), dtype=np.int64)
        used[order] = ends[1:] - ends[offsets[:-1]][owner]
        return place, used
