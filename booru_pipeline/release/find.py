"""Finding releases in the raw folder. Nothing there is ever written."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError
from booru_pipeline.release.key import check_key, is_hand_tagged, parse_dated_key, parse_key, release_order
from booru_pipeline.sample.place import sample_remedy

_FILE: Final = re.compile(r"V(?P<key>\w+?)_(?P<table>files|tags)\.tsv(?P<gzip>\.gz)?", re.IGNORECASE)
_FOLDER: Final = re.compile(r"Safebooru (?P<key>.+)", re.IGNORECASE)
_SCRIPT: Final = re.compile(r"(?P<name>[^.].*)\.sql", re.IGNORECASE)
# Of qBittorrent, uTorrent, Firefox and curl, Chrome, Opera, aria2, WinSCP.
_UNFINISHED: Final = (".!qb", ".!ut", ".part", ".crdownload", ".opdownload", ".aria2", ".filepart")


@dataclass(frozen=True)
class Release:
    """One complete release: two TSV files, plain or gzip, or one file of SQL statements (hand-tagged).

    Attributes:
        key: Such as `2021a`, or `manual_walfie` if it is hand-tagged.
        files: Where the rows of `files` are, one a picture.
        tags: Where the rows of `tags` are, one a tag of a picture: the same file if the release is hand-tagged.
    """

    key: str
    files: Path
    tags: Path

    @property
    def hand_tagged(self) -> bool:
        """Whether it is a file of SQL statements."""
        return is_hand_tagged(self.key)

    @property
    def paths(self) -> list[Path]:
        """Its files: two TSV files, or one script."""
        return [self.files] if self.hand_tagged else [self.files, self.tags]

    @property
    def shard(self) -> str:
        """The value of the column `shard`: the release's own name, for dated ones as the origin writes it."""
        return self.key if self.hand_tagged else f"Safebooru {self.key}"


@dataclass(frozen=True)
class Incomplete:
    """Something that looks like a release and is not whole. `problem` names the thing and the remedy."""

    key: str
    problem: str


@dataclass(frozen=True)
class Found:
    """Releases in the raw folder, each list in release order."""

    releases: list[Release]
    incomplete: list[Incomplete]

    @property
    def keys(self) -> list[str]:
        """Keys of complete and incomplete releases, in release order."""
        keys = {release.key for release in self.releases} | {item.key for item in self.incomplete}
        return sorted((key for key in keys if parse_key(key)), key=release_order)


def find_releases(raw: Path) -> Found:
    """Look through the raw folder, at any depth, for release files and folders.

    A `*.sql` file is a hand-tagged release. Its key is the folder's name if the folder holds nothing else of a release
    (`manual walfie/walfie.sql` is `manual_walfie`), and the file's own name otherwise (`walfie`).

    Raises:
        BooruError: The folder is not there or cannot be read.
    """
    if not raw.is_dir():
        raise BooruError(
            f"there is no folder of releases at {raw}. Point --raw or BOORU_RAW at the folder that holds "
            f"`Safebooru 2021a`. {sample_remedy()}"
        )
    seen = _Seen()
    for folder, _, names in os.walk(raw, onerror=_refuse):
        here = Path(folder)
        if match := _FOLDER.fullmatch(here.name):
            if key := parse_dated_key(match["key"]):
                seen.folders[key] = here
            elif any(_FILE.match(name) for name in names):
                seen.bad.append(Incomplete(match["key"], f"{here}: {match['key']!r} is not a release key. {_RENAME}"))
                continue
        for name in sorted(names):
            if match := _FILE.match(name):
                _see_table(seen, here / name, match)
            elif match := _SCRIPT.match(name):
                _see_script(seen, here / name, match, _script_key(here, names, match["name"], top=here == raw))
            elif name.lower().endswith(_UNFINISHED):
                # Browsers name a download as they please until it is there.
                seen.nameless[here] = here / name
    releases: list[Release] = []
    for key in sorted({*seen.tables, *seen.scripts, *seen.unfinished, *seen.folders}, key=release_order):
        if problem := _problem(seen, key):
            seen.bad.append(Incomplete(key, problem))
        elif is_hand_tagged(key):
            releases.append(Release(key, files=seen.scripts[key][0], tags=seen.scripts[key][0]))
        else:
            releases.append(Release(key, files=seen.tables[key]["files"][0], tags=seen.tables[key]["tags"][0]))
    return Found(releases, seen.bad)


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


@dataclass
class _Seen:
    """Findings of the walk, by key; unfinished downloads without a key by folder."""

    tables: dict[str, dict[str, list[Path]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    scripts: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    unfinished: dict[str, Path] = field(default_factory=dict)
    nameless: dict[Path, Path] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    bad: list[Incomplete] = field(default_factory=list)


def _see_table(seen: _Seen, path: Path, match: re.Match[str]) -> None:
    key = parse_dated_key(match["key"])
    if key is None:
        seen.bad.append(Incomplete(match["key"], f"{path}: {match['key']!r} is not a release key. {_RENAME}"))
    elif match.end() == len(path.name):
        seen.tables[key][match["table"].lower()].append(path)
    elif path.name.lower().endswith(_UNFINISHED):
        seen.unfinished[key] = path


def _see_script(seen: _Seen, path: Path, match: re.Match[str], key: str | None) -> None:
    whole = match.end() == len(path.name)
    if not whole and not path.name.lower().endswith(_UNFINISHED):
        return  # walfie.sql.bak, walfie.sqlite
    if key is None:
        problem = f"{path}: {match['name']!r} cannot be a release key. Give the file a name such as manual_walfie.sql."
        seen.bad.append(Incomplete(path.name, problem))
    elif whole:
        seen.scripts[key].append(path)
    else:
        seen.unfinished[key] = path


def _script_key(folder: Path, names: Sequence[str], name: str, *, top: bool) -> str | None:
    alone = not top and not _FOLDER.fullmatch(folder.name) and not any(_FILE.match(other) for other in names)
    for text in [folder.name, name] if alone else [name]:
        key = parse_key(text)
        if key and is_hand_tagged(key):
            return key
    return None


def _problem(seen: _Seen, key: str) -> str | None:
    if unfinished := seen.unfinished.get(key) or _beside(seen, key):
        return f"release {key} is still being downloaded: {unfinished}. Wait for it, or remove that file."
    if is_hand_tagged(key):
        scripts = seen.scripts[key]
        several = len(scripts) > 1
        return f"release {key} has {scripts[0]} and {scripts[1]}. Join them into one file." if several else None
    tables = seen.tables.get(key, {})
    for table in ("files", "tags"):
        paths = tables.get(table, [])
        if len(paths) > 1:
            return f"release {key} has {paths[0]} and {paths[1]}. Remove one of the two."
        if not paths:
            where = seen.folders.get(key) or next(path.parent for others in tables.values() for path in others)
            stem = f"V{key.upper()}"
            return f"release {key} is not whole: {stem}_{table}.tsv (or .tsv.gz) is missing in {where}. Add the file."
    return None


def _beside(seen: _Seen, key: str) -> Path | None:
    """An unfinished download in a folder of the release that does not say what it is going to be."""
    paths = [*seen.scripts.get(key, []), *(path for paths in seen.tables.get(key, {}).values() for path in paths)]
    folders = {path.parent for path in paths} | ({seen.folders[key]} if key in seen.folders else set())
    return next((seen.nameless[folder] for folder in sorted(folders) if folder in seen.nameless), None)


def _refuse(error: OSError) -> None:
    raise BooruError(f"cannot read {error.filename}: {error.strerror}. Make it readable or choose another --raw.")
