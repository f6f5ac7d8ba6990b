"""A generated sample, read back."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from booru_pipeline.sample import load_world
from booru_pipeline.sample.raw_format import ReleaseTruth

FILES_HEADER = (
    "BOORU FID FILE_NAME TORR_MD5 ORIG_EXT ORIG_MD5 FILE_SIZE IMG_SIZE_TORR JQ TORR_PATH "
    "TAGS_COPYR TAGS_CHAR TAGS_ARTIST"
)
TAGS_HEADER = "BOORU FID TAG TAG_ID TAG_CAT DANB_FR"
PEOPLE = {"1girl": 1, "2girls": 2, "3girls": 3, "1boy": 1, "2boys": 2, "3boys": 3}
WORLD = load_world()

Key = tuple[str, str]


@dataclass
class Sample:
    """A generated folder, read back with nothing but split."""

    folder: Path
    truths: list[ReleaseTruth]

    def content(self, release: str, table: str) -> bytes:
        return (self.folder / f"Safebooru {release}" / f"V{release.upper()}_{table}.tsv").read_bytes()

    def lines(self, release: str, table: str) -> list[list[str]]:
        text = self.content(release, table).decode()
        assert text.endswith("\n")
        assert "\r" not in text
        return [line.split("\t") for line in text.split("\n")[:-1]]

    def posts(self, release: str) -> dict[Key, set[str]]:
        posts: dict[Key, set[str]] = defaultdict(set)
        for booru, fid, tag, *_ in self.lines(release, "tags")[1:]:
            posts[booru, fid].add(tag)
        return posts


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
