"""Whether a release's files have come to rest: a copy or a download under way must not be read."""

import time
from dataclasses import dataclass
from typing import Final

from booru_pipeline.release.find import Release
from booru_pipeline.release.fingerprint import marks_of

Look = dict[str, list[int]]  # by path; see `marks_of`
_AT_REST_S: Final = 120


def look_at(release: Release) -> Look:
    """What can be seen of the files without reading them.

    Raises:
        OSError: A file is gone or cannot be read.
    """
    look = {}
    for path in release.paths:
        with path.open("rb"):
            look[str(path)] = marks_of(path)
    return look


@dataclass(frozen=True)
class Rest:
    """How long a release's files have been the same.

    Attributes:
        look: What they look like.
        since: When they were first seen like that, in seconds since 1970.
    """

    look: Look
    since: float


def unsteady(release: Release, look: Look, now: float, before: Rest | None, rest_s: float) -> str | None:
    """Why a release must not be read yet, or None if it may.

    Args:
        release: The release.
        look: What its files look like now.
        now: The present moment, in seconds since 1970.
        before: What the look before knew of them, or None if this is the first.
        rest_s: Seconds for which they are to have been the same.
    """
    empty = [path for path, marks in look.items() if marks[0] == 0]
    if empty:
        return f"{empty[0]} of release {release.key} is empty yet"
    if before is None:
        return f"release {release.key} is new: one more look tells whether its files still grow"
    changed = [path for path, marks in look.items() if before.look.get(path) != marks]
    if changed:
        return f"{changed[0]} of release {release.key} was still being written since the last look"
    if now - before.since < rest_s:
        return f"release {release.key} is read once its files have been the same for {rest_s:g} s"
    return None


def at_rest(look: Look) -> bool:
    """Whether nothing has touched the files for two minutes: what is known of them when there was no look before."""
    return all(time.time_ns() - max(marks[1:3]) > _AT_REST_S * 1e9 for marks in look.values())
