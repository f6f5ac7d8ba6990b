"""Ask a checkpoint what labels imply, and count in the shards how often that is so; draw whole tag sets from it.

Each name is imported when it is first asked for: who shows the answer of a server need not wait for what makes answers.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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
    from booru_pipeline.model.suggest.asking import Asker, Request, ask, complete, suggest
    from booru_pipeline.model.suggest.completing import Completer
    from booru_pipeline.model.suggest.filters import Filters

__all__ = [
    "Answer",
    "Asker",
    "Completer",
    "Completion",
    "Explanation",
    "Filters",
    "LeftOut",
    "Member",
    "Observed",
    "Pair",
    "Request",
    "Suggestion",
    "TagSet",
    "ask",
    "complete",
    "suggest",
]

_MODULES: Final = {
    "Asker": "asking",
    "Request": "asking",
    "ask": "asking",
    "complete": "asking",
    "suggest": "asking",
    "Completer": "completing",
    "Filters": "filters",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'answer')}"), name)
