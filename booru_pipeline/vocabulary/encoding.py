"""The two encodings of captions behind one interface: a token a label, or the pieces of each label's text.

Either way a label's tokens are looked up, never computed: each label was tokenized once, when the vocabulary was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from booru_pipeline.ragged import IntArray, gather, offsets_of
from booru_pipeline.vocabulary.options import EncodingName

if TYPE_CHECKING:
    from booru_pipeline.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Encoding:
    """Labels to token ids and back.

    Attributes:
        name: Which.
        tokens: int64 [total], the labels' tokens one after another.
        offsets: int64 [labels + 1]; label i has `tokens[offsets[i]:offsets[i + 1]]`.
        separator: The token between two labels of a caption, or None where a token says where a label ends.
    """

    name: EncodingName
    tokens: IntArray
    offsets: IntArray
    separator: int | None

    @classmethod
    def of(cls, vocabulary: "Vocabulary", name: EncodingName) -> "Encoding":
        """An encoding of a vocabulary's labels."""
        if name is EncodingName.LABELS:
            first = vocabulary.first_token_id
            labels = np.arange(len(vocabulary) + 1)
            return cls(name, first + labels[:-1], labels, None)
        pieces = vocabulary.table["piece_ids"].combine_chunks()
        tokens = pieces.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(name, tokens, offsets_of(pieces.value_lengths()), vocabulary.special_tokens.separator)

    @property
    def sizes(self) -> IntArray:
        """int64 [labels]: tokens of each label, without separator."""
        return np.diff(self.offsets)

    @property
    def gap(self) -> int:
        """Tokens between two labels: 1 with a separator, else 0."""
        return int(self.separator is not None)

    def caption_lengths(self, rows: IntArray, offsets: IntArray) -> IntArray:
        """int64 [posts]: tokens of each post's caption, separators included, end of sequence not."""
        ends = offsets_of(self.sizes[rows] + self.gap)
        lengths = ends[offsets[1:]] - ends[offsets[:-1]]
        return np.maximum(lengths - self.gap, 0)

    def encode(self, rows: Sequence[int]) -> list[int]:
        """A caption's token ids: its labels in the order given, with separators, without end of sequence."""
        tokens, offsets = gather(self.tokens, self.offsets, rows)
        if self.separator is not None:
            tokens = np.insert(tokens, offsets[1:-1], self.separator)
        return list(tokens.tolist())

    def decode(self, tokens: Sequence[int]) -> list[int | None]:
        """Labels of a caption as vocabulary rows; None stands for what is no label."""
        if self.separator is None:
            return [self._rows.get((token,)) for token in tokens]
        labels: list[list[int]] = [[]]
        for token in tokens:
            if token == self.separator:
                labels.append([])
            else:
                labels[-1].append(token)
        return [self._rows.get(tuple(label)) for label in labels] if tokens else []

    @cached_property
    def _rows(self) -> dict[tuple[int, ...], int]:
        parts = list(enumerate(np.split(self.tokens, self.offsets[1:-1])))
        return {tuple(part.tolist()): row for row, part in reversed(parts)}  # of equal ones the most frequent
