import os

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.release.find import find_release
from booru_pipeline.release.fingerprint import release_fingerprint
from booru_pipeline.release.header import read_header
from booru_pipeline.sample import generate


@pytest.fixture
def release(tmp_path):
    generate(tmp_path / "raw", releases=["2021a"], posts=20)
    return find_release(tmp_path / "raw", "2021a")


def test_one_changed_byte_changes_it_even_with_the_old_size_and_time(release, tmp_path):
    cache = tmp_path / "cache.json"
    before = release_fingerprint(release, cache)
    assert release_fingerprint(release, cache) == before
    stat = release.tags.stat()
    content = bytearray(release.tags.read_bytes())
    content[-2] ^= 1
    release.tags.write_bytes(content)
    os.utime(release.tags, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert release_fingerprint(release, cache) != before


def test_it_does_not_depend_on_where_the_files_lie_or_on_the_cache(release, tmp_path):
    before = release_fingerprint(release, tmp_path / "cache.json")
    (tmp_path / "cache.json").write_text("not json")
    assert release_fingerprint(release, tmp_path / "cache.json") == before
    (tmp_path / "raw").rename(tmp_path / "moved")
    assert release_fingerprint(find_release(tmp_path / "moved", "2021a"), tmp_path / "cache.json") == before


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_is_named(tmp_path, content):
    path = tmp_path / "V2021A_tags.tsv"
    path.write_bytes(content)
    with pytest.raises(BooruError, match=r"V2021A_tags\.tsv is empty"):
        read_header(path, ["booru"])


def test_a_missing_column_is_named_with_file_and_line(tmp_path):
    path = tmp_path / "V2021A_tags.tsv"
    path.write_text("BOORU\tFID\tTAG\n")
    with pytest.raises(BooruError, match=r"V2021A_tags\.tsv, line 1: column TAG_CAT is missing"):
        read_header(path, ["booru", "fid", "tag", "tag_cat"])
