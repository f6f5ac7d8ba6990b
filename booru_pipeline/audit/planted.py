"""Posts with a known fault: a label of theirs hidden, or one planted that they have not."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.model.ranking import as_posts, best_of
from booru_pipeline.model.start import label_vectors
from booru_pipeline.vocabulary.implied import close

_ALIKE: Final = 20
"""Labels of which one is planted: those most like one that the post has."""
_WIDTH: Final = 64  # numbers that tell how alike labels are
_POSTS: Final = 100_000  # that likeness is learned from
_AT_ONCE: Final = 128

Rows = NDArray[np.int64]
Draw = Callable[[int, Rows], int]
"""A label to plant on a post, by its position and what it has and implies; below 0 if there is none."""


@dataclass(frozen=True)
class Faulty:
    """Posts with a fault each.

    Attributes:
        posts: The posts as they are now.
        at: int64 [posts], each one's position among those that were drawn from.
        fault: int64 [posts], the label that was hidden or planted.
    """

    posts: Posts
    at: Rows
    fault: Rows

    def __len__(self) -> int:
        return len(self.fault)

    @classmethod
    def of(cls, found: Iterable[tuple[int, Rows, int]]) -> "Faulty":
        """Those of position, labels and fault."""
        at, posts, fault = zip(*found, strict=True) if (found := list(found)) else ((), (), ())
        return cls(as_posts(posts), np.array(at, dtype=np.int64), np.array(fault, dtype=np.int64))


def hide_one(posts: Posts, implied: sparse.csr_array, seed: int, *, derivable: bool) -> Faulty:
    """Hide a label of each post of two or more, drawn by lot.

    Args:
        posts: The posts.
        implied: Which label implies which.
        seed: Of the lot.
        derivable: Whether it may be one that the others imply; if not, posts of such labels alone are left out.
    """
    random = np.random.default_rng(seed)
    found = []
    for at, rows in enumerate(posts.labels):
        given_away = np.unique(implied[rows].indices)
        likely = rows if derivable else np.setdiff1d(rows, given_away)
        if len(rows) > 1 and len(likely):
            hidden = int(random.choice(likely))
            found.append((at, rows[rows != hidden], hidden))
    return Faulty.of(found)


def plant_one(posts: Posts, implied: sparse.csr_array, draw: Draw) -> Faulty:
    """Plant a label on each post, with what it implies, as Danbooru adds that by itself.

    Args:
        posts: The posts.
        implied: Which label implies which.
        draw: Draws the label.
    """
    found = []
    for at, (rows, closed) in enumerate(zip(posts.labels, close(posts.labels, implied), strict=True)):
        planted = draw(at, closed) if len(rows) else -1
        if planted >= 0:
            [added] = close([np.array([planted])], implied)
            found.append((at, np.union1d(rows, np.setdiff1d(added, closed)), planted))
    return Faulty.of(found)


def by_frequency(counts: NDArray[np.integer], seed: int) -> Draw:
    """Labels as often as posts have them, by [labels] posts."""
    random = np.random.default_rng(seed)
    chance = counts / max(1, counts.sum())

    def draw(_: int, closed: Rows) -> int:
        weights = chance.copy()
        weights[closed] = 0
        total = weights.sum()
        return int(random.choice(len(weights), p=weights / total)) if total > 0 else -1

    return draw


def by_likeness(posts: Posts, train: Posts, categories: NDArray[np.int8], seed: int) -> Draw:
    """Labels that keep the same company as one that the post has, of its category: they are harder to tell.

    Likeness is the cosine of vectors of pointwise mutual information, see `label_vectors`; of the label's 20 most alike
    one is drawn.

    Args:
        posts: The posts that labels are drawn for, in their order.
        train: Posts to learn likeness from.
        categories: int8 [labels].
        seed: Of the lot.
    """
    random = np.random.default_rng(seed)
    vectors = label_vectors(train.take(np.arange(min(len(train), _POSTS))), len(categories), _WIDTH, seed)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-8)
    models = np.array([int(random.choice(rows)) if len(rows) else 0 for rows in posts.labels], dtype=np.int64)
    alike: list[Rows] = []
    for start in range(0, len(models), _AT_ONCE):
        some = models[start : start + _AT_ONCE]
        cosine = vectors[some] @ vectors.T
        cosine[categories[some][:, None] != categories] = -np.inf
        # What the posts have is among the most alike.
        alike += best_of(cosine, _ALIKE + int(posts.sizes.max(initial=0)) * 2)

    def draw(at: int, closed: Rows) -> int:
        others = alike[at][~np.isin(alike[at], closed)][:_ALIKE]
        return int(random.choice(others)) if len(others) else -1

    return draw
