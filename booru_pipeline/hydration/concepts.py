"""Labels that are known to be humans, animals, robots …, and how well a model that was never told so can say it."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.figures.probing import auc

LEAST: Final = 3  # labels that are and labels that are not, below which a concept is not measured


@dataclass(frozen=True)
class Concepts:
    """Concepts, and labels that are known to fall under them or not.

    Attributes:
        words: The word that names each concept.
        holds: For each label, by concept, whether it holds; a concept that one could argue about is missing.
    """

    words: Mapping[str, str]
    holds: Mapping[str, Mapping[str, bool]]

    def known(self, labels: Collection[str]) -> list[str]:
        """The listed labels that are among these, in the list's order."""
        return [label for label in self.holds if label in labels]


@dataclass(frozen=True)
class ConceptResult:
    """How well one concept is told.

    Attributes:
        auc: None if there are fewer than `LEAST` positives or controls.
        positives: Labels of which it holds.
        controls: Labels of which it does not.
    """

    auc: float | None
    positives: int
    controls: int


@cache
def load_concepts() -> Concepts:
    """The list in `concepts.toml`, read once a process."""
    text = resources.files("booru_pipeline.hydration").joinpath("concepts.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    words = content["words"]
    holds: dict[str, dict[str, bool]] = {}
    for group in content["groups"].values():
        told = {concept: concept in group["is"] for concept in words if concept not in group.get("unsure", [])}
        holds.update(dict.fromkeys(group["labels"], told))
    return Concepts(words, holds)


def tell_apart(concepts: Concepts, labels: list[str], scores: NDArray[np.floating]) -> dict[str, ConceptResult]:
    """AUC of labels of which a concept holds against those of which it does not, by concept.

    The scores, [labels, concepts], say how likely each concept's word is where a label is given alone.
    """
    results = {}
    for column, concept in enumerate(concepts.words):
        told = {
            row: concepts.holds[label][concept] for row, label in enumerate(labels) if concept in concepts.holds[label]
        }
        truth = np.array(list(told.values()), dtype=bool)
        positives, controls = int(truth.sum()), int((~truth).sum())
        enough = min(positives, controls) >= LEAST
        results[concept] = ConceptResult(
            auc(scores[list(told), column], truth) if enough else None, positives, controls
        )
    return results
