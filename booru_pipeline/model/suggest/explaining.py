"""Where suggestions come from: the T5's own view, and which given tag speaks for each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.errors import BooruError
from booru_pipeline.model.pairs import wilson_bounds
from booru_pipeline.model.suggest.answer import Explanation, Observed, Suggestion
from booru_pipeline.model.suggest.counting import Counter
from booru_pipeline.training_shards.relations import Relations

if TYPE_CHECKING:
    from booru_pipeline.model.predictor import Predictor

_AT_ONCE: Final = 30  # suggestions that are counted in a pass

Floats = NDArray[np.float64]


def explain(
    suggestions: Sequence[Suggestion],
    given: Sequence[str],
    *,
    predictor: "Predictor",
    relations: Relations,
    counter: Counter,
) -> list[Suggestion]:
    """The same suggestions, each with its explanation.

    Args:
        suggestions: What was suggested.
        given: Canonical tags that were asked about.
        predictor: The checkpoint.
        relations: Their implications.
        counter: Of the shards.
    """
    index = predictor.vocabulary.index
    contexts = [rows_of(closure_of(given, relations), index), rows_of(given, index)]
    knowing, unknowing = predictor.t5.probabilities(contexts)
    strongest = _strongest([item.tag for item in suggestions], given, counter)
    without = {} if predictor.is_slow or len(given) < 2 else _without(given, predictor, relations)
    explained = []
    for item in suggestions:
        row = index[item.tag]
        left_out = {tag: float(probability[row]) for tag, probability in without.items()}
        weakest = min(left_out, key=lambda tag: left_out[tag], default=None)
        if weakest is not None and left_out[weakest] >= item.probability:
            weakest = None
        explanation = Explanation(
            t5=float((unknowing if item.implied else knowing)[row]),
            strongest=strongest[item.tag],
            without=weakest,
            probability_without=None if weakest is None else left_out[weakest],
        )
        explained.append(replace(item, explanation=explanation))
    return explained


def closure_of(given: Sequence[str], relations: Relations) -> list[str]:
    """The given tags and what they imply, by name: who gives them in another order asks the same."""
    return sorted(relations.closure(given))


def rows_of(tags: Sequence[str], index: Mapping[str, int]) -> list[int]:
    """Vocabulary rows of those of the tags that are labels, in their order."""
    return [index[tag] for tag in tags if tag in index]


def answer_to(contexts: Sequence[Sequence[str]], predictor: "Predictor") -> Floats:
    """The answer, [contexts, labels]: 1 for what is in the context, for it was given or is implied.

    Args:
        contexts: Tags, closed under the implications.
        predictor: The checkpoint.
    """
    rows = [rows_of(tags, predictor.vocabulary.index) for tags in contexts]
    probability = np.array(predictor.probabilities(rows), dtype=np.float64)
    for context, visible in enumerate(rows):
        probability[context, visible] = 1.0
    return probability


def refuse_no_numbers(answer: Floats) -> None:
    """Raise a BooruError if there is one in an answer."""
    if not np.isfinite(answer).all():
        raise BooruError("the checkpoint answers with what is no number. Remove it and make it again with `booru run`.")


def _without(given: Sequence[str], predictor: "Predictor", relations: Relations) -> dict[str, Floats]:
    """The answer when one of the given tags is left out, by that tag."""
    contexts = [closure_of([tag for tag in given if tag != left_out], relations) for left_out in given]
    return dict(zip(given, answer_to(contexts, predictor), strict=True))


def _strongest(labels: Sequence[str], given: Sequence[str], counter: Counter) -> dict[str, Observed | None]:
    """Of each label the given tag that speaks most for it."""
    found: dict[str, Observed | None] = {}
    for start in range(0, len(labels), _AT_ONCE):
        chunk = labels[start : start + _AT_ONCE]
        together = counter.parts([*given, *chunk]).together()
        for column, label in enumerate(chunk, start=len(given)):
            seen = [
                Observed((tag,), int(together[row, row]), int(together[row, column]))
                for row, tag in enumerate(given)
                if together[row, row]
            ]
            found[label] = max(seen, key=lambda item: float(wilson_bounds(item.together, item.posts)[0]), default=None)
    return found
