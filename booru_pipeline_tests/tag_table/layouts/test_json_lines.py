"""Posts as JSON lines, in the forms that boorus and people publish."""

import gzip
import json
import time

import pytest

from booru_pipeline.release.find import find_release
from booru_pipeline.tag_table.layouts import json_lines
from booru_pipeline_tests.tag_table.loading import accounted, assert_refused, load_found, rows

MD5 = "0123456789abcdef0123456789abcdef"
DANBOORU = {
    "id": 5,
    "md5": MD5,
    "file_ext": "jpg",
    "file_size": 7,
    "image_width": 30,
    "image_height": 40,
    "rating": "g",
    "score": -2,
    "source": "https://example.org/1",
    "tag_string": "1girl solo bob highres hatsune_miku vocaloid",
    "tag_string_general": "1girl solo",
    "tag_string_artist": "bob",
    "tag_string_copyright": "vocaloid",
    "tag_string_character": "hatsune_miku",
    "tag_string_meta": "highres",
}
OLDER = {
    "id": "6",
    "md5": MD5,
    "file_ext": "png",
    "file_size": "8",
    "image_width": "31",
    "image_height": "41",
    "rating": "s",
    "score": "3",
    "source": "",
    "tags": [
        {"id": "1", "name": "1boy", "category": "0"},
        {"id": "2", "name": "bob", "category": "1"},
        {"id": "3", "name": "highres", "category": "5"},
    ],
}
E621 = {
    "id": 7,
    "file": {"md5": MD5, "ext": "webm", "size": 9, "width": 32, "height": 42},
    "rating": "q",
    "score": {"up": 5, "down": -1, "total": 4},
    "sources": ["https://example.org/2", "https://example.org/3"],
    "tags": {
        "general": ["solo"],
        "species": ["canine"],
        "artist": ["ann"],
        "meta": ["hi_res"],
        "lore": [],
        "invalid": ["x"],
    },
}
MOEBOORU = {"id": 8, "booru": "yande.re", "tags": "blue_sky cloud", "md5": MD5, "width": 5, "height": 6, "rating": "e"}


def put(raw, *posts, name="posts.jsonl", end="\n"):
    raw.mkdir(exist_ok=True)
    lines = [post if isinstance(post, bytes) else json.dumps(post).encode() for post in posts]
    (raw / name).write_bytes(b"".join(line + end.encode() for line in lines))
    return raw


def test_each_form_gives_its_values(tmp_path):
    final = load_found(put(tmp_path / "raw", DANBOORU, OLDER, E621, MOEBOORU))
    wanted = "booru, fid, orig_md5, orig_ext, file_size, img_width_torr, img_height_torr, rating, score, source"
    assert rows(final, f"SELECT {wanted} FROM files ORDER BY fid") == [
        ("danbooru.donmai.us", 5, MD5, "jpg", 7, 30, 40, "g", -2, "https://example.org/1"),
        ("danbooru.donmai.us", 6, MD5, "png", 8, 31, 41, "s", 3, None),
        ("e621.net", 7, MD5, "webm", 9, 32, 42, "q", 4, "https://example.org/2"),
        ("yande.re", 8, MD5, None, None, 5, 6, "e", None, None),
    ]
    assert rows(final, "SELECT fid, tag, tag_id, tag_cat FROM tags ORDER BY fid, tag") == [
        (5, "1girl", 0, 0),
        (5, "bob", 0, 1),
        (5, "hatsune_miku", 0, 4),
        (5, "highres", 0, 5),
        (5, "solo", 0, 0),
        (5, "vocaloid", 0, 3),
        (6, "1boy", 1, 0),
        (6, "bob", 2, 1),
        (6, "highres", 3, 5),
        (7, "ann", 0, 1),
        (7, "canine", 0, -1),
        (7, "hi_res", 0, 5),
        (7, "solo", 0, 0),
        (7, "x", 0, -1),
        (8, "blue_sky", 0, 0),
        (8, "cloud", 0, 0),
    ]
    assert not accounted(final).rejects


ARRAYS = {
    "a line each": lambda posts: "[\n" + ",\n".join(posts) + "\n]\n",
    "beside the brackets": lambda posts: "[" + ",\n".join(posts) + "]",
    "comma first": lambda posts: "[" + posts[0] + "\n" + "".join(f", {post}\n" for post in posts[1:]) + "]\n",
    "one line": lambda posts: "[" + ",".join(posts) + "]",
    "e621's API": lambda posts: '{"posts":[' + ",".join(posts) + "]}",
    "a mark first": lambda posts: "\ufeff" + "\r\n".join(posts),
}


@pytest.mark.parametrize("form", ARRAYS)
def test_an_array_says_the_same_as_lines(tmp_path, form):
    posts = [json.dumps(post) for post in (DANBOORU, OLDER, E621)]
    final = load_found(put(tmp_path / "raw", ARRAYS[form](posts).encode(), name="posts.json", end=""))
    assert rows(final, "SELECT fid FROM files ORDER BY fid") == [(5,), (6,), (7,)]
    assert rows(final, "SELECT count(*) FROM tags") == [(14,)]
    assert not accounted(final).rejects


