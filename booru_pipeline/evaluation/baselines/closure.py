"""The baseline that knows Danbooru's implications and nothing else."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.evaluation.posts import incidence
from booru_pipeline.evaluation.scorer import Contexts, hide_visible


class ImplicationClosure:
    """1 for what a visible label implies, 0 for everything else, so that all else is a tie."""

    described = "1 for what the visible labels imply, 0 for all else"

    def __init__(self, implied: sparse.csr_array) -> None:
        """Remember the implications, 1 at [c, t] where label c implies label t, closed transitively."""
        self._implied = implied

    def scores(self, contexts: Contexts, batch_size: int = 256) -> NDArray[np.float32]:
        """Score each label, [len(contexts), labels]; the visible ones are at -inf."""
        scores = np.zeros((len(contexts), self._implied.shape[0]), dtype=np.float32)
        for start in range(0, len(contexts), batch_size):
            batch = contexts[start : start + batch_size]
            post, label = (incidence(batch, self._implied.shape[0]) @ self._implied).nonzero()
            scores[start + post, label] = 1
        return hide_visible(scores, contexts)
