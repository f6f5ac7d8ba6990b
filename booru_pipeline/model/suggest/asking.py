"""Asking: from what a person typed to an answer."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from booru_pipeline.errors import BooruError
from booru_pipeline.model.suggest.answer import Answer, Completion, Observed, Suggestion
from booru_pipeline.model.suggest.completing import Completer
from booru_pipeline.model.suggest.counting import PostCounter, pairs_apart
from booru_pipeline.model.suggest.explaining import answer_to, closure_of, explain, refuse_no_numbers
from booru_pipeline.model.suggest.filters import Filters
from booru_pipeline.model.suggest.understanding import Question, understand
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from booru_pipeline.model.predictor import Predictor

_COMPARED: Final = 30  # of the suggestions, the first: which of them exclude each other


def suggest(
    tags: Sequence[str],
    *,
    checkpoint: Path,
    shards: Sequence[Path],
    relations: Relations,
    top: int = 10,
    categories: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hide_implied: bool = False,
    min_support: int = 0,
    explained: bool = False,
) -> list[Suggestion]:
    """The labels that the given ones imply, most probable first: the suggestions of `ask`, without what is beside them.

    Args:
        tags: What a person typed: labels or aliases, in any case, with spaces or underscores, one by one or as a
            prompt; see `prompt.read_prompt`. What is no label is left out.
        checkpoint: The model's folder.
        shards: Folders of training shards to count in; of a post in several releases the latest listing counts.
        relations: Aliases, implications and deprecated tags.
        top: Suggestions at most.
        categories: Names of the categories that are wanted; all if empty.
        exclude: Shell patterns of tags that are left out.
        hide_implied: Leave out what an implication already says.
        min_support: Leave out labels that fewer posts have together with the given tags.
        explained: Say of each where it comes from.

    Raises:
        BooruError: No label is given, a category is unknown, a number is too low, or there are no shards or no
            checkpoint.
    """
    filters = Filters(tuple(categories), tuple(exclude), hide_implied, min_support)
    answer = ask(
        tags,
        checkpoint=checkpoint,
        shards=shards,
        relations=relations,
        top=top,
        filters=filters,
        explained=explained,
    )
    return answer.suggestions


def ask(
    tags: Sequence[str],
    *,
    checkpoint: Path,
    shards: Sequence[Path],
    relations: Relations,
    top: int = 10,
    filters: Filters | None = None,
    explained: bool = False,
    thresholds: VocabularyOptions | None = None,
) -> Answer:
    """The labels that the given ones imply, and what the shards say of the given ones.

    The checkpoint is asked about the given tags and what they imply. What they imply is certain: it has probability 1.
    What is deprecated is never suggested.

    Args:
        tags: What a person typed: labels or aliases, in any case, with spaces or underscores, one by one or as a
            prompt; see `prompt.read_prompt`. What is no label is left out.
        checkpoint: The model's folder.
        shards: Folders of training shards to count in; of a post in several releases the latest listing counts.
        relations: Aliases, implications and deprecated tags.
        top: Suggestions at most.
        filters: Which suggestions are wanted; all if None.
        explained: Say of each where it comes from.
        thresholds: Which tags became labels of the checkpoint, so that it can be said of others why they are none.

    Raises:
        BooruError: As `suggest`.
    """
    if top < 1:
        raise BooruError(f"cannot give {top} suggestions: --top must be at least 1.")
    from booru_pipeline.model.predictor import Predictor  # imports torch

    files = shard_files(*shards)
    predictor = Predictor.load(checkpoint)
    with duckdb.connect() as connection:
        counter = PostCounter(connection, files)
        question = understand(tags, predictor.vocabulary, relations, counter, thresholds)
        return _answer(
            question, top, filters or Filters(), explained, predictor=predictor, relations=relations, counter=counter
        )


def complete(
    tags: Sequence[str],
    *,
    checkpoint: Path,
    shards: Sequence[Path],
    relations: Relations,
    temperature: float = 1.0,
    seed: int = 0,
    sets: int = 1,
    count: int | None = None,
    filters: Filters | None = None,
    thresholds: VocabularyOptions | None = None,
) -> Completion:
    """Whole tag sets that begin with what a person typed; see `Completer`.

    Args:
        tags, checkpoint, shards, relations, thresholds: As `ask` takes them.
        temperature, count, filters: As `Completer.complete` takes them.
        seed: Of the first set; the next ones have the numbers after it.
        sets: How many.

    Raises:
        BooruError: As `ask` and `Completer.complete`, or there are to be no sets.
    """
    if sets < 1:
        raise BooruError(f"cannot draw {sets} sets: --sets must be at least 1.")
    from booru_pipeline.model.predictor import Predictor  # imports torch

    files, wanted = shard_files(*shards), filters or Filters()
    predictor = Predictor.load(checkpoint)
    with duckdb.connect() as connection:
        counter = PostCounter(connection, files)
        question = understand(tags, predictor.vocabulary, relations, counter, thresholds)
        given, seeds = question.given, range(seed, seed + sets)
        found = Completer(predictor, relations, counter).complete(
            [given] * sets, seeds, [count] * sets, temperature=temperature, filters=wanted
        )
        apart = pairs_apart(counter.parts(given))
    idle = wanted.idle(predictor.vocabulary.labels)
    return Completion(tuple(found), given, apart, question.asked, question.left_out, idle)


def _answer(
    question: Question,
    top: int,
    filters: Filters,
    explained: bool,
    *,
    predictor: "Predictor",
    relations: Relations,
    counter: PostCounter,
) -> Answer:
    """The answer to a question of known labels; see `ask`."""
    given = question.given
    context = closure_of(given, relations)
    [probability] = answer_to([context], predictor)
    refuse_no_numbers(probability)
    parts = counter.parts(given)
    base, posts = parts.largest()
    counts = counter.tags(base) if base else {}
    every = _suggestions(probability, predictor.vocabulary, given, context, base, posts, counts)
    wanted, deprecated = filters.keeps, relations.deprecated
    found = list(islice((item for item in every if item.tag not in deprecated and wanted(item)), top))
    if explained and found:
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
        idle=filters.idle(predictor.vocabulary.labels),
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
            category=Category.name_of(int(vocabulary.categories[row])),
            together=all_given.together,
            given=all_given.posts,
            share=all_given.share or 0.0,
            implied=bool(implied[row]),
            observed=observed,
        )
