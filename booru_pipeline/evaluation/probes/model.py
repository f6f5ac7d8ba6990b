"""What a probe asks of a model."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.scorer import Contexts, Scorer


class Model(Scorer, Protocol):
    """A scorer that also gives calibrated probabilities."""

    def probabilities(self, contexts: Contexts) -> NDArray[np.floating]:
        """Probability in [0, 1] that a post with these visible labels has each label: [len(contexts), labels]."""
        ...
