"""Release keys, such as `2021a`, and the order in which releases came out."""

import re
from typing import Final

from booru_pipeline.errors import BooruError

_KEY: Final = re.compile(r"(?P<year>\d{4})(?P<part>[a-z]{0,2})")


def parse_key(text: str) -> str | None:
    """The release key that a folder's or a file's name carries (`2021a`, `2021A`), or None if it is not one."""
    key = text.strip().lower()
    return key if _KEY.fullmatch(key) else None


def check_key(text: str) -> str:
    """A release key as a person wrote it, in lower case.

    Raises:
        BooruError: It is not a release key.
    """
    key = parse_key(text)
    if key is None:
        raise BooruError(f"{text!r} is not a release key. A key is a year and a letter, such as 2021a.")
    return key


def release_order(key: str) -> tuple[int, int, str]:
    """Sort key: by year, then a before b before aa. Never the order in which partitions were added."""
    match = _KEY.fullmatch(check_key(key))
    assert match is not None
    return int(match["year"]), len(match["part"]), match["part"]
