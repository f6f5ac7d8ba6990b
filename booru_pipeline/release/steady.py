"""Whether a release's files have come to rest: a copy or a download under way must not be read."""

import time
from collections.abc import Mapping
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


def unsteady(release: Release, look: Look, before: Mapping[str, list[int]] | None) -> str | None:
    """Why a release must not be read yet, or None if it may.

    Args:
        release: The release.
        look: What its files look like now.
        before: What they looked like at the look before, or None if this is the first.
    """
    empty = [path for path, marks in look.items() if marks[0] == 0]
    if empty:
        return f"{empty[0]} of release {release.key} is empty yet"
    if before is None:
        return f"release {release.key} is new: one more look tells whether its files still grow"
    changed = [path for path, marks in look.items() if before.get(path) != marks]
    if changed:
        return f"{changed[0]} of release {release.key} was still being written since the last look"
    return None


def at_rest(look: Look) -> bool:
    """Whether nothing has touched the files for two minutes: what is known of them when there was no look before."""
    return all(time.time_ns() - max(marks[1:3]) > _AT_REST_S * 1e9 for marks in look.values())
