"""Hashes of a release's bytes, without reading them again when nothing touched the files."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from booru_pipeline.hashing import fingerprint, sha256_of
from booru_pipeline.release.find import Release
from booru_pipeline.release.layout import Layout


def release_fingerprint(release: Release, cache: Path, *, reread: bool = False) -> str:
    """A hash of the files' names and contents (16 hex digits).

    Args:
        release: A complete release.
        cache: A JSON file of hashes by path, size, times and inode. A file is read only if one of these changed; the
            change time is among them, which no program can set back.
        reread: Read the files all the same: a disk can change bytes without a change of times.
    """
    known = {} if reread else _read_cache(cache)
    hashes: dict[str, str] = {}
    entries: dict[str, list[object]] = {}
    for path, marks in marks_of_release(release).items():
        hashes[path.name] = _known_hash(known, path, marks) or _hash_of(release, path)
        entries[str(path.resolve())] = [*marks, hashes[path.name]]
    if {**known, **entries} != known:
        _write_cache(cache, {**_read_cache(cache), **entries})
    return fingerprint(release.key, hashes)


def is_known(release: Release, cache: Path) -> bool:
    """Whether the fingerprint can be given without reading the files."""
    known = _read_cache(cache)
    return all(_known_hash(known, path, marks) is not None for path, marks in marks_of_release(release).items())


def marks_of_release(release: Release) -> dict[Path, list[int]]:
    """Figures that change when a release does, see `marks_of`: of each file, or of the whole folder of captions.

    There may be a hundred thousand captions: of all together, size in bytes, the latest of the times, and 60 bits of a
    hash of all their names and figures.

    Raises:
        OSError: A file is gone.
    """
    if release.layout is not Layout.CAPTIONS:
        return {path: marks_of(path) for path in release.paths}
    all_marks = [marks_of(path) for path in release.paths]
    names = [path.relative_to(release.files).as_posix() for path in release.paths]
    sizes, written, changed, _ = zip(*all_marks, strict=True)
    both = list(zip(names, all_marks, strict=True))
    return {release.files: [sum(sizes), max(written), max(changed), int(fingerprint(both), 16) >> 4]}


def _hash_of(release: Release, path: Path) -> str:
    """The SHA-256 of a file, or of the names and bytes of all captions."""
    if release.layout is not Layout.CAPTIONS:
        return sha256_of(path)
    both = hashlib.sha256()
    for caption in release.paths:
        both.update(f"{caption.relative_to(path).as_posix()}\0{sha256_of(caption)}\n".encode())
    return both.hexdigest()


def marks_of(path: Path) -> list[int]:
    """Figures that change when a file does: size in bytes, time of the last write and of the last change, inode."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _known_hash(known: Mapping[str, list[object]], path: Path, marks: list[int]) -> str | None:
    entry = known.get(str(path.resolve()))
    return str(entry[-1]) if entry and entry[:-1] == marks else None


def _read_cache(cache: Path) -> dict[str, list[object]]:
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a cache: without it, the files are read
        return {}
    return known if isinstance(known, dict) else {}


def _write_cache(cache: Path, known: dict[str, list[object]]) -> None:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache.parent, delete=False, encoding="utf-8") as file:
            json.dump(known, file, indent=0)
        os.replace(file.name, cache)
    except OSError:
        pass  # the artifacts' own writing says what is wrong with the home
