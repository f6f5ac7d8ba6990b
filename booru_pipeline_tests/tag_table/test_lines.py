import gzip

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booru_pipeline.errors import BooruError
from booru_pipeline.tag_table import lines as module
from booru_pipeline.tag_table.lines import line_batches
from booru_pipeline.tag_table.raw_rows import RAW_ROWS


def obvious(content: bytes) -> list[bytes]:
    parts = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if parts[-1] == b"":
        parts.pop()
    return [part.removesuffix(b"\r") for part in parts]


def lines_of(path):
    table = pa.Table.from_batches(line_batches(path), RAW_ROWS)
    table.validate(full=True)
    assert table["line"].to_pylist() == list(range(1, table.num_rows + 1))
    lines = []
    for fields, raw in zip(table["fields"].to_pylist(), table["raw"].to_pylist(), strict=True):
        assert (fields is None) != (raw is None)
        lines.append(raw if fields is None else "\t".join(fields).encode())
    return lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lines")


@given(
    content=st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"\t", b"\0", b"a", b"\xff", b'"', b"\xef\xbb\xbf"])).map(
        b"".join
    ),
    block=st.integers(1, 9),
    compress=st.booleans(),
)
def test_lines_are_what_a_plain_split_gives_whatever_the_bytes_and_the_blocks(folder, content, block, compress):
    path = folder / ("x.tsv.gz" if compress else "x.tsv")
    path.write_bytes(gzip.compress(content) if compress else content)
    former, module._BLOCK_BYTES = module._BLOCK_BYTES, max(block, 3)  # a byte-order mark is never cut in two
    try:
        assert lines_of(path) == obvious(content)
    finally:
        module._BLOCK_BYTES = former


def test_a_line_of_a_megabyte_is_one_line(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_bytes(b"a" * 20_000_000 + b"\nb")
    assert [len(line) for line in lines_of(path)] == [20_000_000, 1]


def test_a_gzip_file_that_breaks_off_is_named(tmp_path):
    path = tmp_path / "V2021A_tags.tsv.gz"
    path.write_bytes(gzip.compress(b"a\tb\n" * 100_000)[:-200])
    with pytest.raises(BooruError, match=r"V2021A_tags\.tsv\.gz cannot be read to its end"):
        lines_of(path)
