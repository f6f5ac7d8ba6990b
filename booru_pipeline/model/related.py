"""Labels that are like a label: by how often they stand together, or by the vectors that the model has for them."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from safetensors import safe_open

from booru_pipeline.errors import BooruError
from booru_pipeline.model.pair_table import PairTable
from booru_pipeline.model.predictor import read_recipe
from booru_pipeline.model.ranking import best_of
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.options import EncodingName
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
    columns = {"tag": [vocabulary.labels[one] for one in best.tolist()], "category": _categories(vocabulary, best)}
    counts = {"together": together[best], "posts": pairs.counts[best]}
    return pa.table({**columns, **counts, str(likeness): scores[best].round(4)})


def label_table(vocabulary: Vocabulary, relations: Relations) -> pa.Table:
    """All labels, the most frequent first: tag, category, posts, aliases (list of string)."""
    aliases: dict[str, list[str]] = {}
    for alias, tag in relations.aliases.items():
        aliases.setdefault(tag, []).append(alias)
    rows = vocabulary.by_posts
    labels = [vocabulary.labels[row] for row in rows.tolist()]
    listed = pa.array([sorted(aliases.get(label, [])) for label in labels], pa.list_(pa.string()))
    return pa.table(
        {"tag": labels, "category": _categories(vocabulary, rows), "posts": vocabulary.posts[rows], "aliases": listed}
    )


def pair_table(checkpoint: Path) -> pa.Table:
    """Pairs of labels on train posts, each once: first, second, together, first_posts, second_posts."""
    vocabulary, pairs = Vocabulary.load(checkpoint), PairTable.read(checkpoint)
    found = pairs.together.tocoo()
    # What was cut from one label's partners may be among the other's: then the pair is there the other way around.
    low, high = np.minimum(found.row, found.col), np.maximum(found.row, found.col)
    _, once = np.unique(low.astype(np.int64) * pairs.labels + high, return_index=True)
    once = once[low[once] < high[once]]
    labels = pa.array(vocabulary.labels)
    return pa.table(
        {
            "first": labels.take(pa.array(low[once])),
            "second": labels.take(pa.array(high[once])),
            "together": found.data[once],
            "first_posts": pairs.counts[low[once]],
            "second_posts": pairs.counts[high[once]],
        }
    )


def vector_table(checkpoint: Path) -> pa.Table:
    """The vector of each label's token, in row order: tag, category, vector (fixed-size list of float32).

    Raises:
        BooruError: The labels have no tokens.
    """
    vocabulary = Vocabulary.load(checkpoint)
    vectors = vectors_of(checkpoint, vocabulary)
    flat = pa.array(vectors.ravel())
    return pa.table(
        {
            "tag": vocabulary.labels,
            "category": _categories(vocabulary, np.arange(len(vocabulary))),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )


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


def vectors_of(checkpoint: Path, vocabulary: Vocabulary) -> NDArray[np.float32]:
    """float32 [labels, d_model]: the rows of T5's embedding that are labels'.

    Raises:
        BooruError: The labels have no tokens.
    """
    if read_recipe(checkpoint)[0] is not EncodingName.LABELS:
        raise BooruError(
            "this checkpoint writes labels in pieces, so that they have no vectors. "
            "Train one with `booru run --set tokenized_dataset.encoding=labels`."
        )
    first = vocabulary.first_token_id
    with safe_open(checkpoint / "model.safetensors", "np") as weights:
        rows: NDArray[np.float32] = weights.get_slice("shared.weight")[first : first + len(vocabulary)]
    return rows


def _categories(vocabulary: Vocabulary, rows: NDArray[np.integer]) -> Sequence[str]:
    return [Category.name_of(number) for number in vocabulary.categories[rows].tolist()]
