"""Broken files of each layout: what comes of them is accounted for, or refused in words.

BOORU_MUTATIONS is how many broken files there are of each; 10,000 of a layout take a minute or two.
"""

import bz2
import gzip
import json
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booru_pipeline import sql
from booru_pipeline.errors import BooruError, printable_lines
from booru_pipeline.release.find import Release
from booru_pipeline.release.layout import Layout
from booru_pipeline.tag_table.accounting import read_accounting
from booru_pipeline.tag_table.filling import Filling
from booru_pipeline.tag_table.layouts.read import read_release
from booru_pipeline.tag_table.raw_rows import RAW_ROWS, RawRows
from booru_pipeline.tag_table.spelling import Spelling
from booru_pipeline_tests.tag_table.layouts.test_json_lines import DANBOORU, E621, MOEBOORU, OLDER
from booru_pipeline_tests.tag_table.test_load import FILES_HEADER, TAGS_HEADER, file_line, join

MUTATIONS = int(os.environ.get("BOORU_MUTATIONS", "60"))  # read here, since tests do not see BOORU_ settings
TOGETHER = 200  # files whose rows are judged together

TOKENS = [
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b"\t", b"\xed\xa0\x80", b"\\ud800", b"{", b"}", b"[", b"]", b'"'),
    *(
        b",",
        b":",
        b"\\",
        b"null",
        b"-1",
        b"1e999",
        b"9" * 30,
        b"9" * 5000,
        b"[" * 2000,
        b'{"id":',
        b"PAR1",
        b"\x1f\x8b",
    ),
]


def write_json(folder: Path) -> tuple[Release, list[Path]]:
    path = folder / "posts.jsonl"
    path.write_text("".join(json.dumps(post) + "\n" for post in (DANBOORU, OLDER, E621, MOEBOORU)))
    return Release("posts", path, path, Layout.JSON_LINES), [path]


def write_array(folder: Path) -> tuple[Release, list[Path]]:
    path = folder / "posts.json"
    path.write_text("[" + ",\n".join(json.dumps(post) for post in (DANBOORU, OLDER, E621, MOEBOORU)) + "]")
    return Release("posts", path, path, Layout.JSON_LINES), [path]


def write_gzip(folder: Path) -> tuple[Release, list[Path]]:
    release, [path] = write_json(folder)
    path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return release, [path]


def write_parquet(folder: Path) -> tuple[Release, list[Path]]:
    path = folder / "posts.parquet"
    columns = {
        "id": range(20),
        "tags": [[f"tag {number}", "solo"] for number in range(20)],
        "categories": [[0, number % 6] for number in range(20)],
        "booru": ["b", "c"] * 10,
        "source": [f"https://example.org/{number}" for number in range(20)],
        "score": [None, 1.0] * 10,
    }
    pq.write_table(pa.table(columns), path, row_group_size=8, compression="none")
    return Release("posts", path, path, Layout.PARQUET), [path]


def write_captions(folder: Path) -> tuple[Release, list[Path]]:
    paths = [folder / f"{name}.txt" for name in ("danbooru_1", "2", "x")]
    for path in paths:
        path.write_text("1girl, hatsune miku \\(cosplay\\), solo\nhighres")
    return Release("walfie", folder, folder, Layout.CAPTIONS, tuple(sorted(paths))), paths


def write_tables(folder: Path) -> tuple[Release, list[Path]]:
    files, tags = folder / "V2021A_files.tsv", folder / "V2021A_tags.tsv"
    files.write_bytes(join(FILES_HEADER, file_line(1), file_line(2)))
    tags.write_bytes(join(TAGS_HEADER, "b\t1\tx\t7\t0\tG", "b\t2\ty\t7\t4\tG", "b\t2\tz\t7\t0\tGENERAL"))
    return Release("2021a", files, tags), [files, tags]


def write_bz2_tables(folder: Path) -> tuple[Release, list[Path]]:
    release, paths = write_tables(folder)
    for path in paths:
        path.write_bytes(bz2.compress(path.read_bytes()))
    return release, paths


