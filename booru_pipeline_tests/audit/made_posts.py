"""Posts made by hand, as sets of names, and the counts and the vocabulary of these."""

import numpy as np
import pyarrow as pa

from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.dataset.posts import incidence
from booru_pipeline.vocabulary.vocabulary import Vocabulary


def vocabulary_of(categories, folder="made"):
    """A vocabulary of these labels, in this order; by label the category's number."""
    table = pa.table(
        {"label": list(categories), "category": pa.array(list(categories.values()), pa.int8())},
    )
    return Vocabulary(folder, table)


def counts_of(posts, vocabulary, booru="safebooru.org"):
    """Counts of posts, each a set of labels; their ids are their places."""
    rows = [sorted(vocabulary.index[label] for label in post) for post in posts]
    about = pa.table({"booru": [booru] * len(rows), "fid": np.arange(len(rows))})
    return PostCounts.of(incidence(rows, len(vocabulary)), about)


def named(vocabulary, *rows):
    """Tuples of labels."""
    return [tuple(vocabulary.labels[row] for row in pair) for pair in zip(*(one.tolist() for one in rows), strict=True)]
