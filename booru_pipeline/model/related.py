"""Labels that are like a label: by how often they stand together, or by the vectors that the model has for them."""

from enum import StrEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from booru_pipeline.model.pair_table import PairTable
from booru_pipeline.model.ranking import best_of
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_ENOUGH = 5  # posts together: of fewer, lift says nothing


class Likeness(StrEnum):
    """How alike two labels are, of which n and m train posts have one and k both, of N in all.

    Attributes:
        COSINE: k / √(n m).
        JACCARD: k / (n + m - k).
        LIFT: k N / (n m), how many times as often as by chance; of pairs on at least five posts.
        VECTORS: Cosine of the vectors of the two labels' tokens.
    """

    COSINE = "cosine"
    JACCARD = "jaccard"
    LIFT = "lift"
    VECTORS = "vectors"


def related(
    vocabulary: Vocabulary,
    pairs: PairTable,
    tag: str,
    likeness: Likeness,
    top: int,
    vectors: NDArray[np.float32] | None = None,
) -> pa.Table:
    """The labels most like one, a row each: tag, category, together, posts, and the likeness under its own name.

    Args:
        vocabulary: The labels.
        pairs: Counts of train posts; beside a label those of its 512 most frequent partners are known.
        tag: The label.
        likeness: By what.
        top: How many.
        vectors: Those of `vectors_of`, for `VECTORS`.
    """
    row = vocabulary.index[tag]
    together = pairs.beside_all(np.array([row]))[0][0]
    if vectors is None:
        scores = _counted_likeness(pairs, row, together, likeness)
    else:
        lengths = np.linalg.norm(vectors, axis=1).astype(np.float64)
        scores = vectors @ vectors[row] / np.maximum(lengths * lengths[row], 1e-12)
    scores[row] = -np.inf
    [best] = best_of(scores[None], top)
    columns = {
        "tag": [vocabulary.labels[one] for one in best.tolist()],
        "category": [vocabulary.category_names[one] for one in best.tolist()],
    }
    counts = {"together": together[best], "posts": pairs.counts[best]}
    return pa.table({**columns, **counts, str(likeness): scores[best].round(4)})


def _counted_likeness(
    pairs: PairTable, row: int, together: NDArray[np.int64], likeness: Likeness
) -> NDArray[np.float64]:
    one, others = int(pairs.counts[row]), pairs.counts
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = {
            Likeness.COSINE: together / np.sqrt(one * others),
            Likeness.JACCARD: together / (one + others - together),
            Likeness.LIFT: together * pairs.posts / (one * others),
        }[likeness]
    least = _ENOUGH if likeness is Likeness.LIFT else 1
    return np.where(together >= least, scores, -np.inf)
