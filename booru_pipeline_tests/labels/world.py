"""Vocabularies made of a list of labels, with the tiny tokenizer, and posts over them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from booru_pipeline.labels.faults import find_faults
from booru_pipeline.labels.posts import Posts
from booru_pipeline.labels.vocabulary import Vocabulary, tokenize_labels, write_vocabulary
from booru_pipeline.presets import BaseModel

TINY = BaseModel("tiny", None)
KAOMOJI = [">_<", "^_^", ":<", "\\m/", "<o>_<o>", "uu~", "`_`", "|_|", "'_'", "\\(^o^)/"]
CHARACTERS = ["usada_pekora", "hatsune_miku", "don-chan_(usada_pekora)", "saber_(fate)"]
SERIES = ["hololive", "vocaloid", "fate"]
GENERAL = ["rabbit_ears", "carrot", "animal_ears", "twintails", "aqua_hair", "1girl", "solo", "smile", "long_hair"]
LABELS = [*GENERAL, *SERIES, *CHARACTERS, *KAOMOJI]


def counts_of(labels: Sequence[str]) -> pa.Table:
    """What the vocabulary's SQL gives: the first label is the most frequent."""
    kinds = [4 if label in CHARACTERS else 3 if label in SERIES else 0 for label in labels]
    posts = pa.array(range(len(labels) + 99, 99, -1), pa.int64())
    return pa.table(
        {"label": list(labels), "category": pa.array(kinds, pa.int8()), "posts": posts, "train_posts": posts}
    )


def make_vocabulary(folder: Path, labels: Sequence[str] = LABELS, base: BaseModel = TINY) -> Vocabulary:
    folder.mkdir(parents=True, exist_ok=True)
    write_vocabulary(folder, *tokenize_labels(counts_of(labels), base))
    vocabulary = Vocabulary.load(folder)
    find_faults(vocabulary).write(folder)
    return vocabulary


def posts_of(*rows: Sequence[int]) -> Posts:
    """Posts with these labels, each with a key of its own."""
    flat = np.array([row for post in rows for row in post], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(post) for post in rows])]).astype(np.int64)
    return Posts(flat, offsets, 1000 + np.arange(len(rows)))


def random_posts(number: int, labels: int, seed: int = 0, least: int = 2, most: int = 40) -> Posts:
    random = np.random.default_rng(seed)
    sizes = random.integers(least, min(most, labels) + 1, number)
    return posts_of(*(random.permutation(labels)[:size].tolist() for size in sizes))


def sets(posts: Posts) -> list[list[int]]:
    return [part.tolist() for part in np.split(posts.rows, posts.offsets[1:-1])]