def write_merged(folder: Path) -> tuple[Release, list[Path]]:
    posts, tags = folder / "BC_posts.tsv", folder / "BC_tags.tsv"
    posts.write_bytes(b"BOORU\tFID\tORIG_MD5\nb\t1\tAB\nb\t2\t\n")
    tags.write_bytes(b"BOORU\tFID\tTAG\tTAG_ID\tTAG_CAT\tDANB_TAG\nb\t1\tx\t7\t4\tvocaloid\nb\t2\ty\t8\t0\t\n")
    return Release("bc", posts, tags), [posts, tags]


WRITE: dict[str, Callable[[Path], tuple[Release, list[Path]]]] = {
    "json_lines": write_json,
    "json_array": write_array,
    "json_lines_gzip": write_gzip,
    "parquet": write_parquet,
    "captions": write_captions,
    "tsv": write_tables,
    "tsv_bz2": write_bz2_tables,
    "merged": write_merged,
}


def mutated(content: bytes, dice: random.Random) -> bytes:
    """The bytes after one to four of the accidents that happen to bytes."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(content) + 1)
        to = min(at + dice.randint(1, 40), len(content))
        content = dice.choice(
            [
                lambda c, at, to: c[:at] + bytes([dice.randrange(256)]) + c[at + 1 :],
                lambda c, at, to: c[:at] + bytes([c[at] ^ 1 << dice.randrange(8)]) + c[at + 1 :] if at < len(c) else c,
                lambda c, at, to: c[:at] + c[to:],
                lambda c, at, to: c[:at],
                lambda c, at, to: c[:at] + c[at:to] * dice.randint(2, 5) + c[to:],
                lambda c, at, to: c[:at] + dice.choice(TOKENS) + c[at:],
                lambda c, at, to: c[:at] + dice.randbytes(to - at) + c[to:],
                lambda c, at, to: c[at:] + c[:at],
            ]
        )(content, at, to)
    return content


Read = dict[str, tuple[RawRows, list[pa.RecordBatch]]]  # of files and tags: what comes, and what came


def read_all(release: Release) -> Read:
    content = read_release(release)
    tables = {"files": content.files, "tags": content.tags}
    return {source: (table, list(table.batches())) for source, table in tables.items()}


def judge(connection: duckdb.DuckDBPyConnection, files: list[Read]) -> None:
    """Put the rows of files of the same columns into one table, and look at the account of it."""
    for table in ("files", "tags", "raw_tags", "spellings", "rejects", "accounting"):
        connection.execute(f"DELETE FROM {table}")
    read = []
    for source in ("files", "tags"):
        first = files[0][source][0]
        # Of each file but the first, the rows that are a header come in as rows.
        batches = [batch for of_file in files for batch in of_file[source][1]]
        table = RawRows(first.columns, lambda batches=batches: iter(batches), first.headers)
        filling = Filling(connection, source, table, Spelling(frozenset()), "x")
        filling.insert(pa.Table.from_batches(batches, RAW_ROWS))
        filling.finish()
        read.append(sum(map(len, batches)))
    for lines, item in zip(read, read_accounting(connection), strict=True):
        assert item.holds
        assert item.lines_read == lines


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        sql.run(connection, "tag_table", "schema")
        sql.run(connection, "tag_table", "macros")
        yield connection


@pytest.mark.parametrize("layout", WRITE)
def test_every_row_of_a_broken_file_is_accounted_for_or_the_file_is_refused_in_words(tmp_path, connection, layout):
    release, paths = WRITE[layout](tmp_path)
    contents = {path: path.read_bytes() for path in paths}
    dice = random.Random(layout)
    refusals: list[str] = []
    waiting: dict[tuple[tuple[str, ...], ...], list[Read]] = defaultdict(list)
    for _ in range(MUTATIONS):
        path = dice.choice(paths)
        path.write_bytes(mutated(contents[path], dice))
        try:
            found = read_all(release)
        except BooruError as error:
            refusals.append(str(error))
        else:
            waiting[tuple(tuple(table.columns) for table, _ in found.values())].append(found)
        path.write_bytes(contents[path])
    for files in waiting.values():
        for start in range(0, len(files), TOGETHER):
            judge(connection, files[start : start + TOGETHER])
    for refusal in refusals:
        assert str(release.files.parent) in refusal
        assert printable_lines(refusal) == refusal
    read = sum(map(len, waiting.values()))
    assert read
    assert read + len(refusals) == MUTATIONS
    print(f"{layout}: {read:,} read, {len(refusals):,} refused")
