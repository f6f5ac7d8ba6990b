"""The author's merged sets: BC_posts.tsv and BC_tags.tsv."""

import gzip

import pytest

from booru_pipeline_tests.tag_table.loading import accounted, assert_refused, load_found, rows

POSTS = "BOORU\tFID\tORIG_MD5\nb\t1\tAB\nb\t2\t\n"
TAGS = "BOORU\tFID\tTAG\tTAG_ID\tTAG_CAT\tDANB_TAG\nb\t1\tx\t7\t4\tvocaloid\nb\t2\ty\t8\t0\t\n"


def put(folder, posts=POSTS, tags=TAGS):
    folder.mkdir(parents=True)
    (folder / "BC_posts.tsv").write_text(posts)
    (folder / "BC_tags.tsv.gz").write_bytes(gzip.compress(tags.encode()))


@pytest.mark.parametrize(("folder", "shard"), [(".", "bc"), ("Safebooru 2023a", "Safebooru 2023a"), ("all", "all")])
def test_a_merged_set_is_a_release(tmp_path, folder, shard):
    put(tmp_path / "raw" / folder)
    final = load_found(tmp_path / "raw")
    assert rows(final, "SELECT * FROM tags ORDER BY tag") == [
        ("b", 1, "x", 7, 4, "vocaloid"),
        ("b", 2, "y", 8, 0, None),
    ]
    assert rows(final, "SELECT fid, shard, orig_md5, torr_path FROM files ORDER BY fid") == [
        (1, shard, "ab", None),
        (2, shard, None, None),
    ]
    assert not accounted(final).rejects


def test_booru_id_and_tag_are_all_that_it_needs(tmp_path):
    put(tmp_path / "raw", "FID\tBOORU\n1\tb\n", "TAG\tBOORU\tFID\nx\tb\t1\n")
    final = load_found(tmp_path / "raw")
    assert rows(final, "SELECT booru, fid, tag, tag_cat FROM tags") == [("b", 1, "x", None)]


@pytest.mark.parametrize(
    ("posts", "tags", "says"),
    [
        ("BOORU\nb\n", TAGS, ["BC_posts.tsv, line 1: column FID is missing"]),
        (POSTS, "BOORU\tFID\nb\t1\n", ["BC_tags.tsv.gz, line 1: column TAG is missing"]),
        ("", TAGS, ["BC_posts.tsv is empty"]),
        (TAGS, "x", ["BC_tags.tsv.gz, line 1: column BOORU is missing"]),
    ],
)
def test_a_set_without_them_is_refused(tmp_path, posts, tags, says):
    put(tmp_path / "raw", posts, tags)
    assert_refused(tmp_path / "raw", *says)
