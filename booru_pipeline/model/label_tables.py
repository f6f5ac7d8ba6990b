"""What a checkpoint knows of labels as Arrow tables, for other tools: names, pairs, vectors."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from safetensors import safe_open

from booru_pipeline.errors import BooruError
from booru_pipeline.model.pair_table import PairTable
from booru_pipeline.model.predictor import read_recipe
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary


def label_table(vocabulary: Vocabulary, relations: Relations) -> pa.Table:
    """All labels, the most frequent first: tag, category, posts, aliases (list of string)."""
    aliases: dict[str, list[str]] = {}
    for alias, tag in relations.aliases.items():
        aliases.setdefault(tag, []).append(alias)
    rows = vocabulary.by_posts
    labels = [vocabulary.labels[row] for row in rows.tolist()]
    listed = pa.array([sorted(aliases.get(label, [])) for label in labels], pa.list_(pa.string()))
    return pa.table(
        {
            "tag": labels,
            "category": [vocabulary.category_names[row] for row in rows.tolist()],
            "posts": vocabulary.posts[rows],
            "aliases": listed,
        }
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
            "category": vocabulary.category_names,
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )


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
