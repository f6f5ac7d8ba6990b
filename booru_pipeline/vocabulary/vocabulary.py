"""A vocabulary that is there: labels with their numbers, counts and tokens."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline.errors import BooruError
from booru_pipeline.tags import Category

if TYPE_CHECKING:
    import sentencepiece
    from numpy.typing import NDArray


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the tokens that are no label's.

    Attributes:
        pad: Padding, with which T5's decoder also starts.
        eos: End of sequence.
        separator: Between two labels of a caption of pieces.
        first_added: The first id that the base model's own tokenizer did not have: characters that it lacked, the
            separator, then the labels.
        sentinels: T5's `<extra_id_0>` and on, which stand for hidden spans.
        longest: Tokens that the base model takes, end of sequence included.
    """

    pad: int
    eos: int
    separator: int
    first_added: int
    sentinels: tuple[int, ...]
    longest: int


LABELS_FILE: Final = "labels.parquet"
TOKENIZER_FOLDER: Final = "tokenizer"
SENTENCEPIECE_FILE: Final = "spiece.model"

SPECIAL_TOKENS: Final = b"booru_special_tokens"  # of labels.parquet's schema: JSON, see SpecialTokens


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary, read from its folder or from a checkpoint's.

    Attributes:
        folder: Where `labels.parquet` lies.
        table: One row a label: those of the earlier releases' vocabularies in their rows, then those new with this
            release, the most frequent first. Columns: label, category (int8), posts and train_posts (int64:
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
        return cls(folder, pq.ParquetFile(path).read())  # read_table imports pandas where that is there

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
        return self._numbers("category")

    @cached_property
    def category_names(self) -> list[str]:
        """The name of each label's category, by row."""
        return [Category.name_of(number) for number in self.categories.tolist()]

    @cached_property
    def posts(self) -> "NDArray[np.int64]":
        return self._numbers("posts")

    @cached_property
    def by_posts(self) -> "NDArray[np.int64]":
        """int64 [labels]: rows by how many posts have the label, most first; of equal ones the first."""
        return np.argsort(-self.posts, kind="stable")

    @cached_property
    def train_posts(self) -> "NDArray[np.int64]":
        return self._numbers("train_posts")

    def _numbers(self, column: str) -> "NDArray[Any]":
        """A column without nulls. pyarrow's own way imports pandas where that is there: a third of a second."""
        return np.from_dlpack(self.table[column].combine_chunks())

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
        content = (self.table.schema.metadata or {}).get(SPECIAL_TOKENS)
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
