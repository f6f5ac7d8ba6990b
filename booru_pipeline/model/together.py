"""How many posts have two labels, for all pairs, counted some labels at a time."""

from typing import Final

import numpy as np
from scipy import sparse

from booru_pipeline.progress import step

_PRODUCT: Final = 4_000_000  # entries of the incidence matrix that are multiplied at a time, a second or two


def count_together(train: sparse.csr_array) -> sparse.csr_array:
    """Posts that have both labels, float32 [labels, labels] in sparse rows; of a label with itself, those that have it.

    It is made some rows at a time, to tell how far it is. Counts are whole up to 16.7 million.

    Args:
        train: Incidence matrix of the posts, float32 [posts, labels].
    """
    posts_of = sparse.csr_array(train.T)
    pieces = max(1, -(-train.nnz // _PRODUCT))
    ends = np.searchsorted(posts_of.indptr, np.linspace(0, train.nnz, pieces + 1)[1:-1])
    ends = np.unique([0, *ends.tolist(), train.shape[1]])
    blocks = []
    with step("counting pairs of labels", total=train.nnz) as counting:
        for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            part = posts_of[start:end]
            blocks.append(part @ train)
            counting.advance(part.nnz)
        return sparse.csr_array(sparse.vstack(blocks, format="csr")) if blocks else posts_of @ train
