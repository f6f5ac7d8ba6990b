"""The vocabulary: which tags are labels, how often they occur, and their tokens."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline import sql
from booru_pipeline.artifact import Record, Staging, staged
from booru_pipeline.corpus.shards import shard_files
from booru_pipeline.errors import BooruError
from booru_pipeline.labels.encoding import SpecialTokens
from booru_pipeline.labels.options import VocabularyOptions
from booru_pipeline.labels.text import label_text, split_qualifiers
from booru_pipeline.presets import BaseModel

if TYPE_CHECKING:
    import sentencepiece
    import transformers
    from numpy.typing import NDArray

LABELS_FILE: Final = "labels.parquet"
TOKENIZER_FOLDER: Final = "tokenizer"
SENTENCEPIECE_FILE: Final = "spiece.model"

_SPECIAL_TOKENS: Final = b"booru_special_tokens"  # of labels.parquet's schema: JSON, see SpecialTokens


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary, read from its folder or from a checkpoint's.

    Attributes:
        folder: Where `labels.parquet` lies.
        table: One row a label, the most frequent first. Columns: label, category (int8), posts and train_posts (int64:
            posts with the label up to this release, and those of them in the train split), qualifiers (list of
            string: `fate` of `saber_(fate)`), text, piece_ids (list of int32: the text in the base model's own pieces,
            as SentencePiece cuts it), token_id (int32: the label's own token; contiguous, in row order).
    """

    folder: Path
    table: pa.Table

    @classmethod
    def load(cls, folder: Path) -> "Vocabulary":
        """Read a vocabulary.

        Raises:
            BooruError: There is none in that folder.
        """
        path = folder / LABELS_FILE
        if not path.is_file():
            raise BooruError(f"there is no vocabulary at {folder}. Make it with `booru run --to vocabulary`.")
        return cls(folder, pq.read_table(path))

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def labels(self) -> list[str]:
        return list(self.table["label"].to_pylist())

    @cached_property
    def index(self) -> dict[str, int]:
        """Row by label."""
        return {label: row for row, label in enumerate(self.labels)}

    @cached_property
    def categories(self) -> "NDArray[np.int8]":
        return self.table["category"].to_numpy()

    @cached_property
    def posts(self) -> "NDArray[np.int64]":
        return self.table["posts"].to_numpy()

    @cached_property
    def train_posts(self) -> "NDArray[np.int64]":
        return self.table["train_posts"].to_numpy()

    @cached_property
    def piece_ids(self) -> list[list[int]]:
        return list(self.table["piece_ids"].to_pylist())

    @property
    def first_token_id(self) -> int:
        """Row i has token id `first_token_id + i`."""
        return int(self.table["token_id"][0].as_py())

    @cached_property
    def special_tokens(self) -> SpecialTokens:
        """Ids of padding, end of sequence, separator and sentinels.

        Raises:
            BooruError: An older version of this package wrote the vocabulary, and they are not in it.
        """
        content = (self.table.schema.metadata or {}).get(_SPECIAL_TOKENS)
        if content is None:
            raise BooruError(f"{self.folder / LABELS_FILE} is of an older version. Make it again with `booru run`.")
        values = json.loads(content)
        return SpecialTokens(**{**values, "sentinels": tuple(values["sentinels"])})

    @cached_property
    def pieces(self) -> "sentencepiece.SentencePieceProcessor":
        """The SentencePiece model that cut the texts, whose ids are the tokenizer's."""
        import sentencepiece

        return sentencepiece.SentencePieceProcessor(model_file=str(self.tokenizer_folder / SENTENCEPIECE_FILE))

    @property
    def tokenizer_folder(self) -> Path:
        """A Hugging Face tokenizer: the base model's pieces, and a token `<label>` for each label."""
        return self.folder / TOKENIZER_FOLDER


def build_vocabulary(
    shards: dict[str, Path],
    base_model: BaseModel,
    final: Path,
    staging: Staging,
    options: VocabularyOptions,
    record: Record,
) -> Vocabulary:
    """Count tags, keep the frequent ones as labels, and give each its text, pieces and token.

    Args:
        shards: Folders of training shards by release, in release order; the last is this release's.
        base_model: Whose tokenizer cuts the text; `tiny` has one trained on the labels here.
        final: The folder to publish: labels.parquet and tokenizer/.
        staging: Where it is written first.
        options: Thresholds.
        record: What the vocabulary is made from.

    Raises:
        BooruError: No tag reaches the thresholds, shards are missing, or the base model's tokenizer cannot be had.
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
    from booru_pipeline.labels.faults import find_faults  # builds on this module

    with staged(final, staging) as draft:
        draft.mkdir()
        table, tokenizer = tokenize_labels(counts, base_model)
        write_vocabulary(draft, table, tokenizer)
        find_faults(Vocabulary.load(draft)).write(draft)
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

    from booru_pipeline.labels import tokenizer as tokenizers  # imports transformers

    labels = counts["label"].to_pylist()
    texts = [label_text(label) for label in labels]
    tokenizer, first_added = tokenizers.base_tokenizer(base_model, texts)
    # SentencePiece itself, which the base model was trained with: transformers' port cuts a few labels differently.
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizers.sentencepiece_model(tokenizer))
    piece_ids = pieces.encode(texts)
    first = tokenizers.add_label_tokens(tokenizer, labels)
    table = (
        counts.append_column("qualifiers", _strings([split_qualifiers(label)[1] for label in labels]))
        .append_column("text", pa.array(texts, pa.string()))
        .append_column("piece_ids", pa.array(piece_ids, pa.list_(pa.int32())))
        .append_column("token_id", pa.array(range(first, first + len(labels)), pa.int32()))
    )
    special = json.dumps(asdict(tokenizers.special_tokens(tokenizer, first_added)))
    return table.replace_schema_metadata({_SPECIAL_TOKENS: special.encode()}), tokenizer


def write_vocabulary(folder: Path, table: pa.Table, tokenizer: "transformers.PreTrainedTokenizerBase") -> None:
    """Write what `tokenize_labels` gave to a folder: labels.parquet, and tokenizer/ with its SentencePiece model."""
    from booru_pipeline.labels import tokenizer as tokenizers

    pq.write_table(table, folder / LABELS_FILE, compression="zstd")
    tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
    (folder / TOKENIZER_FOLDER / SENTENCEPIECE_FILE).write_bytes(tokenizers.sentencepiece_model(tokenizer))


def _strings(lists: Sequence[Sequence[str]]) -> pa.Array:
    return pa.array([list(item) for item in lists], pa.list_(pa.string()))
