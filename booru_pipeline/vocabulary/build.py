"""Making a vocabulary: counted labels, their tokens, the tokenizer."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.counting import TagCounts, count_labels, labels_kept, made_with
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.text import label_text, split_qualifiers
from booru_pipeline.vocabulary.vocabulary import (
    LABELS_FILE,
    SENTENCEPIECE_FILE,
    SPECIAL_TOKENS,
    TOKENIZER_FOLDER,
    Vocabulary,
)

if TYPE_CHECKING:
    import sentencepiece
    import transformers


def build_vocabulary(
    shards: dict[str, Path],
    base_model: BaseModel,
    final: Path,
    staging: Staging,
    options: VocabularyOptions,
    record: Record,
    earlier: Path | None = None,
) -> Vocabulary:
    """Count tags, keep the frequent ones as labels, and give each its text, pieces and token.

    A label keeps its row and token for ever: those of the release before come first, in their order, and then those
    that are new, the most frequent first. Without an earlier vocabulary the result is the same, as if one had been made
    release by release. Other options, another base model or other aliases number the labels anew.

    Labels that do not come back from their tokens, or that share them with one before, are left out; see `LabelFaults`.

    Args:
        shards: Folders of training shards by release, in release order; the last is this release's.
        base_model: Whose tokenizer cuts the text; `tiny` has one trained on the first release's labels here.
        final: The folder to publish: labels.parquet, counts.parquet and tokenizer/. The rows of the one that is
            replaced are kept too.
        staging: Where it is written first.
        options: Thresholds.
        record: What the vocabulary is made from.
        earlier: The vocabulary of the newest earlier release that has one: its rows are kept, and its counts spare
            reading its releases.

    Raises:
        BooruError: No tag reaches the thresholds or none can be a label, shards are missing, or the base model's
            tokenizer cannot be had.
    """
    made = made_with(shards[list(shards)[-1]], base_model, options)
    kept = labels_kept([folder for folder in (earlier, final) if folder is not None], made)
    before = TagCounts.read(earlier) if earlier is not None else None
    if before is not None and before.made_with != made:
        before = None
    counted = count_labels(shards, kept.table if kept else None, before, made, options)
    labels = counted.labels
    if not len(labels):
        raise BooruError(
            f"no tag of {', '.join(shards)} has the {options.min_general_posts} posts (general) or "
            f"{options.min_name_posts} posts (names) that a label needs. Lower min_general_posts and min_name_posts."
        )

    from booru_pipeline.vocabulary.making import extended_vocabulary, first_vocabulary  # build on this module

    reasons: dict[str, list[str]] = {}
    with staged(final, staging) as draft:
        draft.mkdir()
        for start, end in pairwise([*counted.starts, len(labels)]) if kept is None else ():
            if start == end:  # a release of few posts brings no label
                continue
            folder = draft.with_name(f"first {start}")
            reasons |= first_vocabulary(folder, labels.slice(start, end - start), base_model)
            if len(reasons) < end:
                kept = Vocabulary.load(folder)
                break
        if kept is None:
            raise BooruError(
                f"none of the {len(labels):,} labels of {', '.join(shards)} comes back from its tokens "
                f"({', '.join(next(iter(reasons.values())))}). Choose another --preset."
            )
        labels = labels.filter(pc.invert(pc.is_in(labels["label"], pa.array(reasons, pa.string()))))
        faults, more = extended_vocabulary(draft, labels, kept)
        reasons |= more
        left_out = [
            {**row, "faults": reasons[row["label"]]}
            for row in counted.labels.select(["label", "category", "posts"]).to_pylist()
            if row["label"] in reasons
        ]
        faults.model_copy(update={"left_out": left_out}).write(draft)
        counted.counts.write(draft)
        record.write(draft)
    return Vocabulary.load(final)


def tokenize_labels(counts: pa.Table, base_model: BaseModel) -> tuple[pa.Table, "transformers.PreTrainedTokenizerBase"]:
    """Give each label its text, pieces and token.

    Args:
        counts: One row a label, with at least a column `label`.
        base_model: Whose tokenizer cuts the text.

    Returns:
        The table of `Vocabulary`, and the tokenizer with a token a label.

    Raises:
        BooruError: The base model's tokenizer cannot be had.
    """
    import sentencepiece

    from booru_pipeline.vocabulary import tokenizer as tokenizers  # imports transformers

    labels = counts["label"].to_pylist()
    tokenizer, first_added = tokenizers.base_tokenizer(base_model, [label_text(label) for label in labels])
    # SentencePiece itself, which the base model was trained with: transformers' port cuts a few labels differently.
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizers.sentencepiece_model(tokenizer))
    made = label_columns(labels, pieces, tokenizers.add_label_tokens(tokenizer, labels))
    table = counts
    for name in made.column_names:
        table = table.append_column(made.schema.field(name), made[name])
    special = json.dumps(asdict(tokenizers.special_tokens(tokenizer, first_added)))
    return table.replace_schema_metadata({SPECIAL_TOKENS: special.encode()}), tokenizer


def label_columns(labels: Sequence[str], pieces: "sentencepiece.SentencePieceProcessor", first: int) -> pa.Table:
    """What is made of labels, as columns of `Vocabulary.table`; their tokens are numbered from `first`."""
    texts = [label_text(label) for label in labels]
    return pa.table(
        {
            "qualifiers": pa.array([split_qualifiers(label)[1] for label in labels], pa.list_(pa.string())),
            "text": pa.array(texts, pa.string()),
            "piece_ids": pa.array(pieces.encode(texts), pa.list_(pa.int32())),
            "token_id": pa.array(range(first, first + len(labels)), pa.int32()),
        }
    )


def write_vocabulary(folder: Path, table: pa.Table, tokenizer: "transformers.PreTrainedTokenizerBase") -> None:
    """Write what `tokenize_labels` gave to a folder: labels.parquet, and tokenizer/ with its SentencePiece model."""
    from booru_pipeline.vocabulary import tokenizer as tokenizers

    pq.write_table(table, folder / LABELS_FILE, compression="zstd")
    tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
    (folder / TOKENIZER_FOLDER / SENTENCEPIECE_FILE).write_bytes(tokenizers.sentencepiece_model(tokenizer))
