"""Whole tag sets: one tag after another is drawn from a checkpoint, given ones kept."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.errors import BooruError
from booru_pipeline.model.logistic import summing_to
from booru_pipeline.model.suggest.answer import Member, TagSet
from booru_pipeline.model.suggest.counting import Counter, excluded_by
from booru_pipeline.model.suggest.explaining import refuse_no_numbers
from booru_pipeline.model.suggest.filters import Filters
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import implied_matrix

if TYPE_CHECKING:
    from booru_pipeline.model.predictor import Predictor

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass
class _Growing:
    """A set while tags are drawn: bool [labels], those missing and those barred, more with each tag; those it has."""

    random: np.random.Generator
    missing: Mask
    barred: Mask
    count: int = 0
    rows: list[int] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    is_done: bool = False


class Completer:
    """Draws tag sets from a checkpoint; each step asks it about all of them at once.

    A post is thought of as told tag by tag, in random order. If k are missing, the next one is each label with a k-th
    of its probability. The checkpoint does not know k: its odds are multiplied so that the probabilities sum to k.
    """

    def __init__(self, predictor: "Predictor", relations: Relations, counter: Counter) -> None:
        """Put together a checkpoint, implications and deprecated tags, and the posts: for their sizes, and for what
        excludes each other if the checkpoint has no counts."""
        self._predictor = predictor
        self._labels: list[str] = predictor.vocabulary.labels
        self._categories = predictor.vocabulary.category_names
        self._counter = counter
        self._implied = implied_matrix(predictor.vocabulary, relations)
        self._deprecated = relations.deprecated
        self._excluded: dict[int, Rows] = {}

    def complete(
        self,
        given: Sequence[Sequence[str]],
        seeds: Sequence[int],
        counts: Sequence[int | None],
        *,
        temperature: float = 1.0,
        filters: Filters | None = None,
    ) -> list[TagSet]:
        """Whole tag sets.

        What a tag implies comes along with it. Never drawn are deprecated tags, those that exclude a tag of the set
        (see `exclude_each_other`), those that a pattern leaves out, and what implies one of these.

        Args:
            given: Labels that each set begins with.
            seeds: A number a set, at least 0: the same seed gives the same set.
            counts: How many tags each set is to have, with the given ones and what is implied. None draws it from the
                numbers of labels that posts have, where they are no fewer than are given.
            temperature: Chances are in proportion to probability^(1 / temperature): below 1 sets are more ordinary,
                above 1 odder.
            filters: Patterns that are left out, and categories that tags are drawn from; the rest does not matter.

        Raises:
            BooruError: A count, the temperature or a seed is out of bounds, nothing can be drawn, or the checkpoint
                answers with what is no number.
        """
        if not 0 < temperature < math.inf:
            raise BooruError(f"the temperature is {temperature:g}: it must be a number above 0, such as 0.8.")
        if min(seeds, default=0) < 0:
            raise BooruError(f"the seed is {min(seeds)}: it must be at least 0.")
        wanted = filters or Filters()
        barred = np.array([tag in self._deprecated or wanted.excludes(tag) for tag in self._labels])
        drawable = np.array([wanted.takes(name) for name in self._categories])
        if not (drawable & ~barred).any():
            raise BooruError("no label is left to draw. Loosen --exclude or --category.")
        growing = [self._begin(*one, barred) for one in zip(given, seeds, counts, strict=True)]
        while waiting := [one for one in growing if not one.is_done]:
            contexts = [one.rows for one in waiting]
            scores = self._predictor.scores(contexts)
            answers = self._predictor.to_probabilities(scores, np.array([len(rows) for rows in contexts]))
            refuse_no_numbers(answers)
            for one, probability in zip(waiting, answers, strict=True):
                self._draw(one, probability, drawable, temperature)
        return [
            TagSet(tuple(one.members), one.count, sum(math.log(tag.chance) for tag in one.members), seed)
            for one, seed in zip(growing, seeds, strict=True)
        ]

    def _begin(self, given: Sequence[str], seed: int, count: int | None, barred: Mask) -> _Growing:
        """A set of the given tags and what they imply, which may exclude each other."""
        one = _Growing(np.random.default_rng(seed), np.ones(len(self._labels), dtype=bool), barred.copy())
        rows = [self._predictor.vocabulary.index[tag] for tag in given]
        self._add(one, rows, "given")
        self._add(one, [row for row in self._implied[rows].indices.tolist() if not barred[row]], "implied")
        if count is None:
            sizes, posts = self._sizes
            possible = np.where(sizes >= len(one.rows), posts, 0)
            if not possible.any():
                raise BooruError(f"no post has {len(one.rows):,} tags or more. Say with --count how many it shall be.")
            count = int(one.random.choice(sizes, p=possible / possible.sum()))
        if not len(one.rows) <= count <= len(self._labels):
            raise BooruError(
                f"--count is {count:,}: it must be from {len(one.rows):,}, the given tags with what they imply, to "
                f"{len(self._labels):,}, the labels that the checkpoint knows."
            )
        one.count, one.is_done = count, len(one.rows) == count
        return one

    def _draw(self, one: _Growing, probability: NDArray[np.float64], drawable: Mask, temperature: float) -> None:
        """Add a tag, with what it implies, that is not barred and fits in; or else the set is done."""
        left = one.count - len(one.rows)
        come_along = one.missing + self._implied @ one.missing
        barred = one.barred | (self._implied @ (one.barred & one.missing) > 0)
        fits = one.missing & drawable & ~barred & (come_along <= left) & (probability > 0)
        rows = np.flatnonzero(fits)
        if not len(rows):
            one.is_done = True
            return
        probability = summing_to(left, np.where(one.missing & ~barred, probability, 0.0))
        with np.errstate(divide="ignore", over="ignore"):  # what is next to impossible may become so
            logs = np.log(probability[rows])
            chances = np.exp((logs - logs.max()) / temperature)
        chances /= chances.sum()
        place = int(one.random.choice(len(rows), p=chances))
        row = int(rows[place])
        self._add(one, [row], "drawn", float(probability[row]), float(chances[place]))
        self._add(one, self._implied[[row]].indices.tolist(), "implied")
        one.is_done = len(one.rows) >= one.count

    def _add(
        self, one: _Growing, rows: Iterable[int], origin: str, probability: float = 1.0, chance: float = 1.0
    ) -> None:
        for row in dict.fromkeys(rows):
            if one.missing[row]:
                one.missing[row] = False
                one.barred[self._excluded_by(row)] = True
                one.rows.append(row)
                one.members.append(Member(self._labels[row], self._categories[row], origin, probability, chance))

    def _excluded_by(self, row: int) -> Rows:
        """The labels that one excludes, by the checkpoint's counts or else by the posts."""
        if row not in self._excluded:
            table, tag = self._predictor.table, self._labels[row]
            self._excluded[row] = table.excluded_by(row) if table else excluded_by(self._counter, tag, self._labels)
        return self._excluded[row]

    @cached_property
    def _sizes(self) -> tuple[Rows, Rows]:
        """Numbers of labels that posts have, and how many posts have each."""
        return self._counter.sizes(self._labels)
