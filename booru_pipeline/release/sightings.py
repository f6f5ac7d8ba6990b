"""What in the raw folder looks like a part of a release, and what is wrong with it.

A kind of file is a pattern of its name in `_PATTERNS` and what is noted of such a file.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from booru_pipeline.errors import printable
from booru_pipeline.release.key import is_hand_tagged, parse_dated_key, parse_key
from booru_pipeline.release.layout import Layout
from booru_pipeline.release.post_files import are_tags, caption_names, folder_of_captions, has_pictures, holds_posts
from booru_pipeline.release.walk import Folder, identity

_RELEASE_FOLDER: Final = re.compile(r"Safebooru (?P<key>.+)", re.IGNORECASE)
# One file in one of these compressions is read, see `content.open_raw`.
_LOOKED_AT: Final = 20  # texts of a folder without pictures
_COMPRESSED: Final = r"\.(?:gz|gzip|zst|zstd|bz2|xz|zip)"
_TABLE: Final = re.compile(rf"V(?P<key>\w+?)_(?P<table>files|tags)\.tsv(?:{_COMPRESSED})?", re.IGNORECASE)
# The author's merged sets.
_MERGED: Final = re.compile(rf"BC_(?:(?P<key>\w+?)_)?(?P<table>posts|tags)\.tsv(?:{_COMPRESSED})?", re.IGNORECASE)
_JSON: Final = re.compile(rf"(?P<name>[^.].*?)\.(?P<form>jsonl|ndjson|json)(?:{_COMPRESSED})?", re.IGNORECASE)
_PARQUET: Final = re.compile(r"(?P<name>[^.].*)\.parquet", re.IGNORECASE)
_SCRIPT: Final = re.compile(r"(?P<name>[^.].*)\.sql", re.IGNORECASE)
# Archives, whole or in parts, which are not unpacked here.
_ARCHIVE: Final = rf"(?:\.tar)?(?:{_COMPRESSED}|\.(?:7z|rar|tar|tgz|tbz2?|txz|tzst|lz4|lzma|br|z))(?:\.\d+)?"
_PACKED: Final = re.compile(
    rf"(?:Safebooru (?P<folder>\w+)|V(?P<key>\w+?)(?:_(?P<table>files|tags))?(?:\.tsv)?|(?P<script>[^.].*)\.sql"
    rf"|(?P<posts>[^.].*)\.(?:jsonl?|ndjson|parquet))(?:\.part\d+)?{_ARCHIVE}",
    re.IGNORECASE,
)
# Of qBittorrent, uTorrent, Firefox and curl, Chrome, Opera, aria2, WinSCP.
_UNFINISHED: Final = (".!qb", ".!ut", ".part", ".crdownload", ".opdownload", ".aria2", ".filepart")

_TITLES: Final = {
    Layout.TSV: "TSV files",
    Layout.SCRIPT: "SQL statements",
    Layout.JSON_LINES: "JSON",
    Layout.PARQUET: "Parquet",
    Layout.CAPTIONS: "captions",
}
_NAME_IT: Final = "Put the file into a folder with a name such as danbooru_2021."
_NAME_FOLDER: Final = "Give it a name of letters, digits, _ and -, such as danbooru_2021."
_RENAME: Final = "Name the folder `Safebooru 2021a` and its files V2021A_files.tsv and V2021A_tags.tsv (or .tsv.gz)."


@dataclass
class Sightings:
    """Findings of a walk, by key; unfinished downloads without a key by folder.

    Attributes:
        tables: TSV files by table.
        scripts: Files of SQL statements.
        posts: Files of posts by layout; of captions, their folder.
        captions: Caption files by the folder that is the release, of any name.
        packed: Archives.
        dangling: Links that lead nowhere.
        unfinished: A file whose download has not ended.
        nameless: Such a file whose name does not say what it is going to be.
        folders: The folder that is named as a release is.
        bad: What belongs to no release that can be read: what it is called here, and the problem.
    """

    tables: dict[str, dict[str, list[Path]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    scripts: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    posts: dict[str, dict[Layout, list[Path]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    captions: dict[Path, list[Path]] = field(default_factory=dict)
    packed: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    dangling: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    unfinished: dict[str, Path] = field(default_factory=dict)
    nameless: dict[Path, Path] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    bad: list[tuple[str, str]] = field(default_factory=list)
    _top: Path = Path()
    _pictures: set[Path] = field(default_factory=set)  # folders with captions that hold pictures

    @property
    def keys(self) -> set[str]:
        """Keys of releases of which there is anything."""
        return {
            *(*self.tables, *self.scripts, *self.posts),
            *(*self.packed, *self.dangling, *self.unfinished, *self.folders),
        }

    def layouts(self, key: str) -> dict[Layout, Path]:
        """The layouts that a release has files of, each with its first file, or the folder of captions."""
        found = {layout: paths[0] for layout, paths in self.posts.get(key, {}).items()}
        if scripts := self.scripts.get(key):
            found[Layout.SCRIPT] = scripts[0]
        if tables := self.tables.get(key):
            found[Layout.TSV] = next(iter(tables.values()))[0]
        return found

    def is_addition(self, key: str) -> bool:
        """Whether it is a hand-tagged release, or is going to be."""
        return is_hand_tagged(key) and not {*self.layouts(key)} - {Layout.SCRIPT}

    def look(self, folder: Folder, *, top: bool) -> None:
        """Note what of releases is in a folder, which may be the raw folder itself."""
        here = folder.path
        if top:
            self._top = here
        if folder.no_text:
            first, *others = folder.no_text
            more = f" (and {len(others)} more beside it)" if others else ""
            problem = f"{here / first}{more}: the name is not UTF-8, so nothing of it is read. Rename it."
            self.bad.append((first, problem))
        if match := _RELEASE_FOLDER.fullmatch(here.name):
            if key := parse_dated_key(match["key"]):
                self.folders[key] = here
            elif any(_TABLE.match(name) for name in folder.names):
                self._no_key(here, match["key"])
                return
        for name in folder.names:
            for pattern, see in _PATTERNS:
                if match := pattern.match(name):
                    whole = match.end() == len(name)
                    if whole or name.lower().endswith(_UNFINISHED):
                        see(self, _File(here / name, folder, match, whole=whole, top=top))
                        break
            else:
                if name.lower().endswith(_UNFINISHED):
                    # Browsers name a download as they please until it is there.
                    self.nameless[here] = here / name
        self._see_captions(folder)
        for name in folder.dangling:
            self._see_dangling(here / name, folder, top=top)

    def end(self) -> None:
        """The walk is over: what lies in folders with something else of a release is no captions."""
        others = [*self.packed.values(), *self.scripts.values(), *self.dangling.values()]
        others += [*map(_all_of, self.tables.values()), *map(_all_of, self.posts.values())]
        taken = {folder for paths in others for path in paths for folder in path.parents}
        taken |= {folder for path in self.unfinished.values() for folder in path.parents}
        for root, paths in self.captions.items():
            if root in taken:
                continue
            if key := _folder_key(root.name):
                # Of a release that comes as tables, some notes are no captions.
                if not _RELEASE_FOLDER.fullmatch(root.name) or any(path.parent in self._pictures for path in paths):
                    self.posts[key][Layout.CAPTIONS].append(root)
            elif any(path.parent in self._pictures for path in paths):
                self.bad.append((root.name, f"{root} holds captions, and its name is no release key. {_NAME_FOLDER}"))

    def problem(self, key: str) -> str | None:
        """Why a release is not whole, with the remedy; None if it is."""
        if unfinished := self.unfinished.get(key) or self._beside(key):
            return f"release {key} is still being downloaded: {unfinished}. Wait for it, or remove that file."
        layouts = self.layouts(key)
        if len(layouts) > 1:
            both = " and ".join(f"{path} ({_TITLES[layout]})" for layout, path in list(layouts.items())[:2])
            return f"release {key} has {both}, which are two layouts. Move one of them to a folder of its own."
        if scripts := self.scripts.get(key, []):
            several = len(scripts) > 1
            return f"release {key} has {scripts[0]} and {scripts[1]}. Join them into one file." if several else None
        if posts := self.posts.get(key):
            return _problem_of_posts(key, *posts.items())
        tables = self.tables.get(key, {})
        for table in ("files", "tags"):
            paths = tables.get(table, [])
            if len(paths) > 1:
                return f"release {key} has {paths[0]} and {paths[1]}. Remove one of the two."
            if not paths:
                return self._why_missing(key, table)
        return None

    def surplus(self, key: str) -> list[tuple[str, str]]:
        """What is wrong beside a whole release: names and problems, as in `bad`."""
        return [(f"{path.name} (link)", _nowhere(path)) for path in self.dangling.get(key, [])]

    def _why_missing(self, key: str, table: str) -> str:
        if dangling := self.dangling.get(key):
            return f"release {key} is not whole: {_nowhere(dangling[0])}"
        packed = self.packed.get(key, [])
        # One that says which table it is of, first.
        if packed := sorted(packed, key=lambda path: f"_{table}" not in path.name.lower()):
            what = "one file in gzip, zstd, bz2, xz or zip is read as it is, an archive is not"
            return f"release {key} is not whole: {packed[0]} is packed. Unpack it: {what}."
        where = self.folders.get(key) or next(path.parent for path in _all_of(self.tables[key]))
        name = f"V{key.upper()}_{table}"
        if match := next(filter(None, (_MERGED.fullmatch(path.name) for path in _all_of(self.tables[key]))), None):
            of_key = f"{match['key']}_" if match["key"] else ""
            name = f"BC_{of_key}{'posts' if table == 'files' else 'tags'}"
        return f"release {key} is not whole: {name}.tsv (or .tsv.gz) is missing in {where}. Add the file."

    def _beside(self, key: str) -> Path | None:
        """An unfinished download in a folder of the release that does not say what it is going to be."""
        paths = [*self.scripts.get(key, []), *_all_of(self.tables.get(key, {})), *_all_of(self.posts.get(key, {}))]
        folders = {path.parent for path in paths} | {*self.posts.get(key, {}).get(Layout.CAPTIONS, [])}
        folders |= {self.folders[key]} if key in self.folders else set()
        return next((self.nameless[folder] for folder in sorted(folders) if folder in self.nameless), None)

    def _see_dangling(self, path: Path, folder: Folder, *, top: bool) -> None:
        key = None
        if match := _RELEASE_FOLDER.fullmatch(path.name) or _TABLE.fullmatch(path.name):
            key = parse_dated_key(match["key"])
        elif match := _SCRIPT.fullmatch(path.name):
            key = _script_key(folder, match["name"], top=top)
        if key:
            self.dangling[key].append(path)
        else:
            self.bad.append((f"{path.name} (link)", _nowhere(path)))

    def _see_captions(self, folder: Folder) -> None:
        here = folder.path
        names = caption_names(folder.names)
        if not names or here == self._top:
            return
        if has_pictures(folder.names):
            self._pictures.add(here)
        elif not any(are_tags(here / name) for name in names[:_LOOKED_AT]):
            return  # somebody's notes
        root = next((above for above in here.parents if above in self.captions), None)
        root = root or folder_of_captions(here, self._top)
        self.captions.setdefault(root, []).extend(here / name for name in names)

    def _no_key(self, path: Path, key: str) -> None:
        self.bad.append((key, f"{path}: {key!r} is not a release key. {_RENAME}"))


class _File(NamedTuple):
    """A file whose name fits a pattern.

    Attributes:
        path: The file.
        folder: The folder that it is in.
        match: Of its name, from the beginning.
        whole: Whether the whole name fits; else it is a download that has not ended.
        top: Whether the folder is the raw folder itself.
    """

    path: Path
    folder: Folder
    match: re.Match[str]
    whole: bool
    top: bool


def _see_table(seen: Sightings, file: _File) -> None:
    key = parse_dated_key(file.match["key"])
    if key is None:
        seen._no_key(file.path, file.match["key"])
    elif file.whole:
        _add(seen.tables[key][file.match["table"].lower()], file.path)
    else:
        seen.unfinished[key] = file.path


def _see_merged(seen: Sightings, file: _File) -> None:
    name = f"bc_{file.match['key']}" if file.match["key"] else "bc"
    key = (None if file.top else _folder_key(file.folder.path.name)) or parse_key(name)
    table = {"posts": "files", "tags": "tags"}[file.match["table"].lower()]
    if key is None:
        seen._no_key(file.path, name)
    elif file.whole:
        _add(seen.tables[key][table], file.path)
    else:
        seen.unfinished[key] = file.path


def _see_json(seen: Sightings, file: _File) -> None:
    if not file.whole or holds_posts(file.path, only_posts=file.match["form"].lower() == "json"):
        _see_posts(seen, file, Layout.JSON_LINES)


def _see_parquet(seen: Sightings, file: _File) -> None:
    _see_posts(seen, file, Layout.PARQUET)


def _see_posts(seen: Sightings, file: _File, layout: Layout) -> None:
    key = _folder_key(file.match["name"] if file.top else file.folder.path.name)
    if key is None:
        what = file.path if file.top else file.folder.path
        problem = f"{file.path} holds posts, and {printable(what.name)} is no release key. {_NAME_IT}"
        seen.bad.append((what.name, problem))
    elif file.whole:
        _add(seen.posts[key][layout], file.path)
    else:
        seen.unfinished[key] = file.path


def _problem_of_posts(key: str, posts: tuple[Layout, list[Path]]) -> str | None:
    """Why files of one layout are not one release."""
    layout, paths = posts
    if layout is Layout.CAPTIONS:
        return f"release {key} is in {paths[0]} and in {paths[1]}. Rename one of the two." if len(paths) > 1 else None
    by_stem: dict[str, Path] = {}
    for path in paths:
        if path.parent != paths[0].parent:
            return f"release {key} is in {paths[0]} and in {path}. Rename one of the two folders."
        match = _JSON.fullmatch(path.name)
        other = by_stem.setdefault(match["name"] if match else path.name, path)
        if other != path:
            return f"release {key} has {other} and {path}. Remove one of the two."
    return None


def _see_script(seen: Sightings, file: _File) -> None:
    key = _script_key(file.folder, file.match["name"], top=file.top)
    if key is None:
        remedy = "Give the file a name such as manual_walfie.sql."
        seen.bad.append((file.path.name, f"{file.path}: {file.match['name']!r} cannot be a release key. {remedy}"))
    elif file.whole:
        _add(seen.scripts[key], file.path)
    else:
        seen.unfinished[key] = file.path


def _see_packed(seen: Sightings, file: _File) -> None:
    match = file.match
    if match["posts"]:
        key = _folder_key(match["posts"] if file.top else file.folder.path.name)
    elif match["script"]:
        key = _script_key(file.folder, match["script"], top=file.top)
    else:
        key = parse_dated_key(match["folder"] or match["key"])
    if key is None:
        if match["table"]:
            seen._no_key(file.path, match["key"])
    elif file.whole:
        _add(seen.packed[key], file.path)
    else:
        seen.unfinished[key] = file.path


# The first that fits decides; it fits a download that has not ended, too, if the name begins so.
_PATTERNS: Final[tuple[tuple[re.Pattern[str], Callable[[Sightings, _File], None]], ...]] = (
    (_TABLE, _see_table),
    (_MERGED, _see_merged),
    (_SCRIPT, _see_script),
    (_JSON, _see_json),
    (_PARQUET, _see_parquet),
    (_PACKED, _see_packed),
)


def _script_key(folder: Folder, name: str, *, top: bool) -> str | None:
    here = folder.path.name
    alone = not top and not _RELEASE_FOLDER.fullmatch(here) and not any(map(_TABLE.match, folder.names))
    for text in [here, name] if alone else [name]:
        key = parse_key(text)
        if key and is_hand_tagged(key):
            return key
    return None


def _folder_key(name: str) -> str | None:
    """The key that the name of a folder of posts carries, or that of a file without its endings."""
    match = _RELEASE_FOLDER.fullmatch(name)
    return parse_dated_key(match["key"]) if match else parse_key(name)


def _add(paths: list[Path], path: Path) -> None:
    """Another file, unless it is one of these under another name."""
    if identity(path) not in _identities(paths):
        paths.append(path)


def _all_of(paths: Mapping[Any, list[Path]]) -> list[Path]:
    return [path for some in paths.values() for path in some]


def _identities(paths: Iterable[Path]) -> set[object]:
    return {identity(path) for path in paths}


def _nowhere(path: Path) -> str:
    try:
        target = os.readlink(path)
    except OSError:
        target = "?"
    return f"{path} is a link to {printable(target)}, which is not there or cannot be read. Mend the link or remove it."
