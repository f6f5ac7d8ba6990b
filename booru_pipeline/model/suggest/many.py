"""Suggestions for many posts at once, at the model's own speed: what the posts show is not counted for each."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from booru_pipeline.model.ranking import best_of
from booru_pipeline.model.suggest.explaining import answer_to, closure_of, refuse_no_numbers, rows_of
from booru_pipeline.model.suggest.filters import Filters, check_top
from booru_pipeline.training_shards.relations import Relations

if TYPE_CHECKING:
    from booru_pipeline.model.predictor import Predictor

_AT_ONCE: Final = 512
SCHEMA: Final = pa.schema(
    [
        ("line", pa.int64()),
        ("tag", pa.string()),
        ("probability", pa.float64()),
        ("category", pa.string()),
        ("implied", pa.bool_()),
    ]
)


def suggest_many(
    predictor: "Predictor",
    relations: Relations,
    given: Sequence[tuple[int, Sequence[str]]],
    top: int,
    filters: Filters,
) -> Iterator[pa.Table]:
    """What the tags of each post imply, most probable first; some hundreds of posts a table, see `SCHEMA`.

    Args:
        predictor: What answers.
        relations: Implications, and deprecated tags, which are not suggested.
        given: Of each post the number of its line and its labels.
        top: Suggestions at most for each.
        filters: Which are wanted; `min_support` is not looked at, since nothing is counted.

    Raises:
        BooruError: There are to be no suggestions, or the checkpoint answers with what is no number.
    """
    check_top(top)
    vocabulary, deprecated = predictor.vocabulary, relations.deprecated
    unwanted = np.array([tag in deprecated or filters.excludes(tag) for tag in vocabulary.labels], dtype=bool)
    unwanted |= ~np.array([filters.takes(name) for name in vocabulary.category_names], dtype=bool)
    for start in range(0, len(given), _AT_ONCE):
        some = given[start : start + _AT_ONCE]
        contexts = [closure_of(tags, relations) for _, tags in some]
        chances = answer_to(contexts, predictor)
        refuse_no_numbers(chances)
        scores = np.where(unwanted, -np.inf, chances)
        implied = np.zeros(scores.shape, dtype=bool)
        for post, (context, (_, tags)) in enumerate(zip(contexts, some, strict=True)):
            implied[post, rows_of(context, vocabulary.index)] = True
            scores[post, rows_of(context if filters.hide_implied else tags, vocabulary.index)] = -np.inf
        best = best_of(scores, top)
        place = np.repeat(np.arange(len(some)), [len(labels) for labels in best])
        label = np.concatenate(best)
        columns = [
            np.array([line for line, _ in some], dtype=np.int64)[place],
            [vocabulary.labels[row] for row in label.tolist()],
            chances[place, label],
            [vocabulary.category_names[row] for row in label.tolist()],
            implied[place, label],
        ]
        yield pa.table([pa.array(column) for column in columns], schema=SCHEMA)
