"""A folder of caption files."""

from booru_pipeline_tests.tag_table.loading import accounted, assert_refused, load_found, rows

MD5 = "0123456789abcdef0123456789abcdef"


def put(raw, **captions):
    for name, text in captions.items():
        path = raw / "walfie" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return raw


def test_a_caption_is_a_post_with_the_tags_between_commas_and_lines(tmp_path):
    raw = put(tmp_path / "raw", danbooru_12="\ufeff1girl, hatsune miku \\(cosplay\\),, solo\r\nx:3\n")
    (raw / "walfie" / "danbooru_12.PNG").touch()
    final = load_found(raw)
    assert rows(final, "SELECT booru, fid, tag, tag_cat, danb_fr FROM tags ORDER BY tag") == [
        ("walfie", 12, "1girl", 0, None),
        ("walfie", 12, "hatsune_miku_(cosplay)", 0, None),
        ("walfie", 12, "solo", 0, None),
        ("walfie", 12, "x:3", 0, None),
    ]
    assert rows(final, "SELECT booru, fid, shard, file_name, orig_ext, orig_md5 FROM files") == [
        ("walfie", 12, "walfie", "danbooru_12.PNG", "png", None)
    ]


def test_ids_come_from_names_and_are_told_apart(tmp_path):
    raw = put(tmp_path / "raw", **{"7": "a", "10_x__7": "b", "8": "c", MD5: "d", f"danbooru_9_{MD5}": "e", "img": ""})
    final = load_found(raw)
    found = dict(rows(final, "SELECT tag, fid FROM tags"))
    assert (found["c"], found["e"]) == (8, 9)
    assert len(set(found.values())) == 5
    assert all(found[tag] > 1 << 40 for tag in "abd")
    assert rows(final, "SELECT count(*) FROM files") == [(6,)]  # one has no tags
    assert rows(final, "SELECT count(*) FROM files WHERE orig_md5 = ?".replace("?", f"'{MD5}'")) == [(2,)]
    elsewhere = put(tmp_path / "other" / "raw", **{"7": "a", "10_x__7": "b"})
    again = load_found(elsewhere)
    assert dict(rows(again, "SELECT tag, fid FROM tags")) == {tag: found[tag] for tag in "ab"}


def test_what_is_no_text_is_rejected_and_its_file_named(tmp_path):
    raw = put(tmp_path / "raw", a="x", b=b"\xff\xfe", c=b"a\0b", d=b"x" * (1 << 21))
    (raw / "walfie" / "README.txt").write_text("no caption")
    final = load_found(raw)
    assert rows(final, "SELECT line, reason, raw[:7] FROM rejects ORDER BY line") == [
        (2, "not_utf8 in b.txt", b"b.txt\t\xff"),
        (3, "not_text in c.txt", b"c.txt\ta"),
        (4, "too_long in d.txt", b"d.txt\tx"),
    ]
    accounted(final)
    assert_refused(raw, "walfie: 3 of 4", "line 2: not_utf8 in b.txt")


def test_captions_without_any_tag_are_refused(tmp_path):
    assert_refused(put(tmp_path / "raw", a="", b=" ,\n"), "no caption in", "walfie has a tag", "Write tags")


def test_a_caption_that_cannot_be_read_is_named(tmp_path):
    raw = put(tmp_path / "raw", a="x")
    (raw / "walfie" / "b.txt").symlink_to(raw / "walfie" / "a.txt")
    final = load_found(raw)
    assert accounted(final).accounting[0].kept == 2
