"""The baseline that looks at nothing."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.scorer import Contexts, hide_visible


class Popularity:
    """Each label's share of train posts, whatever is visible."""

    described = "share of train posts that have the label"

    def __init__(self, train: sparse.csr_array) -> None:
        """Count the labels of train posts, an incidence matrix [posts, labels]."""
        self._share = (np.asarray(train.sum(axis=0)).ravel() / max(1, train.shape[0])).astype(np.float32)

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        scores = np.tile(self._share, (len(contexts), 1))
        return hide_visible(scores, contexts)
