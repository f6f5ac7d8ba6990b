"""The area under the ROC curve."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def auc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Probability that a positive has a higher score than a negative; a tie counts half.

    Args:
        scores: [items], higher is likelier.
        positive: [items]; some are and some are not.
    """
    wins = rankdata(scores)[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(wins / (positive.sum() * (~positive).sum()))
