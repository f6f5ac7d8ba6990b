"""What implications give away: Danbooru adds implied tags by itself, so recovering one of them is no learning."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.corpus.relations import Relations
from booru_pipeline.evaluation.posts import incidence
from booru_pipeline.labels.vocabulary import Vocabulary


def implied_matrix(vocabulary: Vocabulary, relations: Relations) -> sparse.csr_array:
    """Which label implies which, however indirectly and through whatever tags lie between.

    Args:
        vocabulary: The labels.
        relations: The implications.

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
    return incidence(implied, len(vocabulary))


def close(posts: Sequence[NDArray[np.int64]], implied: sparse.csr_array) -> list[NDArray[np.int64]]:
    """Each post's labels and what they imply, ascending: what Danbooru makes of a post with these tags.

    Args:
        posts: Each post's label rows.
        implied: See `implied_matrix`.
    """
    starts, columns = implied.indptr, implied.indices
    closed = []
    for own in posts:
        parts = [columns[starts[row] : starts[row + 1]] for row in own.tolist()]
        closed.append(np.unique(np.concatenate([own, *parts])).astype(np.int64))
    return closed
