"""Danbooru's tag categories."""

from enum import IntEnum


class Category(IntEnum):
    """What a tag is about, numbered as Danbooru and the raw files number it; 2 is not in use."""

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
