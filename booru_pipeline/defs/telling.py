"""Where the lines go that long work says of itself: to its run's log, which the UI shows and the shell repeats."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from booru_pipeline.progress import told_to

_P = ParamSpec("_P")
_R = TypeVar("_R")


def telling(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have what an asset or a check does said in its run's log, where it takes long."""

    @functools.wraps(function)
    def told(*arguments: _P.args, **named: _P.kwargs) -> _R:
        context: Any = named.get("context") or arguments[0]
        with told_to(context.log.info):
            return function(*arguments, **named)

    return told
