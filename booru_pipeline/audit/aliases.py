"""Aliases that are proposed: two names of one category that are spelled alike and keep the same company."""

import re
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.tags import Category
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_LIKE: Final = 0.7  # cosine, see `_likeness`
_LETTERS: Final = 3  # at least: kaomoji differ by their signs alone
_TOGETHER: Final = 0.5  # share of the rarer one's posts: who writes one name seldom writes the other beside it
_QUALIFIER: Final = re.compile(r"_\(([^()]*)\)$")
_BETWEEN: Final = re.compile(r"[\W_]+")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Aliases:
    """Pairs of names, the likeliest first.

    Attributes:
        alias: int64 [pairs], rows; the rarer one.
        tag: int64 [pairs], rows.
        together: int64 [pairs], posts that have both.
        likeness: float32 [pairs], how alike their company is, up to 1.
    """

    alias: Rows
    tag: Rows
    together: Rows
    likeness: NDArray[np.float32]


def propose_aliases(counts: PostCounts, vocabulary: Vocabulary) -> Aliases:
    """Pairs of labels that are the same but for spaces, signs, plurals, the order of words, or the series they name.

    A qualifier that names no series tells two things apart, as in usada_pekora_(1st_costume). The two are
    hardly on the same posts, and what is more frequent beside one than elsewhere is so beside the other.

    Args:
        counts: Of the posts.
        vocabulary: The labels.
    """
    found = []
    for pair in sorted(set(_spelled_alike(vocabulary))):
        alias, tag = sorted(pair, key=lambda row: (counts.labels[row], -row))
        [together] = counts.both(np.array([alias]), np.array([tag])).tolist()
        if counts.labels[alias] and together < _TOGETHER * counts.labels[alias]:
            likeness = _likeness(counts, alias, tag)
            if likeness >= _LIKE:
                found.append((likeness, alias, tag, together))
    found.sort(key=lambda item: (-item[0], *item[1:]))
    whole = np.array([item[1:] for item in found], dtype=np.int64).reshape(-1, 3).T
    return Aliases(whole[0], whole[1], whole[2], np.array([item[0] for item in found], dtype=np.float32))


def _spelled_alike(vocabulary: Vocabulary) -> Iterator[tuple[int, int]]:
    is_series = vocabulary.categories == Category.COPYRIGHT
    series = {_QUALIFIER.sub("", label) for label, it in zip(vocabulary.labels, is_series, strict=True) if it}
    by_spelling = defaultdict(set)
    for row, (label, category) in enumerate(zip(vocabulary.labels, vocabulary.categories.tolist(), strict=True)):
        for spelling in _spellings(label, series):
            by_spelling[category, spelling].add(row)
    for rows in by_spelling.values():
        yield from combinations(sorted(rows), 2)


def _spellings(label: str, series: Set[str]) -> Iterator[str]:
    """What names of one thing may share: their letters, their words in any order, either without their series."""
    qualifier = _QUALIFIER.search(label)
    names_series = qualifier is not None and qualifier[1] in series
    for name in {label, _QUALIFIER.sub("", label) if names_series else label}:
        words = [word for word in _BETWEEN.split(name) if word]
        if len("".join(words)) >= _LETTERS:
            yield "".join(words)
            yield " ".join(sorted(word.removesuffix("s") for word in words))


def _likeness(counts: PostCounts, first: int, second: int) -> float:
    """The cosine of how much more frequent each label is beside one than elsewhere, and beside the other."""
    beside = [counts.together[[row]].toarray()[0] / counts.labels[row] - counts.share for row in (first, second)]
    for one in beside:
        one[[first, second]] = 0
    length = np.linalg.norm(beside[0]) * np.linalg.norm(beside[1])
    return float(beside[0] @ beside[1] / length) if length else 0.0
