"""Walking through the raw folder: links are followed, each folder is seen once, and names need not be text."""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from booru_pipeline.errors import BooruError, printable


@dataclass(frozen=True)
class Folder:
    """A folder and what lies in it, but for other folders; each list is sorted.

    Attributes:
        path: The folder.
        names: Files, and links to files.
        dangling: Links that lead nowhere.
        no_text: Names of files and folders that are not UTF-8. These folders are not walked through.
    """

    path: Path
    names: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    no_text: list[str] = field(default_factory=list)


def walk(top: Path) -> Iterator[Folder]:
    """The folder and all below it, a folder before what is in it, and what links lead to after all else.

    A folder that several paths lead to is given once, under its own path where it has one below the top. A link to a
    folder that holds the top is passed over: it goes in a circle.

    Raises:
        BooruError: A folder cannot be read.
    """
    seen = {identity(folder) for folder in top.resolve().parents}
    folders, links = [top], deque[Path]()
    while folders or links:
        path = folders.pop() if folders else links.popleft()
        if (same := identity(path)) in seen:
            continue
        seen.add(same)
        folder, below = Folder(path), list[Path]()
        for entry in _entries(path):
            if not is_text(entry.name):
                folder.no_text.append(entry.name)
            elif entry.is_symlink():
                if os.path.isdir(entry.path):
                    links.append(path / entry.name)
                else:
                    (folder.names if os.path.exists(entry.path) else folder.dangling).append(entry.name)
            elif entry.is_dir():
                below.append(path / entry.name)
            elif entry.is_file():
                folder.names.append(entry.name)
        folders += reversed(below)
        yield folder


def is_text(name: str) -> bool:
    """Whether a name is UTF-8; Python keeps other bytes as halves of surrogate pairs, which can be written nowhere."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def identity(path: Path) -> tuple[int, int] | Path:
    """What two paths of one file or folder have in common: device and inode; the path if it cannot be looked at."""
    try:
        stat = path.stat()
    except OSError:
        return path
    return stat.st_dev, stat.st_ino


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise BooruError(
            f"cannot read {printable(str(path))}: {error.strerror}. Make it readable or choose another --raw."
        ) from error
