"""Asking: from what people typed to answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.errors import BooruError
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.suggest.answer import Answer, Completion, Observed, Suggestion
from booru_pipeline.model.suggest.completing import Completer
from booru_pipeline.model.suggest.counting import Counter, pairs_apart
from booru_pipeline.model.suggest.explaining import answer_to, closure_of, explain, refuse_no_numbers
from booru_pipeline.model.suggest.filters import Filters, check_top
from booru_pipeline.model.suggest.understanding import Question, Reader
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.label_names import LabelNames
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_COMPARED: Final = 30  # of the suggestions, the first: which of them exclude each other


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        tags: What a person typed.
        top: Suggestions at most.
        filters: Which suggestions are wanted.
        explained: Whether each says where it comes from.
    """

    tags: tuple[str, ...]
    top: int = 10
    filters: Filters = field(default_factory=Filters)
    explained: bool = False


class Asker:
    """A checkpoint that can be asked again and again, several questions at once.

    Attributes:
        predictor: The model.
        relations: Aliases, implications and deprecated tags.
        counter: Of the posts that are counted beside it.
        thresholds: Which tags became labels, if it is known.
    """

    def __init__(
        self,
        predictor: Predictor,
        relations: Relations,
        counter: Counter,
        *,
        thresholds: VocabularyOptions | None = None,
    ) -> None:
        """Put together what answers."""
        self.predictor, self.relations, self.counter, self.thresholds = predictor, relations, counter, thresholds

    @cached_property
    def names(self) -> LabelNames:
        """The labels' names and their aliases."""
        return LabelNames(self.predictor.vocabulary, self.relations)

    def understand(self, tags: Sequence[str]) -> Question:
        """Which labels were typed.

        Raises:
            BooruError: Nothing was typed, or nothing of it is a label.
        """
        [question] = self.reader().read([tags])
        if isinstance(question, BooruError):
            raise question
        return question

    def reader(self) -> Reader:
        """What finds the labels in many questions."""
        vocabulary = self.predictor.vocabulary
        return Reader(vocabulary, self.relations, self.counter, self.thresholds, lambda: self.names)

    def ask(self, requests: Sequence[Request]) -> list[Answer | BooruError]:
        """Answer several questions, the model being asked once for all of them.

        It is asked about the given tags and what they imply, which is certain: it has probability 1. What is deprecated
        is never suggested.

        Returns:
            For each request its answer, or why there is none: no label is given, `top` is too low, or the checkpoint
            answers with what is no number.
        """
        understood = [self._understood(request) for request in requests]
        asked = [place for place, question in enumerate(understood) if isinstance(question, Question)]
        contexts = [closure_of(one.given, self.relations) for one in understood if isinstance(one, Question)]
        chances = dict(zip(asked, answer_to(contexts, self.predictor) if contexts else [], strict=True))
        return [
            self._answer(question, request, chances[place]) if isinstance(question, Question) else question
            for place, (question, request) in enumerate(zip(understood, requests, strict=True))
        ]

    def complete(
        self,
        tags: Sequence[str],
        *,
        temperature: float = 1.0,
        seed: int = 0,
        sets: int = 1,
        count: int | None = None,
        filters: Filters | None = None,
    ) -> Completion:
        """Whole tag sets that begin with what a person typed; see `Completer`.

        Args:
            tags: As `understand` takes them.
            temperature: As `Completer.complete` takes it, and so are `count` and `filters`.
            seed: Of the first set; the next ones have the numbers after it.
            sets: How many.
            count: Tags of a set.
            filters: Which tags may be drawn.

        Raises:
            BooruError: As `understand` and `Completer.complete`, or there are to be no sets.
        """
        if sets < 1:
            raise BooruError(f"cannot draw {sets} sets: --sets must be at least 1.")
        wanted = filters or Filters()
        question = self.understand(tags)
        given, seeds = question.given, range(seed, seed + sets)
        found = self._completer.complete([given] * sets, seeds, [count] * sets, temperature=temperature, filters=wanted)
        apart = pairs_apart(self.counter.parts(given))
        idle = wanted.idle(self.predictor.vocabulary.labels)
        return Completion(tuple(found), given, apart, question.asked, question.left_out, idle)

    @cached_property
    def _completer(self) -> Completer:
        return Completer(self.predictor, self.relations, self.counter)

    def _understood(self, request: Request) -> Question | BooruError:
        try:
            check_top(request.top)
            return self.understand(request.tags)
        except BooruError as error:
            return error

    def _answer(self, question: Question, request: Request, chances: NDArray[np.float64]) -> Answer | BooruError:
        """The answer to a question of known labels, whose labels have these chances, [labels]."""
        predictor, relations, counter = self.predictor, self.relations, self.counter
        try:
            refuse_no_numbers(chances)
        except BooruError as error:
            return error
        given = question.given
        parts = counter.parts(given)
        base, posts = parts.largest()
        counts = counter.tags(base) if base else {}
        context = closure_of(given, relations)
        every = _suggestions(chances, predictor.vocabulary, given, context, base, posts, counts)
        wanted, deprecated = request.filters.keeps, relations.deprecated
        found = list(islice((item for item in every if item.tag not in deprecated and wanted(item)), request.top))
        if request.explained and found:
            found = explain(found, given, predictor=predictor, relations=relations, counter=counter)
        compared = [item.tag for item in found[:_COMPARED]]
        exclusive = pairs_apart(counter.parts(compared, base), base) if len(compared) > 1 else []
        return Answer(
            given=given,
            observed_on=base,
            posts=posts,
            suggestions=found,
            apart=sorted(pairs_apart(parts), key=lambda pair: pair.together - pair.expected),
            exclusive=sorted(exclusive, key=lambda pair: (compared.index(pair.second), compared.index(pair.first))),
            mixes=predictor.mixes,
            categories=tuple(Category.name_of(int(number)) for number in np.unique(predictor.vocabulary.categories)),
            asked=question.asked,
            left_out=question.left_out,
            idle=request.filters.idle(predictor.vocabulary.labels),
            deprecated=tuple(tag for tag in given if tag in deprecated),
        )


def _suggestions(
    probability: NDArray[np.float64],
    vocabulary: Vocabulary,
    given: tuple[str, ...],
    context: Sequence[str],
    base: tuple[str, ...],
    posts: int,
    counts: Mapping[str, int],
) -> Iterator[Suggestion]:
    """All labels that were not given, most probable first; of equal ones first the implied, then the more frequent.

    Args:
        probability: [labels], the answer.
        vocabulary: The labels.
        given: What was asked about.
        context: That and what it implies.
        base: The largest part of the given tags that posts have.
        posts: How many have it.
        counts: How many of them have each tag.
    """
    known = set(context)
    implied = np.array([label in known for label in vocabulary.labels])
    for row in np.lexsort((-vocabulary.posts, ~implied, -probability)).tolist():
        tag = vocabulary.labels[row]
        if tag in given:
            continue
        observed = Observed(base, posts, counts.get(tag, 0))
        all_given = observed if len(base) == len(given) else Observed(given, 0, 0)
        yield Suggestion(
            tag=tag,
            probability=float(probability[row]),
            category=vocabulary.category_names[row],
            together=all_given.together,
            given=all_given.posts,
            share=all_given.share or 0.0,
            implied=bool(implied[row]),
            observed=observed,
        )
