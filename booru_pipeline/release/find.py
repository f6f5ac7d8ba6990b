"""Finding releases in the raw folder. Nothing there is ever written."""

from dataclasses import dataclass
from pathlib import Path

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.release.key import check_key, is_hand_tagged, parse_key, release_order
from booru_pipeline.release.layout import Layout
from booru_pipeline.release.sightings import Sightings
from booru_pipeline.release.walk import is_text, walk
from booru_pipeline.sample.place import sample_remedy


@dataclass(frozen=True)
class Release:
    """One complete release.

    Attributes:
        key: Such as `2021a`, or a name, such as `manual_walfie`.
        files: Where the rows of `files` are, one a picture: a file, or the folder of a release of many.
        tags: Where the rows of `tags` are, one a tag of a picture: the same in all layouts but TSV.
        layout: How it is written down.
        parts: Its files in reading order, where they are others than these two.
    """

    key: str
    files: Path
    tags: Path
    layout: Layout = Layout.TSV
    parts: tuple[Path, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """Its files, in reading order."""
        return list(self.parts or dict.fromkeys([self.files, self.tags]))

    def path_of(self, source: str) -> Path:
        """Where the rows of `files` or `tags` are."""
        return self.files if source == "files" else self.tags

    @property
    def is_addition(self) -> bool:
        """Whether it is hand-tagged, and so adds to the releases that stand for themselves."""
        return self.layout is Layout.SCRIPT

    @property
    def shard(self) -> str:
        """The value of the column `shard`: the release's own name, for dated ones as the origin writes it."""
        return self.key if is_hand_tagged(self.key) else f"Safebooru {self.key}"


@dataclass(frozen=True)
class Incomplete:
    """Something that looks like a release and is not whole.

    Attributes:
        key: Its key, or another name for what has none.
        problem: A sentence that names the thing, and the remedy.
        is_addition: Whether it is going to be a hand-tagged release.
    """

    key: str
    problem: str
    is_addition: bool = False


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

    @property
    def additions(self) -> set[str]:
        """Keys of hand-tagged releases, whole or not."""
        whole = {release.key for release in self.releases if release.is_addition}
        return whole | {item.key for item in self.incomplete if item.is_addition}


def find_releases(raw: Path) -> Found:
    """Look through the raw folder, at any depth, for release files and folders.

    A `*.sql` file is a hand-tagged release. Its key is the folder's name if the folder holds nothing else of a release
    (`manual walfie/walfie.sql` is `manual_walfie`), and the file's own name otherwise (`walfie`). Files of posts, as
    JSON, Parquet or captions, are one release by the name of their folder; in the raw folder itself each is one by its
    own name, but captions are none there. Links are followed; a file or folder that several paths lead to counts once.
    What cannot be a release because of its name, or leads
    nowhere, is among the incomplete under a name that is no key.

    Raises:
        BooruError: The folder is not there, its name is not UTF-8, or it or one in it cannot be read.
    """
    if not raw.is_dir():
        raise BooruError(
            f"there is no folder of releases at {raw}. Point --raw or BOORU_RAW at the folder that holds "
            f"`Safebooru 2021a`. {sample_remedy()}"
        )
    if not is_text(str(raw)):
        raise BooruError(f"the name of the folder of releases, {printable(str(raw))}, is not UTF-8. Rename it.")
    seen = Sightings()
    for folder in walk(raw):
        seen.look(folder, top=folder.path == raw)
    seen.end()
    releases: list[Release] = []
    bad = [Incomplete(printable(name), printable(problem)) for name, problem in seen.bad]
    for key in sorted(seen.keys, key=release_order):
        if problem := seen.problem(key):
            bad.append(Incomplete(key, printable(problem), seen.is_addition(key)))
            continue
        bad += [Incomplete(printable(name), printable(problem)) for name, problem in seen.surplus(key)]
        releases.append(_release(seen, key))
    return Found(releases, bad)


def _release(seen: Sightings, key: str) -> Release:
    [(layout, path)] = seen.layouts(key).items()
    if layout is Layout.TSV:
        tables = seen.tables[key]
        return Release(key, files=tables["files"][0], tags=tables["tags"][0])
    if layout is Layout.CAPTIONS:
        return Release(key, path, path, layout, tuple(sorted(seen.captions[path])))
    parts = sorted(seen.posts[key][layout]) if layout is not Layout.SCRIPT else [path]
    if len(parts) == 1:
        return Release(key, path, path, layout)
    return Release(key, path.parent, path.parent, layout, tuple(parts))


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
