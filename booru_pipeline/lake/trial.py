"""Names of trials: checkpoints beside a release's own, such as `2021d@lr5`.

A trial's key stands where a release's does, so each artifact of a trial lies beside its release's. No release key has
an `@`: whatever lists releases passes trials over.
"""

import re
from typing import Final

from booru_pipeline.errors import BooruError
from booru_pipeline.release.key import parse_dated_key, parse_key

_AT: Final = "@"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def trial_key(release: str, name: str) -> str:
    """The key of a release's trial."""
    return f"{release}{_AT}{name}"


def is_trial(key: str) -> bool:
    """Whether a key is a trial's and not a release's."""
    return _AT in key


def release_part(key: str) -> str:
    """The release of a trial's key; a release's own key is its own."""
    return key.partition(_AT)[0]


def name_part(key: str) -> str:
    """The name in a trial's key."""
    return key.partition(_AT)[2]


def is_kept(key: str) -> bool:
    """Whether a trial is a checkpoint that was promoted once and kept when a later one took its place: it has a number
    where others have a name.
    """
    return name_part(key).isdigit()


def parse_trial(text: str) -> str | None:
    """The trial's key that a text is, in lower case, or None if it is none."""
    release, at, name = text.strip().lower().partition(_AT)
    return trial_key(key, name) if at and (key := parse_key(release)) and _NAME.fullmatch(name) else None


def check_name(text: str) -> str:
    """A trial's name as a person wrote it, in lower case.

    Raises:
        BooruError: It is none, is a number, which only kept checkpoints have, or reads like a release.
    """
    name = text.strip().lower()
    if not _NAME.fullmatch(name) or name.isdigit() or parse_dated_key(name):
        raise BooruError(
            f"{text!r} cannot name a trial. A name has letters, digits, - and _, 40 at most, and is neither digits "
            "alone nor a release's, such as lr5: `booru run --as lr5`."
        )
    return name