def test_a_release_of_several_files_names_the_file_of_a_bad_line(tmp_path):
    folder = tmp_path / "raw" / "danbooru 2021"
    folder.mkdir(parents=True)
    (folder / "posts-1.jsonl").write_text(json.dumps(DANBOORU))
    (folder / "posts-2.jsonl.gz").write_bytes(gzip.compress(json.dumps(OLDER).encode() + b"\n{\n"))
    final = load_found(tmp_path / "raw")
    assert rows(final, "SELECT fid FROM files ORDER BY fid") == [(5,), (6,)]
    assert rows(final, "SELECT line, reason, raw FROM rejects") == [(2, "not_json in posts-2.jsonl.gz", b"{")]


BAD = {
    b"{": "not_json",
    b"\xff{}": "not_utf8",
    b"7": "not_an_object",
    b"null": "not_an_object",
    b"[" * 100_000: "not_json",
    b'{"id":' + b"9" * 5000 + b', "tags": "a"}': "not_json",
    b'{"tags": "a"}': "no_id",
    b'{"id": true, "tags": "a"}': "no_id",
    b'{"id": null, "tags": "a"}': "no_id",
    b'{"id": "x", "tags": "a"}': "bad_number",
    b'{"id": 1.5, "tags": "a"}': "bad_number",
    b'{"id": 1}': "no_tags",
    b'{"id": 1, "tags": null}': "no_tags",
    b'{"id": 1, "tags": 5}': "bad_tags",
    b'{"id": 1, "tags": [5]}': "bad_tags",
    b'{"id": 1, "tags": [{"name": 5}]}': "bad_tags",
    b'{"id": 1, "tags": {"general": [null]}}': "bad_tags",
    b'{"id": 1, "tag_string_general": ["a"]}': "bad_tags",
    b'{"id": 1, "tags": "\\ud800"}': "not_utf8",
}


def test_a_line_that_is_no_post_is_rejected_with_its_bytes_and_a_blank_one_is_counted(tmp_path):
    final = load_found(put(tmp_path / "raw", DANBOORU, b"", *BAD, b" \t"))
    # The tags of a post without a number are rejected too.
    rejects = rows(final, "SELECT line, reason, raw FROM rejects WHERE source = 'files' ORDER BY line")
    assert [(line, reason) for line, reason, _ in rejects] == list(enumerate(BAD.values(), start=3))
    # What the loader itself finds wrong is kept as its fields.
    assert all(raw == line for (_, reason, raw), line in zip(rejects, BAD, strict=True) if reason != "bad_number")
    assert [item.blank for item in accounted(final).accounting] == [2, 0]


def test_numbers_and_texts_of_other_types_do_not_matter_where_nothing_needs_them(tmp_path):
    odd = {"id": 9, "tags": "a", "score": [], "rating": 5, "source": {}, "file": 3, "image_width": 1e400, "md5": None}
    final = load_found(put(tmp_path / "raw", odd))
    assert rows(final, "SELECT fid, score, source, img_width_torr, orig_md5 FROM files") == [
        (9, None, None, None, None)
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ["posts.jsonl has no posts", "Download it again"]),
        (b"\n\n", ["posts.jsonl has no posts"]),
        (b"<!DOCTYPE html><html>", ["posts.jsonl is an HTML or XML page"]),
        (b"\x1f\x8b\x08\0cut", ["posts.jsonl cannot be read to its end"]),
        (gzip.compress(json.dumps(DANBOORU).encode() * 99)[:-9], ["posts.jsonl cannot be read to its end"]),
        (b'{\n  "id": 1,\n  "tags": "a"\n}\n', ["posts.jsonl, line 1", "over several lines", "jq -c . FILE"]),
        (b'{"id": 1, "tags": "a"}\n{"id": \x1b[31m', ["posts.jsonl: 1 of 2", "line 2: not_json"]),
        (b'{"id": 1, "tags": ""}\n', ["posts.jsonl", "has a tag"]),
        (b'{"id": 1}\n', ["posts.jsonl: 1 of 1", "line 1: no_tags"]),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_remedy(tmp_path, content, says):
    assert_refused(put(tmp_path / "raw", content, end=""), *says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'[\n{"id": 1, "tags": "a"},\n', ["ends before its JSON array does", "Download it again"]),
        (b'[\n  {\n    "id": 1,\n    "tags": "a"\n  }\n]\n', ["line 2", "over several lines", "jq -c '.[]'"]),
    ],
)
def test_an_array_that_is_not_a_post_a_line_is_refused(tmp_path, content, says):
    assert_refused(put(tmp_path / "raw", content, name="posts.json", end=""), "posts.json", *says)


def test_an_endless_line_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "_LONGEST", 1 << 10)
    assert_refused(put(tmp_path / "raw", DANBOORU, b"[" + b"1," * 999), "posts.jsonl, line 2: longer than", "jq -c")


def test_a_hundred_thousand_tags_are_read_in_no_time(tmp_path):
    posts = [{**DANBOORU, "id": fid, "tag_string_general": " ".join(map(str, range(40)))} for fid in range(5000)]
    release = find_release(put(tmp_path / "raw", *posts), "posts")
    start = time.process_time()
    content = json_lines.read(release)
    assert sum(map(len, content.files.batches())) == 5000
    assert sum(map(len, content.tags.batches())) == 5000 * 44
    assert time.process_time() - start < 2  # 0.25 s of 20,000 posts a second, and room for a shared machine
