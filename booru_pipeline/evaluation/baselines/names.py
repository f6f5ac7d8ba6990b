"""What the baselines are called in reports, and their order there."""

from typing import Final

POPULARITY: Final = "popularity"
CO_OCCURRENCE: Final = "co-occurrence"
NAIVE_BAYES: Final = "naive Bayes"
ASSOCIATION_RULES: Final = "association rules"
ITEM_KNN: Final = "item-kNN"
EASE: Final = "EASE"
IMPLICATION_CLOSURE: Final = "implication closure"

BASELINES: Final = (
    POPULARITY,
    CO_OCCURRENCE,
    NAIVE_BAYES,
    ASSOCIATION_RULES,
    ITEM_KNN,
    EASE,
    IMPLICATION_CLOSURE,
)
