"""Making a vocabulary: counted labels, their tokens, the tokenizer."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booru_pipeline import sql
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.base_model import BaseModel
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
    import transformers

_STRINGS: Final = pa.list_(pa.string())


def build_vocabulary(
    shards: dict[str, Path],
    base_model: BaseModel,
    final: Path,
    staging: Staging,
    options: VocabularyOptions,
    record: Record,
) -> Vocabulary:
    """Count tags, keep the frequent ones as labels, and give each its text, pieces and token.

    Labels that do not come back from their tokens, or that share them with a more frequent one, are left out; see
    `LabelFaults`.

    Args:
        shards: Folders of training shards by release, in release order; the last is this release's.
        base_model: Whose tokenizer cuts the text; `tiny` has one trained on the labels here.
        final: The folder to publish: labels.parquet and tokenizer/.
        staging: Where it is written first.
        options: Thresholds.
        record: What the vocabulary is made from.

    Raises:
        BooruError: No tag reaches the thresholds or none can be a label, shards are missing, or the base model's
            tokenizer cannot be had.
    """
    with duckdb.connect() as connection:
        counts = sql.table(
            connection,
            "vocabulary",
            "labels",
            shards=shard_files(*shards.values()),
            releases=list(shards),
            **options.model_dump(),
        )
    labels = counts["label"].to_pylist()
    if not labels:
        raise BooruError(
            f"no tag of {', '.join(shards)} has the {options.min_general_posts} posts (general) or "
            f"{options.min_name_posts} posts (names) that a label needs. Lower min_general_posts and min_name_posts."
        )
    from booru_pipeline.vocabulary.faults import find_faults  # builds on this module

    left_out: list[dict[str, Any]] = []
    with staged(final, staging) as draft:
        draft.mkdir()
        while True:  # without a label, pieces may be other ones
            table, tokenizer = tokenize_labels(counts, base_model)
            write_vocabulary(draft, table, tokenizer)
            faults = find_faults(Vocabulary.load(draft))
            if not faults.failures:
                break
            reasons: dict[str, list[str]] = {}
            for reason, names in faults.failures.items():
                for name in names:
                    reasons.setdefault(name, []).append(reason)
            is_faulty = pc.is_in(counts["label"], pa.array(reasons.keys(), pa.string()))
            for row in counts.filter(is_faulty).select(["label", "category", "posts"]).to_pylist():
                left_out.append({**row, "faults": reasons[row["label"]]})
            counts = counts.filter(pc.invert(is_faulty))
            if not len(counts):
                raise BooruError(
                    f"none of the {len(left_out):,} labels of {', '.join(shards)} comes back from its tokens "
                    f"({', '.join(left_out[0]['faults'])}). Choose another --preset."
                )
            shutil.rmtree(draft / TOKENIZER_FOLDER)
        faults.model_copy(update={"left_out": left_out}).write(draft)
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
    texts = [label_text(label) for label in labels]
    tokenizer, first_added = tokenizers.base_tokenizer(base_model, texts)
    # SentencePiece itself, which the base model was trained with: transformers' port cuts a few labels differently.
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizers.sentencepiece_model(tokenizer))
    piece_ids = pieces.encode(texts)
    first = tokenizers.add_label_tokens(tokenizer, labels)
    table = (
        counts.append_column("qualifiers", pa.array([split_qualifiers(label)[1] for label in labels], _STRINGS))
        .append_column("text", pa.array(texts, pa.string()))
        .append_column("piece_ids", pa.array(piece_ids, pa.list_(pa.int32())))
        .append_column("token_id", pa.array(range(first, first + len(labels)), pa.int32()))
    )
    special = json.dumps(asdict(tokenizers.special_tokens(tokenizer, first_added)))
    return table.replace_schema_metadata({SPECIAL_TOKENS: special.encode()}), tokenizer


def write_vocabulary(folder: Path, table: pa.Table, tokenizer: "transformers.PreTrainedTokenizerBase") -> None:
    """Write what `tokenize_labels` gave to a folder: labels.parquet, and tokenizer/ with its SentencePiece model."""
    from booru_pipeline.vocabulary import tokenizer as tokenizers

    pq.write_table(table, folder / LABELS_FILE, compression="zstd")
    tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
    (folder / TOKENIZER_FOLDER / SENTENCEPIECE_FILE).write_bytes(tokenizers.sentencepiece_model(tokenizer))
