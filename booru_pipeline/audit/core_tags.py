"""Core tags: what is on most posts of a character."""

import numpy as np
from scipy import sparse

from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.vocabulary import Vocabulary


def core_tags(counts: PostCounts, vocabulary: Vocabulary, share: float, posts: int) -> sparse.csr_array:
    """General tags on a share of a character's posts at least, bool [labels, labels]: the character's row has them.

    Args:
        counts: Of the posts.
        vocabulary: The labels.
        share: The share.
        posts: Posts that the character has at least.
    """
    character = (vocabulary.categories == Category.CHARACTER) & (counts.labels >= posts)
    rows = np.flatnonzero(character)
    pairs = counts.together[rows].tocoo()
    core = vocabulary.categories[pairs.col] == Category.GENERAL
    core &= pairs.data >= share * counts.labels[rows[pairs.row]]
    places = rows[pairs.row[core]], pairs.col[core]
    return sparse.csr_array((np.ones(int(core.sum()), dtype=bool), places), shape=counts.together.shape)
