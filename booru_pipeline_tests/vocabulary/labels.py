"""Vocabularies made of a list of labels, with the tiny tokenizer."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.build import tokenize_labels, write_vocabulary
from booru_pipeline.vocabulary.faults import find_faults
from booru_pipeline.vocabulary.vocabulary import Vocabulary

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
