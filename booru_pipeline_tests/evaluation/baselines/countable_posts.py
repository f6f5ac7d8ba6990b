"""Small posts to count in."""

from functools import cache

import numpy as np

from booru_pipeline.dataset.posts import incidence

LABELS = 15


def random_posts(seed, posts, labels=LABELS):
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, labels + 1)
    return [
        np.sort(rng.choice(labels, size=int(rng.integers(1, 8)), replace=False, p=weights / weights.sum()))
        for _ in range(posts)
    ]


def correlated_posts(seed, posts, labels=60, topics=12):
    """Posts that take most of their labels from a topic or two, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    own = [rng.choice(labels, size=8, replace=False) for _ in range(topics)]
    made = []
    for _ in range(posts):
        pool = np.concatenate([own[topic] for topic in rng.choice(topics, size=int(rng.integers(1, 3)))])
        made.append(np.unique(np.concatenate([rng.choice(pool, size=6), rng.choice(labels, size=1)])))
    return made


def halves(seed, posts):
    """Visible and hidden labels of each post."""
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(post) for post in posts if len(post) > 1]
    return [(post[: len(post) // 2].tolist(), post[len(post) // 2 :]) for post in shuffled]


TRAIN = random_posts(0, 200)
MATRIX = incidence(TRAIN, LABELS)
CONTEXTS = [[], *(post.tolist() for post in random_posts(1, 30))]


@cache
def having(*labels):
    """How many train posts have all of the labels."""
    return sum(set(labels) <= set(post.tolist()) for post in TRAIN)
