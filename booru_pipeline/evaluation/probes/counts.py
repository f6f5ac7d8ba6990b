"""Counting labels on a split's posts, and choosing what is on enough of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from booru_pipeline.dataset.posts import by_label
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.probing import mean_intervals
from booru_pipeline.evaluation.finding import Count, Finding
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.scorer import Model, Scorer
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import implied_matrix
from booru_pipeline.vocabulary.vocabulary import Vocabulary

LEAST_SUPPORT: Final = 3
"""On fewer test posts nothing is probed, whatever the options."""
FEWEST: Final = 5
"""If fewer than this have the support that is asked for, the best supported are taken instead."""
_ROWS: Final = 64  # of counts of all labels that are in memory at a time


@dataclass(frozen=True)
class Split:
    """A split's posts.

    Attributes:
        posts: Which post has which label, [posts, labels], 1 where it has (see `incidence`).
        keys: int64 [posts], what a post is known by to everything random; their numbers if empty.
    """

    posts: sparse.csr_array
    keys: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if len(self.keys) != self.posts.shape[0]:
            object.__setattr__(self, "keys", np.arange(self.posts.shape[0]))

    @cached_property
    def support(self) -> NDArray[np.int64]:
        """[labels]: how many posts have each label."""
        return np.diff(self._columns.indptr).astype(np.int64)

    def showing(self, *labels: int) -> sparse.csr_array:
        """The posts that have all of these labels, [posts, labels]."""
        rows = [self._rows(label) for label in labels]
        common = rows[0]
        for other in rows[1:]:
            common = np.intersect1d(common, other, assume_unique=True)
        return self.posts[common]

    def counts(self, *labels: int) -> tuple[int, NDArray[np.int64]]:
        """How many posts have all of these labels, and [labels]: how many of them have each label too."""
        showing = self.showing(*labels)
        return showing.shape[0], np.bincount(showing.indices, minlength=showing.shape[1]).astype(np.int64)

    def counts_with_each(self, label: int, others: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """For each of some labels, how many posts have it, a given label and each label, [labels]."""
        showing = self.showing(label)
        for start in range(0, len(others), _ROWS):  # dense rows are large where the labels are many
            having = sparse.csr_array(showing[:, others[start : start + _ROWS]].T)
            yield from (having @ showing).toarray().astype(np.int64)

    @cached_property
    def _columns(self) -> sparse.csc_array:
        return by_label(self.posts)

    def _rows(self, label: int) -> NDArray[np.int64]:
        rows: NDArray[np.int64] = self._columns.indices[self._columns.indptr[label] : self._columns.indptr[label + 1]]
        return rows


@dataclass(frozen=True)
class Exam:
    """Who is asked, and what the answers are held against.

    Attributes:
        methods: Every scorer by name, the model first, in the order of the tables.
        model: The model itself, for its probabilities.
        vocabulary: The labels.
        train: The whole train split.
        test: The whole test split. Validation posts do not count: the probabilities were calibrated on them.
        relations: Aliases and implications.
        options: How much is asked, and how much support it needs.
        t5: What the T5 says alone; None if the model is that.
        questions: Sets of labels at most that calibration asks about, of each number of visible labels.
    """

    methods: Mapping[str, Scorer]
    model: Model
    vocabulary: Vocabulary
    train: Split
    test: Split
    relations: Relations
    options: ProbeOptions
    t5: Model | None = None
    questions: int = 2000

    @cached_property
    def implied(self) -> sparse.csr_array:
        """See `implied_matrix`."""
        return implied_matrix(self.vocabulary, self.relations)

    def closed(self, *labels: int) -> list[int]:
        """The labels and what they imply, which is no question where they are given."""
        return [*labels, *self.implied[list(labels)].indices.tolist()]


class Supported(Finding):
    """How well what was probed is supported."""

    min_support: Count = Field(description="Test posts that were asked for.")
    eligible: Count = Field(description="Candidates on so many test posts.")
    supported: bool = Field(
        description="Whether all that were probed are. If not, too few were eligible, and the best supported were "
        "probed."
    )


def choose(supports: Sequence[int], *, least: int, limit: int) -> tuple[list[int], bool]:
    """The positions of the best supported, the best first.

    Args:
        supports: Test posts of each candidate.
        least: The support asked for.
        limit: How many at most.

    Returns:
        The positions, ties in the candidates' order, and whether all have the support asked for. If fewer than FEWEST
        candidates have, others with LEAST_SUPPORT or more are taken as well.
    """
    order: list[int] = np.argsort(-np.asarray(supports, dtype=np.int64), kind="stable").tolist()
    enough = [place for place in order if supports[place] >= least]
    if len(enough) >= FEWEST:
        return enough[:limit], True
    chosen = [place for place in order if supports[place] >= LEAST_SUPPORT][:limit]
    return chosen, all(supports[place] >= least for place in chosen)


def compare_methods(
    results: Sequence[Any], figures: Sequence[str], exam: Exam
) -> dict[str, dict[str, Interval | None]]:
    """Means of figures with 95 % intervals, by a bootstrap over characters, and how far the model is ahead.

    Args:
        results: Each is about a `character`, and has the figures, each of them by method. Where the model's is None,
            a result is left out of that figure.
        figures: Their names.
        exam: Who was asked.

    Returns:
        For each method the mean of each figure, and under `<figure>_behind` that of the model's less the method's.
    """
    methods = list(exam.methods)
    means: dict[str, list[Interval | None]] = {}
    for name in figures:
        told = [result for result in results if getattr(result, name)[methods[0]] is not None]
        columns = np.array([[getattr(result, name)[method] or 0.0 for result in told] for method in methods])
        groups = [result.character for result in told]
        means[name] = mean_intervals(columns, groups, exam.options)
        means[f"{name}_behind"] = mean_intervals(columns[:1] - columns, groups, exam.options)
    return {method: {name: mean[place] for name, mean in means.items()} for place, method in enumerate(methods)}
