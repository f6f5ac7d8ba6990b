"""The vocabulary: which tags are labels, how often they occur, and their tokens."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline import sql
from booru_pipeline.artifact import Record, staged
from booru_pipeline.corpus.shards import shard_files
from booru_pipeline.errors import BooruError
from booru_pipeline.labels.options import VocabularyOptions
from booru_pipeline.labels.text import label_text
from booru_pipeline.presets import BaseModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS_FILE: Final = "labels.parquet"
TOKENIZER_FOLDER: Final = "tokenizer"


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary, read from its folder or from a checkpoint's.

    Attributes:
        folder: Where `labels.parquet` lies.
        table: One row a label, the most frequent first. Columns: label, category (int8), posts and train_posts (int64:
            posts with the label up to this release, and those of them in the train split), text, piece_ids
            (list of int32: the text in the base model's own pieces), token_id (int32: the label's own token;
            contiguous, in row order).
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

    @property
    def tokenizer_folder(self) -> Path:
        """A Hugging Face tokenizer: the base model's pieces, and a token `<label>` for each label."""
        return self.folder / TOKENIZER_FOLDER


def build_vocabulary(
    shards: dict[str, Path],
    base_model: BaseModel,
    final: Path,
    staging: Path,
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
    from booru_pipeline.labels import tokenizer as tokenizers  # imports transformers

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
    texts = [label_text(label) for label in labels]

    with staged(final, staging) as draft:
        draft.mkdir()
        tokenizer = tokenizers.base_tokenizer(base_model, texts)
        piece_ids = tokenizers.encode_pieces(tokenizer, texts)
        first = tokenizers.add_label_tokens(tokenizer, labels)
        table = (
            counts.append_column("text", pa.array(texts))
            .append_column("piece_ids", pa.array(piece_ids, pa.list_(pa.int32())))
            .append_column("token_id", pa.array(range(first, first + len(labels)), pa.int32()))
        )
        pq.write_table(table, draft / LABELS_FILE, compression="zstd")
        tokenizer.save_pretrained(draft / TOKENIZER_FOLDER)
        record.write(draft)
    return Vocabulary.load(final)
