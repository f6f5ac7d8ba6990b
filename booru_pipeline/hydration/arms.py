"""The arms: the same T5 and the same captions, with one kind of knowledge after another taken away.

An arm is a base model and label texts, both as folders, so that the training program needs to know nothing of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sentencepiece
import torch
from transformers import T5ForConditionalGeneration

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.model.start import base_config, quiet_transformers
from booru_pipeline.ragged import IntArray
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.base_files import bring_base
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.build import tokenize_labels, write_vocabulary
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.text import label_text
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE, Vocabulary

_DIGITS: Final = 4
_CONCEPT: Final = "word_for_a_concept_{}"  # no tag is called so
_ALL: Final = "all"


class Arm(StrEnum):
    """An arm, by what it starts with."""

    PRETRAINED = "pretrained"
    RANDOM = "random"
    PERMUTED = "permuted"
    OPAQUE = "opaque"


CONTROLS: Final = (Arm.RANDOM, Arm.PERMUTED, Arm.OPAQUE)

MEANINGS: Final = {
    Arm.PRETRAINED: "the pre-trained weights, and labels' own text",
    Arm.RANDOM: "the same shape from random weights: labels that share a word still share its row, which means nothing",
    Arm.PERMUTED: "the pre-trained weights, with the rows of the labels' pieces dealt out anew: rows have the same "
    "statistics, and each word has another's",
    Arm.OPAQUE: "the pre-trained weights, and tag_0123 for text: labels neither mean anything nor share a word",
}


def random_base(source: str, folder: Path, seed: int) -> None:
    """Write a T5 with random weights and the configuration of `source`, a folder or a hub name."""
    quiet_transformers()
    torch.manual_seed(seed)
    T5ForConditionalGeneration(base_config(source)).save_pretrained(folder)


def permuted_base(source: str, folder: Path, pieces: Iterable[int], seed: int) -> None:
    """Write the pre-trained T5 with the rows of some pieces permuted among them, none staying in its place.

    Only pieces that texts here are made of change places: among all, frequent words would get rows of rare ones, which
    are other in length, and the arm would differ in more than meaning. In an untied model the input embedding and the
    output layer are permuted alike.

    Args:
        source: The pre-trained T5's folder or hub name.
        folder: Where the new one goes.
        pieces: Ids of the pieces, in any order and as often as one likes.
        seed: Of the permutation.
    """
    quiet_transformers()
    model = T5ForConditionalGeneration.from_pretrained(
        bring_base(source, weights=True), dtype=torch.float32, use_safetensors=True
    )
    if model.lm_head.weight is not model.shared.weight:
        model.config.tie_word_embeddings = False  # what transformers says of every T5 that it loads
    used = np.unique(np.fromiter(pieces, dtype=np.int64))
    used = used[used < model.shared.num_embeddings]  # characters that the base lacks have no row there
    shuffled = np.random.default_rng(seed).permutation(used)
    others = np.roll(shuffled, 1)
    with torch.no_grad():
        for weight in {id(w): w for w in (model.shared.weight, model.lm_head.weight)}.values():
            weight[torch.from_numpy(shuffled)] = weight[torch.from_numpy(others)]
    model.save_pretrained(folder)


def opaque_texts(pieces: sentencepiece.SentencePieceProcessor, labels: int, seed: int) -> list[str]:
    """A text for each of so many labels that says nothing: `tag 0123`, as `tag_0123` reads.

    Numbers are drawn, because labels' rows are in order of age and frequency, and a number in order would tell it. No
    two texts have the same pieces in another order, or the labels' rows would start as one.
    """
    texts: dict[tuple[int, ...], str] = {}  # by the pieces in ascending order
    digits = max(_DIGITS, len(str(2 * labels)))
    while True:
        for number in np.random.default_rng(seed).permutation(10**digits).tolist():
            text = label_text(f"tag_{number:0{digits}d}")
            texts.setdefault(tuple(sorted(pieces.encode(text))), text)
            if len(texts) == labels:
                return list(texts.values())
        digits += 1  # more digits give more numbers, should so many texts collide


@dataclass(frozen=True)
class Words:
    """A vocabulary of all that has a text: first the learned labels, then those held out, then the concepts' words.

    Attributes:
        folder: Where `write_words` wrote it.
        source: int64 [labels], the row of each label (concepts apart) in the release's vocabulary.
        learned: How many labels arms are trained on; these are the first rows.
    """

    folder: Path
    source: IntArray
    learned: int

    @cached_property
    def everything(self) -> Vocabulary:
        """All of them, with the base model's pieces."""
        return Vocabulary.load(self.folder / _ALL)

    @cached_property
    def training(self) -> Vocabulary:
        """The vocabulary that arms are trained with: the first rows, and a tokenizer that has a token for every row."""
        return Vocabulary.load(self.folder)

    @property
    def held_out(self) -> list[str]:
        """The labels that are held out; their rows are the next ones."""
        return self.everything.labels[self.learned : len(self.source)]

    @cached_property
    def rows(self) -> IntArray:
        """int64 [labels]: the row here of each row of the release's vocabulary."""
        return np.argsort(self.source)

    def renumber(self, posts: Posts) -> Posts:
        """Posts over the release's vocabulary as posts over this one; nothing is left out."""
        return replace(posts, rows=self.rows[posts.rows])

    def learnable(self, posts: Posts) -> Posts:
        """The posts without the labels that are held out."""
        return posts.keep(posts.rows < self.learned)

    def concept_rows(self, encoding: EncodingName) -> list[int]:
        """Where the concepts' words are scored.

        Among pieces a word that is a label's whole text is that label; a label's own token says nothing of its text.
        """
        rows, pieces = range(len(self.source), len(self.everything)), self.everything.piece_ids
        return list(rows) if encoding is EncodingName.LABELS else [pieces.index(pieces[row]) for row in rows]


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
    counts = (
        vocabulary.table.select(["label", "category", "posts", "train_posts"]).replace_schema_metadata().take(source)
    )
    no_posts = {"category": int(Category.UNCATALOGUED), "posts": 0, "train_posts": 0}
    extra = [{"label": _CONCEPT.format(name), **no_posts} for name in concepts]
    counts = pa.concat_tables([counts, pa.Table.from_pylist(extra, counts.schema)]).combine_chunks()
    table, tokenizer = tokenize_labels(counts, base)
    folder.mkdir(parents=True, exist_ok=True)
    write_vocabulary(folder, table, tokenizer)
    cutter = Vocabulary.load(folder).pieces
    labels = len(source)
    texts = table["text"].to_pylist()[:labels] if opaque_seed is None else opaque_texts(cutter, labels, opaque_seed)
    texts += list(concepts.values())
    new = {"text": pa.array(texts, pa.string()), "piece_ids": pa.array(cutter.encode(texts), pa.list_(pa.int32()))}
    for name, column in new.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    (folder / _ALL).mkdir()
    pq.write_table(table, folder / _ALL / LABELS_FILE)
    pq.write_table(table.slice(0, learned), folder / LABELS_FILE)
