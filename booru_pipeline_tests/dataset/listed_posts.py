"""Posts made by hand as folders of training shards, and sides by post.

A picture's name begins with the side that the shards have for it, as a hash would decide: `train 1`, `test 1`.
"""

import hashlib
import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline.dataset.options import SplitOptions

OPTIONS = SplitOptions()
ONLY_PICTURES = SplitOptions(near_duplicate_jaccard=0)

# Ten tags each. Posts with one more or one fewer are near-duplicates of the plain one, and not of each other.
CAT = frozenset(f"cat {i}" for i in range(10))
DOG = frozenset(f"dog {i}" for i in range(10))
CAT_AND, CAT_LESS = CAT | {"more"}, CAT - {"cat 0"}


@dataclass(frozen=True)
class Post:
    fid: int
    picture: str
    tags: frozenset = frozenset()
    booru: str = "b"
    artist: str = "someone"


def write(folder, posts):
    """A folder of shards, with what `decide_sides` reads of a manifest."""
    tags = [[*sorted(post.tags), post.artist] for post in posts]
    table = pa.table(
        {
            "booru": pa.array([post.booru for post in posts], pa.string()),
            "fid": pa.array([post.fid for post in posts], pa.int64()),
            "split": pa.array([post.picture.split()[0] for post in posts], pa.string()),
            "group_md5": pa.array([post.picture for post in posts], pa.string()),
            "tags": pa.array(tags, pa.list_(pa.string())),
            "categories": pa.array([[*[0] * len(post.tags), 1] for post in posts], pa.list_(pa.int8())),
        }
    ).add_column(2, "release", pa.array([folder.name] * len(posts), pa.string()))
    return write_shards(folder, table)


def write_shards(folder, table):
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "posts-0.parquet")
    manifest = {
        "release": folder.name,
        "posts": len(table),
        "tags": len(table["tags"].combine_chunks().flatten()),
        "splits": {},
        "files": ["posts-0.parquet"],
        "content_sha256": hashlib.sha256((folder / "posts-0.parquet").read_bytes()).hexdigest(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def posts_of(sides):
    return {(row["booru"], row["fid"]): row for row in sides.table.to_pylist()}


def places(sides):
    """By fid: the side of a post in use, or why it is left out."""
    return {row["fid"]: row["left_out"] or row["split"] for row in sides.table.to_pylist()}


def groups(sides):
    found = {}
    for row in sides.table.to_pylist():
        found.setdefault(row["group_md5"], set()).add(row["fid"])
    return found


def alike(one, other):
    common = len(one.tags & other.tags)
    return one.artist == other.artist and common / (len(one.tags) + len(other.tags) - common) >= 0.9
