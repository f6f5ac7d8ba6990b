"""The posts of the benchmarks: those of the releases in `shared/` beside the checkout, or else of the sample world."""

import gzip
import json
import re
from pathlib import Path
from typing import Any, Final

from benchmarks.frame import ROOT
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.vocabulary.base_model import BaseModel

SHARED: Final = ROOT.parent / "shared"
KEY: Final = "2021z"  # of the enlarged release
_SAMPLE_POSTS: Final = 20_000  # what takes some seconds

# Copies of the posts under other ids, by other artists, and without some tags, so that few are like another.
COPIES: Final = """
WITH copies AS (
    SELECT
        * EXCLUDE (tags, categories),
        list_zip(tags, categories) AS pairs,
        unnest(generate_series(0, $copies - 1)) AS copy
    FROM read_parquet(getvariable('shards'))
), thinned AS (
    SELECT *, list_filter(pairs, lambda pair: hash(pair[1], fid, copy) % 100 >= 5) AS kept
    FROM copies
)
SELECT
    booru,
    fid * 1000 + copy * 10 + list_position($releases, release) AS fid,
    $key AS release,
    split,
    md5(group_md5 || copy || release) AS group_md5,
    list_transform(kept, lambda pair: if(pair[2] = 1, pair[1] || copy, pair[1])) AS tags,
    list_transform(kept, lambda pair: pair[2]) AS categories
FROM thinned
ORDER BY md5(booru || fid || copy)
LIMIT $posts
"""


def record(release: str) -> Record:
    """Of an artifact that no pipeline made."""
    return Record(stage="made for a benchmark", release=release, key="")


def raw_releases(folder: Path, posts: int) -> Path:
    """The raw folder: the shared one, or `folder`, with a sample release of so many posts at most."""
    from booru_pipeline.sample import generate

    shared = SHARED / "data" / "releases"
    if shared.is_dir():
        return shared
    generate(folder, posts=min(posts, _SAMPLE_POSTS))
    return folder


def base_model() -> BaseModel:
    """Whose pieces texts are cut into: T5's where its tokenizer is in `shared/`, else those of `tiny`."""
    return BaseModel("t5", str(SHARED / "t5")) if (SHARED / "t5").is_dir() else BaseModel("tiny", None)


def repeated_release(raw: Path, posts: int, number: int = 0) -> None:
    """Write one large release into a raw folder: the lines of the first one over and over, each time with other ids.

    Args:
        raw: The folder.
        posts: About how many.
        number: Of the release, from 0, which is 2021a; each has other ids.
    """
    source = min(path for path in raw_releases(raw.parent / "source", posts).iterdir() if path.is_dir())
    key = f"{2021 + number // 4}{'abcd'[number % 4]}"
    target = raw / f"Safebooru {key}"
    target.mkdir(parents=True)
    copies = 0
    for path, name in zip(sorted(source.iterdir()), ("files", "tags"), strict=True):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        header, lines = content.split(b"\n", 1)
        copies = copies or -(-posts // lines.count(b"\n"))
        with (target / f"V{key.upper()}_{name}.tsv").open("wb") as file:
            file.write(header + b"\n")
            file.writelines(_with_other_ids(lines, (number * 1000 + copy) * 10**9) for copy in range(copies))


def _with_other_ids(lines: bytes, by: int) -> bytes:
    """The same lines with the second column, a post's id, larger by so much."""
    return re.sub(rb"(?m)^([^\t\n]*\t)(\d+)", lambda found: b"%b%d" % (found[1], int(found[2]) + by), lines)


def make_shards(raw: Path, lake: Lake) -> dict[str, Path]:
    """Load every release of a folder and cut its training shards; gives their folders by release."""
    from booru_pipeline.release.find import find_releases
    from booru_pipeline.tag_table.load import load_release
    from booru_pipeline.tag_table.options import TagTableOptions
    from booru_pipeline.training_shards.options import ShardOptions
    from booru_pipeline.training_shards.shards import build_shards

    shards = {}
    for release in find_releases(raw).releases:
        table, folder = lake.tag_table(release.key), lake.training_shards(release.key)
        load_release(release, table, lake.staging, TagTableOptions(max_reject_share=1), record(release.key))
        build_shards(table, folder, lake.staging, ShardOptions(), record(release.key))
        shards[release.key] = folder
    return shards


def enlarged_shards(world: Path, posts: int) -> Lake:
    """A lake in `world` with shards of so many posts as release `KEY`, and its vocabulary."""
    import duckdb
    import pyarrow.parquet as pq

    from booru_pipeline.training_shards.shards import shard_files
    from booru_pipeline.vocabulary.build import build_vocabulary
    from booru_pipeline.vocabulary.options import VocabularyOptions

    lake = Lake(world / "home")
    folders = make_shards(raw_releases(world / "raw", posts), lake)
    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE shards = $files", {"files": shard_files(*folders.values())})
        given = {"copies": 1 + posts // _SAMPLE_POSTS, "posts": posts, "key": KEY, "releases": list(folders)}
        rows: Any = connection.sql(COPIES, params=given).to_arrow_table()
    folder = lake.training_shards(KEY)
    folder.mkdir()
    files = []
    for number, start in enumerate(range(0, len(rows), 65_536)):
        files.append(f"posts-{number}.parquet")
        pq.write_table(rows.slice(start, 65_536), folder / files[-1], compression="zstd", row_group_size=8192)
    manifest = {"release": KEY, "posts": len(rows), "tags": 0, "splits": {}, "files": files, "content_sha256": ""}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    build_vocabulary({KEY: folder}, base_model(), lake.vocabulary(KEY), lake.staging, VocabularyOptions(), record(KEY))
    return lake
