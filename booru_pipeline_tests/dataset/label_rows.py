"""Posts as rows of label numbers."""

from collections.abc import Sequence

import numpy as np

from booru_pipeline.dataset.posts import Posts


def posts_of(*rows: Sequence[int]) -> Posts:
    """Posts with these labels, each with a key of its own."""
    flat = np.array([row for post in rows for row in post], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(post) for post in rows])]).astype(np.int64)
    return Posts(flat, offsets, 1000 + np.arange(len(rows)))


def random_posts(number: int, labels: int, seed: int = 0, least: int = 2, most: int = 40) -> Posts:
    random = np.random.default_rng(seed)
    sizes = random.integers(least, min(most, labels) + 1, number)
    return posts_of(*(random.permutation(labels)[:size].tolist() for size in sizes))


def sets(posts: Posts) -> list[list[int]]:
    return [part.tolist() for part in np.split(posts.rows, posts.offsets[1:-1])]
