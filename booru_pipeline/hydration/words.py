"""Everything that has a text here: labels that are learned, labels held out, and the words that name concepts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.hydration.arms import opaque_texts, pieces_of
from booru_pipeline.ragged import IntArray
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.build import tokenize_labels, write_vocabulary
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE, Vocabulary

_CONCEPT: Final = "word_for_a_concept_{}"  # no tag is called so
_ALL: Final = "all"
_COUNTS: Final = ("label", "category", "posts", "train_posts")


@dataclass(frozen=True)
class Words:
    """A vocabulary in which the learned labels come first, then those held out, then the concepts' words.

    Attributes:
        everything: All of them, with the base model's pieces.
        learned: How many labels arms are trained on; these are the first rows.
        held_out: How many labels are held out; the next rows.
        source: int64 [labels], the row of each label (concepts apart) in the release's vocabulary.
    """

    everything: Vocabulary
    learned: int
    held_out: int
    source: IntArray

    @classmethod
    def read(cls, folder: Path, source: IntArray, learned: int) -> "Words":
        """Read what `write_words` wrote with the same arguments."""
        return cls(Vocabulary.load(folder / _ALL), learned, len(source) - learned, source)

    @cached_property
    def training(self) -> Vocabulary:
        """What arms are trained with: the first rows, and a tokenizer that has a token for every row."""
        return Vocabulary.load(self.everything.folder.parent)

    @property
    def first_concept(self) -> int:
        """Row of the first concept's word."""
        return self.learned + self.held_out

    @cached_property
    def rows(self) -> IntArray:
        """int64 [labels]: the row here of each row of the release's vocabulary."""
        rows = np.empty(len(self.source), dtype=np.int64)
        rows[self.source] = np.arange(len(self.source))
        return rows

    def renumber(self, posts: Posts) -> Posts:
        """Posts over the release's vocabulary as posts over this one; nothing is left out."""
        return replace(posts, rows=self.rows[posts.rows])

    def concept_rows(self, encoding: EncodingName) -> list[int]:
        """Where the concepts' words are scored.

        Among pieces a word that is a label's whole text is that label; a label's own token says nothing of its text.
        """
        own = range(self.first_concept, len(self.everything))
        if encoding is EncodingName.LABELS:
            return list(own)
        first: dict[tuple[int, ...], int] = {}
        for row, pieces in enumerate(self.everything.piece_ids):
            first.setdefault(tuple(pieces), row)
        return [first[tuple(self.everything.piece_ids[row])] for row in own]


def write_words(
    vocabulary: Vocabulary,
    source: IntArray,
    learned: int,
    concepts: Mapping[str, str],
    base: BaseModel,
    folder: Path,
    opaque_seed: int | None,
) -> None:
    """Cut all texts with the base model's tokenizer, and write a vocabulary that training reads.

    Args:
        vocabulary: The release's.
        source: Rows of it, those of learned labels first.
        learned: How many these are.
        concepts: Words by concept.
        base: Whose tokenizer cuts.
        folder: Where the vocabulary goes.
        opaque_seed: Of texts that say nothing; None = the labels' own texts.

    Raises:
        BooruError: The tokenizer cannot be had.
    """
    counts = vocabulary.table.select(list(_COUNTS)).replace_schema_metadata().take(source)
    extra = {
        "label": [_CONCEPT.format(name) for name in concepts],
        "category": [int(Category.UNCATALOGUED)] * len(concepts),
        "posts": [0] * len(concepts),
        "train_posts": [0] * len(concepts),
    }
    counts = pa.concat_tables([counts, pa.table(extra, counts.schema)]).combine_chunks()
    table, tokenizer = tokenize_labels(counts, base)
    folder.mkdir(parents=True, exist_ok=True)
    write_vocabulary(folder, table, tokenizer)
    cutter = Vocabulary.load(folder).pieces
    texts = table["text"].to_pylist()[: len(source)]
    if opaque_seed is not None:
        texts = opaque_texts(cutter, len(source), opaque_seed)
    texts += list(concepts.values())
    table = _with_texts(table, texts, cutter.encode(texts))
    (folder / _ALL).mkdir()
    pq.write_table(table, folder / _ALL / LABELS_FILE)
    pq.write_table(table.slice(0, learned), folder / LABELS_FILE)


def _with_texts(table: pa.Table, texts: list[str], pieces: list[list[int]]) -> pa.Table:
    columns = {"text": pa.array(texts, pa.string()), "piece_ids": pa.array(pieces, pa.list_(pa.int32()))}
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def used_pieces(words: Words) -> set[int]:
    """Every piece of every text."""
    return pieces_of(words.everything.piece_ids)
