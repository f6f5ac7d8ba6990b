"""Ask a checkpoint what labels imply, and count in the shards how often that is so; draw whole tag sets from it."""

from booru_pipeline.model.suggest.answer import (
    Answer,
    Completion,
    Explanation,
    LeftOut,
    Member,
    Observed,
    Pair,
    Suggestion,
    TagSet,
)
from booru_pipeline.model.suggest.asking import ask, complete, suggest
from booru_pipeline.model.suggest.completing import Completer
from booru_pipeline.model.suggest.filters import Filters

__all__ = [
    "Answer",
    "Completer",
    "Completion",
    "Explanation",
    "Filters",
    "LeftOut",
    "Member",
    "Observed",
    "Pair",
    "Suggestion",
    "TagSet",
    "ask",
    "complete",
    "suggest",
]
