"""Implications: those that the posts propose, and known ones that they do not keep."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.model.pairs import wilson_bounds
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_ONE_NAME: Final = 0.5
"""Share of a tag's posts that one character, series or artist has, above which what holds there may be of it alone."""
_LIFT: Final = 2.0
_NAMES: Final = (Category.ARTIST, Category.COPYRIGHT, Category.CHARACTER)
_BLOCK: Final = 1024  # labels whose pairs are looked at together
_WORD: Final = re.compile(r"[a-z0-9]+")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of labels, of which the first is said to imply the second.

    Attributes:
        antecedent: int64 [pairs], rows.
        consequent: int64 [pairs], rows.
        together: int64 [pairs], posts that have both.
        posts: int64 [pairs], posts that have the antecedent.
        low: float64 [pairs], Wilson's lower bound of together / posts.
        high: float64 [pairs], the upper one.
    """

    antecedent: Rows
    consequent: Rows
    together: Rows
    posts: Rows
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.antecedent)

    @classmethod
    def of(cls, antecedent: Rows, consequent: Rows, counts: PostCounts) -> "Pairs":
        """Count some pairs; the antecedents are on a post each."""
        together, posts = counts.both(antecedent, consequent), counts.labels[antecedent]
        return cls(antecedent, consequent, together, posts, *wilson_bounds(together, posts))

    def take(self, chosen: NDArray[np.bool_] | Rows) -> "Pairs":
        """Some of them, by a mask or in the order of an index."""
        return Pairs(*(getattr(self, name)[chosen] for name in Pairs.__dataclass_fields__))


def propose(counts: PostCounts, vocabulary: Vocabulary, implied: sparse.csr_array, min_share: float) -> Pairs:
    """Implications that hold on the posts and that known ones do not give, the likeliest first.

    A pair holds if Wilson's lower bound of its share is at least `min_share`; for .95 that takes 73 posts without an
    exception. Of a -> b -> c, a -> c is left out. Danbooru takes implications within a category alone, so such pairs
    come first: those whose consequent's words are all in the antecedent, as in side_ponytail -> ponytail, then others,
    and last those whose consequent is frequent anyway, or whose antecedent is mostly of one character, series or
    artist, as hair ornaments often are: what holds there may be the character's and not the tag's.

    Args:
        counts: Of the posts.
        vocabulary: The labels.
        implied: The known implications, see `implied_matrix`.
        min_share: The bound.
    """
    pairs = _holding(counts, implied, min_share)
    pairs = pairs.take(~_given_by_others(pairs, implied))
    return pairs.take(np.lexsort((-pairs.posts, -pairs.low, _standing(pairs, counts, vocabulary))))


def not_kept(counts: PostCounts, known: Rows, min_share: float) -> Pairs:
    """Known implications that posts do not keep, the worst first: the upper bound of the share is below `min_share`.

    Args:
        counts: Of the posts.
        known: int64 [2, pairs], see `direct_implications`.
        min_share: The bound.
    """
    antecedent, consequent = known
    seen = counts.labels[antecedent] > 0
    pairs = Pairs.of(antecedent[seen], consequent[seen], counts)
    pairs = pairs.take(pairs.high < min_share)
    return pairs.take(np.lexsort((-pairs.posts, pairs.high)))


def is_telling(pairs: Pairs, counts: PostCounts) -> NDArray[np.bool_]:
    """bool [pairs]: whether the consequent is at least twice as frequent beside the antecedent as on any post.

    Else it may just be frequent: `1girl` is mostly `solo` where most posts are.
    """
    return pairs.together >= _LIFT * pairs.posts * counts.share[pairs.consequent]


def same_category(pairs: Pairs, vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """bool [pairs]: whether both tags are of one category, as Danbooru asks of an implication."""
    return vocabulary.categories[pairs.antecedent] == vocabulary.categories[pairs.consequent]


def _holding(counts: PostCounts, implied: sparse.csr_array, min_share: float) -> Pairs:
    """All pairs that hold and are not implied."""
    found = []
    for start in range(0, counts.together.shape[0], _BLOCK):
        block = counts.together[start : start + _BLOCK].tocoo()
        posts = counts.labels[start + block.row]
        likely = block.data >= min_share * posts  # the bound is below the share
        antecedent, consequent = start + block.row[likely].astype(np.int64), block.col[likely].astype(np.int64)
        low, _ = wilson_bounds(block.data[likely], posts[likely])
        found.append(np.stack([antecedent, consequent])[:, low >= min_share])
    antecedent, consequent = np.concatenate([np.empty((2, 0), np.int64), *found], axis=1)
    if len(antecedent):
        new = np.asarray(implied[antecedent, consequent]).ravel() == 0
        antecedent, consequent = antecedent[new], consequent[new]
    return Pairs.of(antecedent, consequent, counts)


def _given_by_others(pairs: Pairs, implied: sparse.csr_array) -> NDArray[np.bool_]:
    """bool [pairs]: which follow from another proposed pair and a known or proposed one; tags that imply each other are
    left as they are.
    """
    shape = implied.shape
    ones = np.ones(len(pairs), dtype=np.float32)
    proposed = sparse.csr_array((ones, (pairs.antecedent, pairs.consequent)), shape=shape)
    one_way = proposed - proposed.multiply(proposed.T)
    every = sparse.csr_array(one_way + implied)
    steps = sparse.csr_array(every @ every)
    if not len(pairs):
        return np.empty(0, dtype=bool)
    given = np.asarray(steps[pairs.antecedent, pairs.consequent]).ravel() > 0
    single = np.asarray(one_way[pairs.antecedent, pairs.consequent]).ravel() > 0
    return given & single


def _standing(pairs: Pairs, counts: PostCounts, vocabulary: Vocabulary) -> Rows:
    """int64 [pairs]: 0 for the likeliest kind of pair, and so on; see `propose`."""
    words = [set(_WORD.findall(label)) for label in vocabulary.labels]
    spelled = np.array(
        [
            bool(words[consequent]) and words[consequent] <= words[antecedent]
            for antecedent, consequent in zip(pairs.antecedent.tolist(), pairs.consequent.tolist(), strict=True)
        ],
        dtype=bool,
    )
    antecedents, place = np.unique(pairs.antecedent, return_inverse=True)
    beside = counts.together[antecedents].tocoo()
    of_one = np.zeros(len(antecedents))
    name = np.isin(vocabulary.categories[beside.col], _NAMES)
    np.maximum.at(of_one, beside.row[name], beside.data[name])
    dominated = of_one[place] > _ONE_NAME * pairs.posts
    within = same_category(pairs, vocabulary)
    telling = is_telling(pairs, counts)
    return np.select([within & spelled, within & telling & ~dominated, within], [0, 1, 2], 3).astype(np.int64)
