"""Ask a checkpoint what labels imply, and count in the shards how often that is so."""

from booru_pipeline.model.suggest.answer import Answer, Explanation, LeftOut, Observed, Pair, Suggestion
from booru_pipeline.model.suggest.asking import Asker, Request, ask, suggest
from booru_pipeline.model.suggest.filters import Filters

__all__ = [
    "Answer",
    "Asker",
    "Explanation",
    "Filters",
    "LeftOut",
    "Observed",
    "Pair",
    "Request",
    "Suggestion",
    "ask",
    "suggest",
]
