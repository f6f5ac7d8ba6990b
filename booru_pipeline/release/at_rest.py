"""Whether a release's files are stable: a copy or a download under way must not be read."""

import time
from dataclasses import dataclass
from typing import Final

from booru_pipeline.release.find import Release
from booru_pipeline.release.fingerprint import marks_of_release
from booru_pipeline.release.layout import Layout

Look = dict[str, list[int]]  # one scan of the files, by path; see `marks_of`
_AT_REST_S: Final = 120


def look_at(release: Release) -> Look:
    """Scan the files without reading them; a folder of captions as one.

    Raises:
        OSError: A file is gone or cannot be read.
    """
    for path in release.paths if release.layout is not Layout.CAPTIONS else ():
        with path.open("rb"):
            pass  # it can be read
    return {str(path): marks for path, marks in marks_of_release(release).items()}


@dataclass(frozen=True)
class Rest:
    """How long a release's files have been stable. The sensor's cursor keeps it as JSON, by these names.

    Attributes:
        look: The scan that found them so.
        since: When they were first found so, in seconds since 1970.
    """

    look: Look
    since: float


def unsteady(release: Release, look: Look, now: float, before: Rest | None, rest_s: float) -> str | None:
    """Why a release must not be read yet, or None if it may.

    Args:
        release: The release.
        look: The present scan of its files.
        now: The present moment, in seconds since 1970.
        before: The state after the scan before, or None if this is the first.
        rest_s: Seconds for which they are to have been stable.
    """
    empty = [path for path, marks in look.items() if marks[0] == 0]
    if empty:
        return f"{empty[0]} of release {release.key} is empty yet"
    if before is None:
        return f"release {release.key} is new: the next scan tells whether its files still grow"
    changed = [path for path, marks in look.items() if before.look.get(path) != marks]
    if changed:
        return f"{changed[0]} of release {release.key} was still being written since the last look"
    if now - before.since < rest_s:
        return f"release {release.key} is read once its files have been the same for {rest_s:g} s"
    return None


def at_rest(look: Look) -> bool:
    """Whether nothing has touched the files for two minutes: all that a first scan can tell."""
    return all(time.time_ns() - max(marks[1:3]) > _AT_REST_S * 1e9 for marks in look.values())
