"""Danbooru's implications among the labels of a vocabulary."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.ragged import offsets_of
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary


def implied_matrix(vocabulary: Vocabulary, relations: Relations) -> sparse.csr_array:
    """Which label implies which, however indirectly and through whatever tags lie between.

    Returns:
        float32 [labels, labels]; [c, t] is 1 where label c implies label t, and the diagonal is 0. Row indices ascend.
    """
    index = vocabulary.index
    implied = [
        sorted(index[tag] for tag in relations.closure([label]) if tag != label and tag in index)
        if label in relations.implications
        else []
        for label in vocabulary.labels
    ]
    columns = np.array([row for rows in implied for row in rows], dtype=np.int64)
    ones = np.ones(len(columns), dtype=np.float32)
    shape = len(vocabulary), len(vocabulary)
    return sparse.csr_array((ones, columns, offsets_of([len(rows) for rows in implied])), shape=shape)


def direct_implications(vocabulary: Vocabulary, relations: Relations) -> NDArray[np.int64]:
    """Antecedents and consequents of the implications between labels, direct ones only, int64 [2, pairs], ascending."""
    index = vocabulary.index
    pairs = [
        (index[antecedent], index[consequent])
        for antecedent, consequents in relations.implications.items()
        if antecedent in index
        for consequent in consequents
        if consequent in index
    ]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T


def close(posts: Sequence[NDArray[np.int64]], implied: sparse.csr_array) -> list[NDArray[np.int64]]:
    """Each post's labels and what they imply (see `implied_matrix`), ascending: what Danbooru makes of such a post."""
    starts, columns = implied.indptr, implied.indices
    parts = ([labels, *(columns[starts[row] : starts[row + 1]] for row in labels.tolist())] for labels in posts)
    return [np.unique(np.concatenate(part)).astype(np.int64) for part in parts]
