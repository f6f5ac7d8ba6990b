"""DuckDB's reader and the lines that it is not given, or refuses, or reads otherwise than they are meant."""

import gzip

import numpy as np
import pytest

from booru_pipeline.lake.publish import Staging
from booru_pipeline.release.find import Release
from booru_pipeline.tag_table import lines, load
from booru_pipeline.tag_table.accounting import summarise
from booru_pipeline.tag_table.lines import Block
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.reader import TextChunk, columns_to_read
from booru_pipeline_tests.tag_table.test_load import (
    ALL,
    FILES_HEADER,
    RECORD,
    TAGS_HEADER,
    compare,
    file_line,
    join,
    rows,
)
from booru_pipeline_tests.tag_table.test_load import load as load_pair

WARTS = [
    b"b\t1\tx\xff\t7\t0\tG",
    b"b\t1\tx\0\t7\t0\tG",
    b"b\t1\tx\ry\t7\t0\tG",
    b"b\t1\tCapital %d\t7\t0\tG",
    b"b\t1\tshort",
    b"b\t1\tlast_%d\t7\t0",
    b"b\t2\torphan\t7\t0\tG",
    b"b\t01\tzero_%d\t7\t2\tG",
    b'b\t1\t"quoted_%d"\t7\t0\tG',
    b"b\t1.0\tpoint\t7\t0\tG",
    b"b\t1\tentity_%d\t1e2\t0\tG",
    b"\xef\xbb\xbfb\t1\tmarked_%d\t7\t0\tG",
    b"",
]


@pytest.mark.parametrize("size", [1, 1 << 30])
def test_warts_of_all_kinds_between_clean_lines_are_read_as_the_reference_reads_them(tmp_path, monkeypatch, size):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 300)
    if size == 1:
        monkeypatch.setattr(load, "_CHUNK_SHARE", 3e-6)  # some blocks a chunk
    content = [TAGS_HEADER.encode()]
    for number in range(60):
        content += [b"b\t1\tclean_%d_%d\t7\t0\tG" % (number, more) for more in range(number % 19)]
        wart = WARTS[number % len(WARTS)]
        content.append(wart.replace(b"%d", b"%d" % number))
    content.append(content[5].replace(b"\t7\t", b"\t8\t"))  # in conflict with a line far away
    files, tags = join(FILES_HEADER, file_line(1)), b"\n".join(content) + b"\n"
    final = load_pair(tmp_path, files, tags)
    compare(final, files, tags)
    [found] = rows(final, "SELECT line FROM rejects WHERE reason = 'conflicting_duplicate'")
    assert found == (len(content),)


def test_a_file_of_nothing_but_names_to_respell_is_kept_whole(tmp_path):
    tags = join(TAGS_HEADER, *[f"b\t1\tTag {number}\t7\t0\tG" for number in range(1000)])
    files = join(FILES_HEADER, file_line(1))
    compare(load_pair(tmp_path, files, tags), files, tags)


def test_bytes_that_are_no_text_are_found_in_columns_that_nobody_reads(tmp_path):
    files = join(FILES_HEADER, file_line(1))
    tags = f"{TAGS_HEADER}\tEXTRA\nb\t1\tx\t7\t0\tG\t?\n".encode() + b"b\t1\ty\t7\t0\tG\t\xff\n"
    final = load_pair(tmp_path, files, tags)
    compare(final, files, tags)
    assert summarise(final).rejects == {("tags", "not_utf8"): 1}


def test_a_size_is_taken_from_the_column_that_the_header_has(tmp_path):
    names = ["BOORU", "FID", "FILE_NAME", "IMG_WIDTH_TORR", "IMG_HEIGHT_TORR"]
    release = Release("bc_2022", tmp_path / "BC_posts.tsv.gz", tmp_path / "BC_tags.tsv.gz")
    lines_of = ["b\t1\ta\t10\t20", "b\t2\ta\t\t", "b\t3\ta\t-1\t 7", "b\t4\ta\t5"]
    release.files.write_bytes(gzip.compress(join("\t".join(names), *lines_of)))
    release.tags.write_bytes(gzip.compress(join("BOORU\tFID\tTAG", "b\t1\tx")))
    load_release(release, tmp_path / "t.duckdb", Staging(tmp_path / ".staging"), ALL, RECORD)
    assert rows(tmp_path / "t.duckdb", "SELECT img_width_torr, img_height_torr FROM files ORDER BY fid") == [
        (10, 20),
        (None, None),
        (None, 7),
        (5, None),
    ]
    assert rows(tmp_path / "t.duckdb", "SELECT * FROM tags") == [("b", 1, "x", None, None, None)]


def test_columns_of_one_name_are_read_once():
    assert list(columns_to_read("tags", ["fid", "new", "fid", "tag"])) == ["fid", "column 1", "column 2", "tag"]


def test_places_of_lines_lead_to_their_numbers_past_blocks_that_are_not_read():
    blocks = [Block(2, b"a\nb\n"), Block(4, b"\0\n\n"), Block(6, b"c\nd\ne\n")]
    chunk = TextChunk(blocks, "tags", ["booru", "fid", "tag"])
    assert (chunk.lines, chunk.clean_lines) == (7, 5)
    assert chunk.places.numbers(np.arange(5)).tolist() == [1, 2, 5, 6, 7]
    [others] = chunk.others(np.array([1, 4]), 1 << 20)
    assert others["line"].to_pylist() == [3, 4, 5, 8]
