import bz2
import gzip
import io
import lzma
import os
import random
import sqlite3
import tarfile
import zipfile
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.release.content import open_raw
from booru_pipeline.release.header import read_header

TEXT = b"BOORU\tFID\n" + b"".join(b"danbooru\t%d\xc3\xa9\n" % number for number in range(1000))
MUTATIONS = int(os.environ.get("BOORU_MUTATIONS", "100"))  # of each compression


def zstd(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return out.getvalue().to_pybytes()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def one_zipped(content: bytes) -> bytes:
    return zipped({"V2021A_tags.tsv": content})


def tarred(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("V2021A_tags.tsv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def with_password() -> bytes:
    content = bytearray(one_zipped(TEXT))
    content[6] |= 1  # the flag of the local header, and of the central directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def of_rare_kind() -> bytes:
    content = bytearray(one_zipped(TEXT))
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 9  # Deflate64
    return bytes(content)


def sqlite() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE tags (tag)")
    return connection.serialize()


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"tag": ["smile"]}), out)
    return out.getvalue()


COMPRESS = {"gzip": gzip.compress, "zstd": zstd, "bz2": bz2.compress, "xz": lzma.compress, "zip": one_zipped}


def read(tmp_path, content: bytes, name: str = "V2021A_tags.tsv") -> bytes:
    path = tmp_path / name
    path.write_bytes(content)
    with open_raw(path) as stream:
        return stream.read()


@pytest.mark.parametrize("compress", [lambda content: content, *COMPRESS.values()])
@pytest.mark.parametrize("name", ["V2021A_tags.tsv", "V2021A_tags.tsv.gz", "V2021A_tags.tsv.zip", "x"])
def test_a_file_is_opened_by_its_content_whatever_its_name(tmp_path, compress, name):
    assert read(tmp_path, compress(TEXT), name) == TEXT
    with open_raw(tmp_path / name) as stream:
        assert stream.readline() == b"BOORU\tFID\n"
        assert stream.read(4) == b"danb"
        assert b"".join(stream) == TEXT[14:]
    assert read_header(tmp_path / name, ["fid"]) == ["booru", "fid"]


@pytest.mark.parametrize("compress", [gzip.compress, zstd, bz2.compress, lzma.compress])
def test_several_streams_one_after_the_other_are_one_file(tmp_path, compress):
    assert read(tmp_path, compress(TEXT) + compress(b"") + compress(TEXT[:100])) == TEXT + TEXT[:100]


def test_what_packers_add_is_passed_over(tmp_path):
    files = {"folder/": b"", "folder/tags.tsv": TEXT, "__MACOSX/folder/._tags.tsv": b"x", "folder/.DS_Store": b"x"}
    assert read(tmp_path, zipped(files, zipfile.ZIP_LZMA)) == TEXT
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"  # as pzstd writes it first
    assert read(tmp_path, skippable + zstd(TEXT)) == TEXT


@pytest.mark.parametrize("compress", COMPRESS.values())
def test_an_empty_file_is_one(tmp_path, compress):
    assert read(tmp_path, b"") == read(tmp_path, compress(b"")) == b""


REFUSED = {
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(30), r"a 7z archive.* Unpack it:"),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(30), r"a rar archive.* Unpack it:"),
    "tar": (tarred(TEXT), r"a tar archive, .* Unpack it:"),
    "tgz": (gzip.compress(tarred(TEXT)), r"a tar archive in gzip, .* Unpack it:"),
    "two gzips": (gzip.compress(gzip.compress(TEXT)), r"a gzip file in gzip, .* Unpack it:"),
    "several": (
        zipped({"a.tsv": TEXT, "\x1bb": TEXT}),
        r"a zip file of 2 files \(a\.tsv, \\x1bb …\), not one\. Unpack",
    ),
    "none": (zipped({}), "a zip file of 0 files, not one"),
    "password": (with_password(), r"a zip file with a password\. Unpack it:"),
    "rare": (of_rare_kind(), r"a zip file of a rare kind \(.*\)\. Unpack it:"),
    "sqlite": (sqlite(), "an SQLite database, not plain text"),
    "parquet": (parquet(), "a Parquet file, not plain text"),
    "html": (b"\n<!DOCTYPE html>\n<title>404</title>", "an HTML or XML page, not plain text"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
    "utf-16": ("\ufeffBOORU\tFID\n".encode("utf-16-le"), r"text in UTF-16, .* Save it as UTF-8\."),
    "utf-16, no mark": ("BOORU\tFID\n".encode("utf-16-be"), r"text in UTF-16, .* Save it as UTF-8\."),
    "utf-32": ("BOORU\tFID\n".encode("utf-32"), r"text in UTF-32, .* Save it as UTF-8\."),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_text_is_named_with_what_it_is_and_the_remedy(tmp_path, kind):
    content, says = REFUSED[kind]
    with pytest.raises(BooruError, match=rf"V2021A_tags\.tsv is {says}") as caught:
        read(tmp_path, content)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("compress", COMPRESS.values())
@pytest.mark.parametrize("size", [10_000, 1_500_000])
def test_a_compressed_file_that_breaks_off_is_named(tmp_path, compress, size):
    whole = compress(random.Random(0).randbytes(size))
    for length in (len(whole) - 1, len(whole) // 2, 20):
        with pytest.raises(
            BooruError, match=r"V2021A_tags\.tsv cannot be read to its end \(.+\)\. Download it again\."
        ):
            read(tmp_path, whole[:length])


def test_what_is_not_there_or_no_file_is_named(tmp_path):
    with pytest.raises(BooruError, match="cannot be read: No such file"):
        open_raw(tmp_path / "absent")
    with pytest.raises(BooruError, match="is a folder"):
        open_raw(tmp_path)


@pytest.mark.parametrize("kind", [*COMPRESS, *REFUSED])
def test_mutated_bytes_give_bytes_or_a_message(tmp_path, kind):
    chance = random.Random(kind)
    whole = COMPRESS[kind](TEXT) if kind in COMPRESS else REFUSED[kind][0]
    path = tmp_path / "x"
    for _ in range(MUTATIONS if kind in COMPRESS else MUTATIONS // 10):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(min(len(content), chance.choice([64, 1 << 20])))] = chance.randrange(256)
        path.write_bytes(content[: chance.choice([None, chance.randrange(len(content))])])
        with suppress(BooruError), open_raw(path) as stream:
            while stream.read(1 << 16):
                pass


@pytest.mark.parametrize("content", [b"\x1f\x8b\x1b[31m\tx\n", b"\xff\x00\x1b]0;x\x07\n", b"BOORU\x1b\tFID\n"])
def test_a_header_with_control_bytes_is_one_clear_line(tmp_path, content):
    path = tmp_path / "V2021A_tags.tsv"
    path.write_bytes(content)
    with pytest.raises(BooruError, match=r"V2021A_tags\.tsv, line 1: this is not text that names columns") as caught:
        read_header(path, ["booru", "fid"])
    assert str(caught.value).isprintable()
