"""Raw releases as large as one likes, drawn in columns: a quarter of a million posts take seconds.

The sample world draws post by post, which is right for what a newcomer reads and too slow for a million of them. Here a
post has characters with their core tags and series, a scene, an artist, and other tags by frequency. Names and
frequencies are Danbooru's where `shared/` is beside the checkout, else made up with the same shape (Zipf's law).

    python -m benchmarks.soak.large_world FOLDER --posts 1500000 --releases 6
"""

import argparse
import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import WriteOptions, write_csv

from benchmarks.corpus import SHARED
from booru_pipeline.sample.raw_format import FILES_COLUMNS, TAGS_COLUMNS
from booru_pipeline.tags import Category

ROWS: Final = "rows.json"  # tag rows by release
BLOCK: Final = 125_000  # posts that are drawn at a time
_BOORUS: Final = ("safebooru.org", "danbooru.donmai.us", "chan.sankakucomplex.com")
# Made-up tags of each category, as many as Danbooru has.
_MADE_UP: Final = {
    Category.GENERAL: 38_000,
    Category.ARTIST: 34_000,
    Category.COPYRIGHT: 12_000,
    Category.CHARACTER: 52_000,
    Category.META: 600,
}
_CORE_TAGS: Final = 9  # general tags that most posts of a character have
_SCENES: Final = 3_000
_SCENE_TAGS: Final = 7
_TWO_CHARACTERS: Final = 0.25
_SAME_PICTURE: Final = 0.02  # of posts show the picture of another post of the release
_LISTED_AGAIN: Final = 0.02  # of posts are listed again in the next release
_BAD_LINES: Final = 100  # short lines, and as many exact repeats, in each block of the tags file
_WRITE: Final = WriteOptions(include_header=False, delimiter="\t", quoting_style="none")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tags:
    """All tags that a post may have: names, category and frequency of each; ids are positions."""

    names: pa.Array
    categories: npt.NDArray[np.int8]
    weights: npt.NDArray[np.float64]

    @classmethod
    def read(cls) -> "Tags":
        """Danbooru's from `shared/`, else made-up ones."""
        path = SHARED / "data" / "danbooru_tags.csv.gz"
        if path.is_file():
            with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
                # pyarrow writes no quote without quoting, which the format does not know
                rows = [
                    (row["tag"], int(row["category"]), int(row["post_count"]))
                    for row in csv.DictReader(file)
                    if '"' not in row["tag"]
                ]
        else:
            rows = [
                (f"{kind.name.lower()}_{number}", int(kind), 6_000_000 // (number + 1))
                for kind, count in _MADE_UP.items()
                for number in range(count)
            ]
        names, categories, weights = zip(*rows, strict=True)
        return cls(pa.array(names), np.array(categories, np.int8), np.array(weights, np.float64))

    def draw(self, rng: np.random.Generator, category: Category, count: int) -> Ints:
        """So many tags of a category, by frequency."""
        members = np.flatnonzero(self.categories == category)
        edges = np.cumsum(self.weights[members])
        found: Ints = members[np.searchsorted(edges, rng.random(count) * edges[-1], side="right")]
        return found


class LargeWorld:
    """Draws blocks of posts; the same seed and block number give the same posts."""

    def __init__(self, seed: int = 0, tags_a_post: int = 24) -> None:
        """Make the world: each character's core tags and series, and the scenes."""
        rng = np.random.default_rng(seed)
        self.tags, self.seed = Tags.read(), seed
        count = len(self.tags.names)
        self.core = self.tags.draw(rng, Category.GENERAL, count * _CORE_TAGS).reshape(count, _CORE_TAGS)
        self.core_share = rng.uniform(0.5, 0.98, self.core.shape)
        self.series = self.tags.draw(rng, Category.COPYRIGHT, count)
        self.scenes = self.tags.draw(rng, Category.GENERAL, _SCENES * _SCENE_TAGS).reshape(_SCENES, _SCENE_TAGS)
        # What characters, scene, series, artist and meta give is about 15 tags that differ.
        self.others = max(1, round((tags_a_post - 15) * 1.25))

    def block(self, number: int, posts: int) -> tuple[Ints, Ints]:
        """Posts and tags of a block, int64 [pairs] each, sorted by post, without repeats."""
        rng = np.random.default_rng((self.seed, number))
        first = self.tags.draw(rng, Category.CHARACTER, posts)
        second = self.tags.draw(rng, Category.CHARACTER, posts)
        everybody, some = np.arange(posts), np.flatnonzero(rng.random(posts) < _TWO_CHARACTERS)
        parts = [(everybody, first), (everybody, self.series[first]), (some, second[some])]
        for column in range(_CORE_TAGS):
            has = np.flatnonzero(rng.random(posts) < self.core_share[first, column])
            parts.append((has, self.core[first[has], column]))
        scene = np.minimum(rng.zipf(1.4, posts), _SCENES) - 1
        for column in range(_SCENE_TAGS):
            has = np.flatnonzero(rng.random(posts) < 0.6)
            parts.append((has, self.scenes[scene[has], column]))
        parts.append((everybody, self.tags.draw(rng, Category.ARTIST, posts)))
        parts.append((everybody, self.tags.draw(rng, Category.META, posts)))
        spread = rng.poisson(self.others, posts)
        parts.append((np.repeat(everybody, spread), self.tags.draw(rng, Category.GENERAL, int(spread.sum()))))
        owners, tags = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        keys = np.unique(owners * len(self.tags.names) + tags)
        return keys // len(self.tags.names), keys % len(self.tags.names)

    def write_release(self, folder: Path, key: str, first_block: int, posts: int) -> int:
        """Write a release's two TSV files; blocks are numbered on from release to release. Gives its tag rows."""
        target = folder / f"Safebooru {key}"
        target.mkdir(parents=True)
        rows = 0
        with (
            (target / f"V{key.upper()}_files.tsv").open("wb") as files,
            (target / f"V{key.upper()}_tags.tsv").open("wb") as tags,
        ):
            files.write("\t".join(FILES_COLUMNS).encode() + b"\n")
            tags.write("\t".join(TAGS_COLUMNS).encode() + b"\n")
            if first_block:
                rows += self._write_block(files, tags, key, first_block - 1, int(BLOCK * _LISTED_AGAIN))
            for start in range(0, posts, BLOCK):
                number = first_block + start // BLOCK
                rows += self._write_block(files, tags, key, number, min(BLOCK, posts - start))
        return rows

    def _write_block(self, files: BinaryIO, tags: BinaryIO, key: str, number: int, posts: int) -> int:
        owners, ids = self.block(number, BLOCK)
        end = int(np.searchsorted(owners, posts))
        owners, ids = owners[:end], ids[:end]
        rng = np.random.default_rng((self.seed, number, 1))
        boorus = pa.array(_BOORUS).take(pa.array(rng.integers(0, len(_BOORUS), BLOCK)))
        fids = np.arange(BLOCK, dtype=np.int64) + number * BLOCK + 1
        pictures = np.where(rng.random(BLOCK) < _SAME_PICTURE, np.roll(fids, 1), fids)
        md5 = pa.array([f"{picture * 0x9E3779B97F4A7C15 % (1 << 128):032x}" for picture in pictures[:posts].tolist()])
        some, named = pa.array(fids[:posts]), boorus[:posts]
        text = some.cast(pa.string())
        same = {"ORIG_EXT": "jpg", "FILE_SIZE": "812345", "IMG_SIZE_TORR": "1200x1600", "JQ": "85"}
        filled = {name: pa.repeat(value, posts) for name, value in same.items()}
        empty = pa.repeat("", posts)
        filled |= {"BOORU": named, "FID": some, "TORR_MD5": md5, "ORIG_MD5": md5}
        filled["FILE_NAME"] = pc.binary_join_element_wise("picture - ", text, ".jpg", "")
        filled["TORR_PATH"] = pa.repeat(f"V{key.upper()}\\S{number}.zip", posts)
        write_csv(pa.table({name: filled.get(name, empty) for name in FILES_COLUMNS}), files, _WRITE)
        kinds = self.tags.categories[ids]
        at = pa.array(owners)
        columns = {
            "BOORU": boorus.take(at),
            "FID": pa.array(fids).take(at),
            "TAG": self.tags.names.take(pa.array(ids)),
            "TAG_ID": pa.array(ids + 1),
            "TAG_CAT": pa.array(kinds),
            "DANB_FR": pa.array([Category.name_of(kind).upper() for kind in range(6)]).take(pa.array(kinds)),
        }
        table = pa.table({name: columns[name] for name in TAGS_COLUMNS})
        write_csv(table, tags, _WRITE)
        write_csv(table.slice(len(table) - _BAD_LINES), tags, _WRITE)  # exact repeats
        write_csv(table.slice(0, _BAD_LINES).select(["BOORU", "FID"]), tags, _WRITE)  # short lines
        return len(table)


def release_keys(count: int) -> Iterator[str]:
    """2021a to 2021d, then 2022a and on."""
    for number in range(count):
        yield f"{2021 + number // 4}{'abcd'[number % 4]}"


def write_world(folder: Path, posts: int, releases: int, tags_a_post: int = 24, seed: int = 0) -> dict[str, int]:
    """Write that many posts, shared out to so many releases; gives the tag rows of each, and writes them to `ROWS`."""
    world, each = LargeWorld(seed, tags_a_post), -(-posts // releases)
    blocks = -(-each // BLOCK)
    rows = {
        key: world.write_release(folder, key, number * blocks, each)
        for number, key in enumerate(release_keys(releases))
    }
    (folder / ROWS).write_text(json.dumps(rows), encoding="utf-8")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--posts", type=int, default=1_500_000, help="of all releases (default %(default)s)")
    parser.add_argument("--releases", type=int, default=6, help="default %(default)s")
    parser.add_argument("--tags", type=int, default=24, help="of a post, about (default %(default)s)")
    given = parser.parse_args()
    for release, count in write_world(given.folder, given.posts, given.releases, given.tags).items():
        print(f"{release}: {count:,} tag rows")
