"""Release keys, such as `2021a` or `manual_walfie`, and the order in which releases are read."""

import re
from typing import Final

from booru_pipeline.errors import BooruError

_DATED: Final = re.compile(r"(?P<year>\d{4})(?P<part>[a-z]{0,2})")
_NAMED: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")

# A release's tag table is attached under its key: these names mean something else there.
_TAKEN: Final = {
    *("main", "memory", "system", "temp", "releases"),
    *("files", "tags", "raw_tags", "spellings", "rejects", "passed_over", "accounting"),
}


def parse_key(text: str) -> str | None:
    """The release key that a name carries, in lower case, or None if it carries none.

    `2021A` is `2021a`, and `manual walfie`, the name of a hand-tagged release, is `manual_walfie`.
    """
    key = re.sub(r"\s+", "_", text.strip().lower())
    if _DATED.fullmatch(key) or (_NAMED.fullmatch(key) and key not in _TAKEN):
        return key
    return None


def parse_dated_key(text: str) -> str | None:
    """Like `parse_key`, for a dated release only."""
    key = parse_key(text)
    return key if key and not is_hand_tagged(key) else None


def is_hand_tagged(key: str) -> bool:
    """Whether a key is a name and no date."""
    return _DATED.fullmatch(key) is None


def check_key(text: str) -> str:
    """A release key as a person wrote it, in lower case.

    Raises:
        BooruError: It is not a release key.
    """
    key = parse_key(text)
    if key is None and "@" in text:
        release, _, name = text.partition("@")
        raise BooruError(
            f"{text!r} is a trial and no release. `booru run --release {release} --as {name}` makes a trial."
        )
    if key is None:
        raise BooruError(
            f"{text!r} is not a release key. A key is a year and a letter, such as 2021a, or the name of a "
            "hand-tagged release, such as manual_walfie."
        )
    return key


def release_order(key: str) -> tuple[int, int, str]:
    """Sort key: hand-tagged releases by name, then dated ones by year, and a before b before aa.

    Never the order in which partitions were added. The origin too reads what is hand-tagged first.
    """
    match = _DATED.fullmatch(check_key(key))
    return (int(match["year"]), len(match["part"]), match["part"]) if match else (-1, 0, key)
