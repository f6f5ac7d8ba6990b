"""Finding releases in the raw folder. Nothing there is ever written."""

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError
from booru_pipeline.release.key import check_key, parse_key, release_order

_FILE: Final = re.compile(r"V(?P<key>\w+?)_(?P<table>files|tags)\.tsv(?P<gzip>\.gz)?", re.IGNORECASE)
_FOLDER: Final = re.compile(r"Safebooru (?P<key>.+)", re.IGNORECASE)
_UNFINISHED: Final = (".!qb", ".part", ".crdownload")


@dataclass(frozen=True)
class Release:
    """One complete release: both of its TSV files, plain or gzip.

    Attributes:
        key: Such as `2021a`.
        files: The TSV with a row a picture.
        tags: The TSV with a row a tag of a picture.
    """

    key: str
    files: Path
    tags: Path

    @property
    def shard(self) -> str:
        """What the origin writes in the column `shard`: the release's own name."""
        return f"Safebooru {self.key}"


@dataclass(frozen=True)
class Incomplete:
    """Something that looks like a release and is not whole. `problem` names the thing and the remedy."""

    key: str
    problem: str


@dataclass(frozen=True)
class Found:
    """What the raw folder holds, each list in release order."""

    releases: list[Release]
    incomplete: list[Incomplete]

    @property
    def keys(self) -> list[str]:
        """Keys of complete and incomplete releases, in release order."""
        keys = {release.key for release in self.releases} | {item.key for item in self.incomplete}
        return sorted((key for key in keys if parse_key(key)), key=release_order)


def find_releases(raw: Path) -> Found:
    """Look through the raw folder, at any depth, for release files and folders.

    Raises:
        BooruError: The folder is not there or cannot be read.
    """
    if not raw.is_dir():
        raise BooruError(
            f"there is no folder of releases at {raw}. Make a sample with `booru sample`, "
            "or point --raw or BOORU_RAW at the folder that holds `Safebooru 2021a`."
        )
    tables: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    unfinished: dict[str, Path] = {}
    folders: dict[str, Path] = {}
    bad: list[Incomplete] = []

    for folder, _, names in os.walk(raw, onerror=_refuse):
        here = Path(folder)
        if match := _FOLDER.fullmatch(here.name):
            if key := parse_key(match["key"]):
                folders[key] = here
            elif any(_FILE.match(name) for name in names):
                bad.append(Incomplete(match["key"], f"{here}: {match['key']!r} is not a release key. {_RENAME}"))
                continue
        for name in sorted(names):
            match = _FILE.match(name)
            if match is None:
                continue
            key = parse_key(match["key"])
            if key is None:
                bad.append(Incomplete(match["key"], f"{here / name}: {match['key']!r} is not a release key. {_RENAME}"))
            elif match.end() == len(name):
                tables[key][match["table"].lower()].append(here / name)
            elif name.lower().endswith(_UNFINISHED):
                unfinished[key] = here / name

    releases: list[Release] = []
    for key in sorted({*tables, *unfinished, *folders}, key=release_order):
        problem = _problem(key, tables.get(key, {}), unfinished.get(key), folders.get(key))
        if problem:
            bad.append(Incomplete(key, problem))
        else:
            releases.append(Release(key, files=tables[key]["files"][0], tags=tables[key]["tags"][0]))
    return Found(releases, bad)


def find_release(raw: Path, key: str) -> Release:
    """The complete release of that key.

    Raises:
        BooruError: The key is not one, the release is not there, or it is not whole.
    """
    key = check_key(key)
    found = find_releases(raw)
    for release in found.releases:
        if release.key == key:
            return release
    for item in found.incomplete:
        if item.key == key:
            raise BooruError(item.problem)
    there = ", ".join(release.key for release in found.releases) or "none"
    raise BooruError(f"release {key} is not in {raw} (found: {there}). Put its folder there or name another release.")


_RENAME: Final = "Name the folder `Safebooru 2021a` and its files V2021A_files.tsv and V2021A_tags.tsv (or .tsv.gz)."


def _problem(key: str, tables: dict[str, list[Path]], unfinished: Path | None, folder: Path | None) -> str | None:
    stem = f"V{key.upper()}"
    if unfinished:
        return f"release {key} is still being downloaded: {unfinished}. Wait for it, or remove that file."
    for table in ("files", "tags"):
        paths = tables.get(table, [])
        if len(paths) > 1:
            return f"release {key} has {paths[0]} and {paths[1]}. Remove one of the two."
        if not paths:
            where = folder or next(path.parent for others in tables.values() for path in others)
            return f"release {key} is not whole: {stem}_{table}.tsv (or .tsv.gz) is missing in {where}. Add the file."
    return None


def _refuse(error: OSError) -> None:
    raise BooruError(f"cannot read {error.filename}: {error.strerror}. Make it readable or choose another --raw.")
