"""Danbooru's tag categories, and the closure of its implications."""

from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum


class Category(IntEnum):
    """The kind of thing that a tag names, numbered as Danbooru and the raw files number it; 2 is not in use."""

    UNCATALOGUED = -1
    GENERAL = 0
    ARTIST = 1
    COPYRIGHT = 3
    CHARACTER = 4
    META = 5

    @classmethod
    def name_of(cls, number: int) -> str:
        """The category's name in lower case; `unknown` for a number that is none."""
        return cls(number).name.lower() if number in cls._value2member_map_ else "unknown"


def closure(tags: Iterable[str], implications: Mapping[str, Collection[str]]) -> set[str]:
    """The tags and everything they imply.

    Args:
        tags: Where to begin.
        implications: What each tag implies directly.
    """
    closed: set[str] = set()
    todo = list(tags)
    while todo:
        tag = todo.pop()
        if tag not in closed:
            closed.add(tag)
            todo.extend(implications.get(tag, ()))
    return closed
