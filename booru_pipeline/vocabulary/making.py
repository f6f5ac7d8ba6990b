"""Labels into tokens: those of a first release with a tokenizer made for them, those of later ones added to it."""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sentencepiece

from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.build import label_columns, tokenize_labels, write_vocabulary
from booru_pipeline.vocabulary.extension import extend_tokenizer, tokens_taken, within_others
from booru_pipeline.vocabulary.faults import LabelFaults, find_faults
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE, SENTENCEPIECE_FILE, TOKENIZER_FOLDER, Vocabulary

Reasons = dict[str, list[str]]
"""Faults by label."""

_COUNTED: Final = ["label", "category", "posts", "train_posts"]
_MADE: Final = ["qualifiers", "text", "piece_ids", "token_id"]


def first_vocabulary(folder: Path, counts: pa.Table, base_model: BaseModel) -> Reasons:
    """Make a vocabulary of labels alone, without those that have a fault, which are given with theirs.

    Nothing of use is in the folder if all have.
    """
    reasons: Reasons = {}
    folder.mkdir()
    while len(counts):  # without a label, pieces may be other ones
        write_vocabulary(folder, *tokenize_labels(counts, base_model))
        faults = find_faults(Vocabulary.load(folder))
        if not faults.failures:
            faults.write(folder)
            break
        found = _by_label(faults)
        reasons |= found
        counts = _without(counts, found)
        shutil.rmtree(folder / TOKENIZER_FOLDER)
    return reasons


def extended_vocabulary(folder: Path, counts: pa.Table, kept: Vocabulary) -> tuple[LabelFaults, Reasons]:
    """Write labels.parquet and tokenizer/ of a vocabulary that goes on from another one.

    Args:
        folder: Where to.
        counts: One row a label: those of the other one in their order, as they are counted now, then the new ones.
        kept: The other one.

    Returns:
        Faults of the labels, none of which fails, and what failed of the new ones, which are left out.
    """
    reasons: Reasons = {}
    former = LabelFaults.read(kept.folder)
    while True:
        labels = counts["label"].to_pylist()[len(kept) :]
        alone = folder.with_name("new labels")
        extend_tokenizer(kept.tokenizer_folder, folder / TOKENIZER_FOLDER, alone, kept.labels, labels)
        table = pa.concat_tables([kept.table.select(_MADE), _made(folder, labels, kept.first_token_id + len(kept))])
        for place, name in enumerate(_COUNTED):
            table = table.add_column(place, counts.schema.field(name), counts[name])
        table = table.replace_schema_metadata(kept.table.schema.metadata)
        pq.write_table(table, folder / LABELS_FILE, compression="zstd")
        if not labels:
            return former.model_copy(update={"left_out": []}), reasons
        vocabulary = Vocabulary.load(folder)
        faults = find_faults(vocabulary, len(kept), alone)
        found = _by_label(faults)
        for label in within_others(vocabulary.labels, tokens_taken(alone), len(kept)):
            found.setdefault(label, ["cut_otherwise"])
        if not found:
            return faults.model_copy(update={"ties": [*former.ties, *faults.ties]}), reasons
        reasons |= found
        counts = _without(counts, found)
        shutil.rmtree(folder / TOKENIZER_FOLDER)
        shutil.rmtree(alone)


def _made(folder: Path, labels: Sequence[str], first: int) -> pa.Table:
    """What is made of labels, as columns of the vocabulary's table."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / TOKENIZER_FOLDER / SENTENCEPIECE_FILE))
    return label_columns(labels, pieces, first)


def _by_label(faults: LabelFaults) -> Reasons:
    reasons: Reasons = {}
    for reason, labels in faults.failures.items():
        for label in labels:
            reasons.setdefault(label, []).append(reason)
    return reasons


def _without(counts: pa.Table, labels: Collection[str]) -> pa.Table:
    return counts.filter(pc.invert(pc.is_in(counts["label"], pa.array(labels, pa.string()))))
