"""Finding releases in the raw folder. Nothing there is ever written."""

from dataclasses import dataclass
from pathlib import Path

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.release.key import check_key, is_hand_tagged, parse_key, release_order
from booru_pipeline.release.sightings import Sightings
from booru_pipeline.release.walk import is_text, walk
from booru_pipeline.sample.place import sample_remedy


@dataclass(frozen=True)
class Release:
    """One complete release: two TSV files, plain or compressed, or one file of SQL statements (hand-tagged).

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
    (`manual walfie/walfie.sql` is `manual_walfie`), and the file's own name otherwise (`walfie`). Links are followed;
    a file or folder that several paths lead to counts once. What cannot be a release because of its name, or leads
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
    releases: list[Release] = []
    bad = seen.bad
    for key in sorted(seen.keys, key=release_order):
        if problem := seen.problem(key):
            bad.append((key, problem))
            continue
        bad += seen.surplus(key)
        if is_hand_tagged(key):
            releases.append(Release(key, files=seen.scripts[key][0], tags=seen.scripts[key][0]))
        else:
            releases.append(Release(key, files=seen.tables[key]["files"][0], tags=seen.tables[key]["tags"][0]))
    return Found(releases, [Incomplete(printable(name), printable(problem)) for name, problem in bad])


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
