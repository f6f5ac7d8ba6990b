"""A Parquet of posts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booru_pipeline_tests.tag_table.loading import accounted, assert_refused, load_found, rows


def put(raw, columns, name="posts.parquet", **options):
    raw.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), raw / name, **options)
    return raw


TAGS = {
    "lists": [["solo", "hatsune miku"], []],
    "large lists": pa.array([["solo", "hatsune miku"], []], pa.large_list(pa.large_string())),
    "between commas": ["solo, hatsune miku", ""],
    "between spaces": [" solo  hatsune_miku", " "],
    "a dictionary": pa.array(["solo hatsune_miku", ""]).dictionary_encode(),
}


@pytest.mark.parametrize("form", TAGS)
@pytest.mark.parametrize("number", ["fid", "id", "post_id"])
def test_tags_come_as_lists_or_strings(tmp_path, form, number):
    final = load_found(put(tmp_path / "raw", {number: [5, 6], "tags": TAGS[form], "other": [{"x": 1}, {"x": 2}]}))
    assert rows(final, "SELECT * FROM tags ORDER BY tag DESC") == [
        ("danbooru.donmai.us", 5, "solo", 0, 0, None),
        ("danbooru.donmai.us", 5, "hatsune_miku", 0, 0, None),
    ]
    assert rows(final, "SELECT fid FROM files ORDER BY fid") == [(5,), (6,)]
    assert not accounted(final).rejects


def test_columns_of_data_sets_are_read(tmp_path):
    columns = {
        "id": [5.0, 6.0],  # as pandas has integers where one was missing
        "booru": ["yande.re", None],
        "tag_string": ["a b", "c"],
        "tag_string_general": ["a", "c"],
        "tag_string_character": ["b", None],
        "md5": ["AB" * 16, None],
        "rating": ["g", "explicit"],
        "score": [3.0, None],
        "image_width": [10, 20],
        "image_height": [30, 40],
        "file_ext": ["jpg", "png"],
        "source": ["x", None],
    }
    final = load_found(put(tmp_path / "raw", columns))
    wanted = "booru, fid, orig_md5, orig_ext, img_width_torr, img_height_torr, rating, score, source"
    assert rows(final, f"SELECT {wanted} FROM files ORDER BY fid") == [
        ("yande.re", 5, "ab" * 16, "jpg", 10, 30, "g", 3, "x"),
        ("danbooru.donmai.us", 6, None, "png", 20, 40, "e", None, None),
    ]
    assert rows(final, "SELECT fid, tag, tag_cat FROM tags ORDER BY tag") == [(5, "a", 0), (5, "b", 4), (6, "c", 0)]


@pytest.mark.parametrize("categories", [[[0, 4], [-1]], [["general", "character"], ["-1"]]])
def test_our_shards_are_a_release_with_their_categories(tmp_path, categories):
    columns = {
        "booru": ["b", "b"],
        "fid": [1, 2],
        "release": ["x"] * 2,
        "split": ["train"] * 2,
        "group_md5": ["a" * 32] * 2,
    }
    final = load_found(put(tmp_path / "raw", {**columns, "tags": [["a", "b"], ["c"]], "categories": categories}))
    assert rows(final, "SELECT tag, tag_cat FROM tags ORDER BY tag") == [("a", 0), ("b", 4), ("c", -1)]
    assert rows(final, "SELECT DISTINCT orig_md5 FROM files") == [("a" * 32,)]


def test_a_row_that_is_no_post_is_rejected_with_what_it_says(tmp_path):
    broken = pa.array([b"a", b"\xff", b"c", b"d", b"e"]).cast(pa.binary()).view(pa.string())
    columns = {
        "id": [1, 2, None, 4, 5],
        "tags": [["a"], ["b"], ["c"], None, ["e", "f"]],
        "categories": [[0], [0], [0], [], [0]],
        "source": broken,
    }
    final = load_found(put(tmp_path / "raw", columns, row_group_size=2))
    assert rows(final, "SELECT line, reason FROM rejects ORDER BY line") == [
        (2, "not_utf8"),
        (3, "no_id"),
        (4, "no_tags"),
        (5, "bad_tags"),
    ]
    assert rows(final, "SELECT raw FROM rejects WHERE line = 2") == [(b"2\t\xff\tb\t0",)]
    accounted(final)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"id": [1], "name": ["x"]}, ["posts.parquet has no column of tags", "id int64, name string", "Rename"]),
        ({"tags": [["x"]]}, ["has no column of an id", "tags list"]),
        ({"post": [1]}, ["an id and tags", "post int64"]),
        ({"id": [1], "tags\x1b[31m": ["x"]}, ["no column of tags", r"tags\x1b[31m string"]),
        ({"id": pa.array([], pa.int64()), "tags": pa.array([], pa.string())}, ["posts.parquet has no rows"]),
        ({"id": [1], "tags": [""]}, ["no post of", "has a tag"]),
    ],
)
def test_a_table_of_something_else_is_named_with_its_columns(tmp_path, columns, says):
    assert_refused(put(tmp_path / "raw", columns), "posts.parquet", *says)


def test_a_broken_file_is_named(tmp_path):
    raw = put(tmp_path / "raw", {"id": range(5000), "tags": [["a", str(number)] for number in range(5000)]})
    content = (raw / "posts.parquet").read_bytes()
    for broken in (b"", b"text\n", content[:-100], content[:200] + b"\0" * 400 + content[600:]):
        (raw / "posts.parquet").write_bytes(broken)
        assert_refused(raw, "posts.parquet is no Parquet file, or broken", "Download it again")
