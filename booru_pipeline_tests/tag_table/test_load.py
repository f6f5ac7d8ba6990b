import gzip
import json
from contextlib import contextmanager
from dataclasses import asdict

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record, read_record
from booru_pipeline.progress import Step
from booru_pipeline.release.find import Release, find_releases
from booru_pipeline.sample import generate
from booru_pipeline.tag_table.accounting import key_violations, summarise
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline_tests.tag_table import reference

RECORD = Record(stage="tag_table", release="2021a", key="key", inputs={"raw_release": "abc"})
FILES_HEADER = (
    "BOORU\tFID\tFILE_NAME\tTORR_MD5\tORIG_EXT\tORIG_MD5\tFILE_SIZE\tIMG_SIZE_TORR\tJQ\tTORR_PATH\t"
    "TAGS_COPYR\tTAGS_CHAR\tTAGS_ARTIST"
)
TAGS_HEADER = "BOORU\tFID\tTAG\tTAG_ID\tTAG_CAT\tDANB_FR"
ALL = TagTableOptions(max_reject_share=1)


def file_line(fid, size="10x20", name="a.jpg", booru="b"):
    return f"{booru}\t{fid}\t{name}\tt\tjpg\tABCD\t5\t{size}\t90\tp\tc\tch\tar"


def load(folder, files: bytes, tags: bytes, options=ALL):
    folder.mkdir(exist_ok=True)
    release = Release("2021a", folder / "V2021A_files.tsv", folder / "V2021A_tags.tsv")
    release.files.write_bytes(files)
    release.tags.write_bytes(tags)
    final = folder / "2021a.duckdb"
    load_release(release, final, Staging(folder / ".staging"), options, RECORD)
    return final


def rows(path, query):
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def join(*lines, end="\n"):
    return (end.join(lines) + end).encode()


def compare(path, files: bytes, tags: bytes):
    """Hold a loaded table against the reference."""
    expected = reference.load(files, tags)
    summary = summarise(path)
    for item in summary.accounting:
        assert item.holds
        counted = {name: value for name, value in asdict(item).items() if name != "source" and value}
        assert counted == {name: value for name, value in expected.accounting[item.source].items() if value}
    assert summary.rejects == dict(expected.rejects)
    content = {"files": reference.lines_of(files), "tags": reference.lines_of(tags)}
    for source, line, raw in rows(path, "SELECT source, line, raw FROM rejects"):
        assert raw == content[source][line - 1]
    assert key_violations(path) == {"repeated_files": 0, "repeated_tags": 0, "tags_without_file": 0}
    for booru, fid, file_name, orig_md5 in rows(path, "SELECT booru, fid, file_name, orig_md5 FROM files"):
        row = expected.files.pop((booru, fid))
        assert (file_name, orig_md5 or "") == (row.get("file_name", ""), row.get("orig_md5", "").lower())
    for booru, fid, tag, tag_id, tag_cat, danb_fr in rows(path, "SELECT * FROM tags"):
        row = expected.tags.pop((booru, fid, tag))
        given = row.get("danb_fr", "")
        assert (danb_fr or "") == ("" if given in reference.PLACEHOLDERS else given)
        number, category = (
            int(text) if text.strip() else None for text in (row.get("tag_id", ""), row.get("tag_cat", ""))
        )
        assert tag_id == number
        assert tag_cat == (category if category in (None, -1, 0, 1, 3, 4, 5) else -1)
    assert not expected.files
    assert not expected.tags


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("defects", [False, True])
def test_a_sample_release_is_what_its_truth_says(tmp_path, compress, defects):
    truths = generate(tmp_path / "raw", releases=["2021a", "2021b"], posts=300, compress=compress, defects=defects)
    for release, truth in zip(find_releases(tmp_path / "raw").releases, truths, strict=True):
        final = tmp_path / f"{release.key}.duckdb"
        load_release(release, final, Staging(tmp_path / ".staging"), ALL, RECORD)
        files, tags = summarise(final).accounting
        assert (files.lines_read, files.kept) == (truth.files_lines, truth.files_good)
        assert (tags.lines_read, tags.kept, tags.duplicates) == (
            truth.tags_lines,
            truth.tags_good,
            truth.duplicate_tag_rows,
        )
        assert files.rejected + tags.rejected == sum(truth.defects.values())
        assert rows(final, "SELECT DISTINCT shard FROM files") == [(f"Safebooru {release.key}",)]


def test_the_shared_releases_are_what_their_truth_says(shared, tmp_path):
    folder = shared / "data" / "releases"
    for release in find_releases(folder).releases:
        truth = json.loads((folder / f"{release.key}.truth.json").read_text())
        final = tmp_path / f"{release.key}.duckdb"
        load_release(release, final, Staging(tmp_path / ".staging"), TagTableOptions(), RECORD)
        summary = summarise(final)
        files, tags = summary.accounting
        assert files.holds
        assert tags.holds
        assert (files.lines_read, tags.lines_read) == (truth["files_lines"], truth["tags_lines"])
        assert files.kept == truth["files_good"]
        defects = truth["defects"]
        found = summary.rejects
        for source, reason, kind in [
            ("files", "bad_number", "files_bad_fid"),
            ("files", "short_line", "files_short_line"),
            ("files", "not_utf8", "files_invalid_utf8"),
            ("tags", "short_line", "tags_short_line"),
            ("tags", "empty_tag", "tags_empty_tag"),
            ("tags", "not_utf8", "tags_invalid_utf8"),
        ]:
            assert found.get((source, reason), 0) == defects.get(kind, 0)
        # The tags of files lines that are not UTF-8 are in the file; without their post, they are orphans too.
        orphans = found.get(("tags", "no_such_file"), 0) - defects.get("tags_orphan_row", 0)
        assert tags.kept + orphans + tags.duplicates == truth["tags_good"] + truth["duplicate_tag_rows"]


def test_quotes_wide_numbers_sizes_and_missing_last_fields_are_kept(tmp_path):
    files = join(
        FILES_HEADER,
        file_line(1, name='say "cheese".jpg'),
        file_line(2, size="0x0"),
        file_line(3, size=""),
        file_line(4, size=" 7 x 8 "),
        file_line(5, size="wide"),
        "\t".join(file_line(6).split("\t")[:-1]),
    )
    tags = join(TAGS_HEADER, 'b\t1\t"x"\t0\t-1\tG', "b\t2\ty\t\t\tG", "b\t3\tz\t9\t0", "b\t4\t>_<\t9\t0\t")
    final = load(tmp_path, files, tags)
    compare(final, files, tags)
    assert rows(final, "SELECT img_width_torr, img_height_torr FROM files ORDER BY fid") == [
        (10, 20),
        (0, 0),
        (None, None),
        (7, 8),
        (None, None),
        (10, 20),
    ]
    assert rows(final, "SELECT tag, tag_id, tag_cat, danb_fr FROM tags ORDER BY fid") == [
        ('"x"', 0, -1, "G"),
        ("y", None, None, "G"),
        ("z", 9, 0, None),
        (">_<", 9, 0, None),
    ]


def test_columns_are_read_by_name_in_any_order_and_case_and_extra_ones_are_ignored(tmp_path):
    names = FILES_HEADER.lower().split("\t")
    values = file_line(1).split("\t")
    files = join("\t".join(["new", *reversed(names)]), "\t".join(["?", *reversed(values)]))
    tags = join("tag\tfid\tbooru\tdanb_fr\ttag_cat\ttag_id", "x\t1\tb\tG\t0\t3")
    final = load(tmp_path, files, tags)
    assert rows(final, "SELECT booru, fid, orig_md5, img_width_torr, tags_artist FROM files") == [
        ("b", 1, "abcd", 10, "ar")
    ]
    assert rows(final, "SELECT * FROM tags") == [("b", 1, "x", 3, 0, "G")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_make_no_difference(tmp_path, end, mark):
    files = mark + join(FILES_HEADER, file_line(1), end=end)
    tags = mark + join(TAGS_HEADER, "b\t1\tx\t1\t0\tG", "b\t1\ty\t1\t0\tG", end=end).rstrip(b"\r\n")
    final = load(tmp_path, files, tags)
    assert rows(final, "SELECT tag, danb_fr FROM tags ORDER BY tag") == [("x", "G"), ("y", "G")]
    assert rows(final, "SELECT tags_artist FROM files") == [("ar",)]


def test_rejects_keep_the_line_number_and_the_bytes(tmp_path):
    files = join(FILES_HEADER, file_line(1))
    tags = TAGS_HEADER.encode() + b"\nb\t1\t\xff\xfe\t1\t0\tG\nb\t1\tx\t1\t0\tG\n\nb\t1\tx\t2\t0\tG\nb\t1\tx\t1\t0\tG\n"
    final = load(tmp_path, files, tags)
    assert rows(final, "SELECT * FROM rejects") == [
        ("tags", 2, "not_utf8", b"b\t1\t\xff\xfe\t1\t0\tG"),
        ("tags", 5, "conflicting_duplicate", b"b\t1\tx\t2\t0\tG"),
    ]
    assert rows(final, "SELECT duplicates, blank FROM accounting WHERE source = 'tags'") == [(1, 1)]


fields = st.sampled_from(
    [
        *["b", "c", "B ", "", "1", "2", "-1", "01", " 3 ", "99999999999999999999", "1x2", "1e1", "1.0", "0x1", "META"],
        *["x", "X", " x", "y", "e\u0301", "\u00e9", '"', ">_<"],
    ]
)
tag_lines = st.lists(
    st.one_of(
        st.lists(fields, min_size=1, max_size=8).map(lambda parts: "\t".join(parts).encode()),
        st.tuples(st.sampled_from("bc"), st.sampled_from("12"), st.sampled_from("xyz")).map(
            lambda key: f"{key[0]}\t{key[1]}\t{key[2]}\t7\t0\tG".encode()
        ),
        st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")),
    ),
    max_size=25,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tag_lines=tag_lines, fids=st.lists(st.sampled_from(["1", "2", "x", ""]), min_size=1, max_size=5))
def test_any_bytes_give_what_the_obvious_reference_gives(tmp_path, tag_lines, fids):
    files = join(FILES_HEADER, file_line(1), *[file_line(fid, booru="c") for fid in fids])
    tags = b"\n".join([TAGS_HEADER.encode(), *tag_lines, b"b\t1\tkeeps_the_table_nonempty\t7\t0\tG"]) + b"\n"
    compare(load(tmp_path, files, tags), files, tags)


def test_too_many_rejects_fail_name_the_lines_and_keep_the_former_table(tmp_path):
    files = join(FILES_HEADER, file_line(1))
    good = join(TAGS_HEADER, *[f"b\t1\ttag{number}\t1\t0\tG" for number in range(50)])
    final = load(tmp_path, files, good, TagTableOptions())
    with pytest.raises(BooruError, match=r"V2021A_tags\.tsv: 1 of 52 lines .*line 52: short_line"):
        load(tmp_path, files, good + b"b\t1\n", TagTableOptions())
    assert rows(final, "SELECT count(*) FROM tags") == [(50,)]
    assert read_record(final) == RECORD


def test_a_file_with_no_rows_is_named(tmp_path):
    with pytest.raises(BooruError, match=r"V2021A_tags\.tsv has a header and no rows"):
        load(tmp_path, join(FILES_HEADER, file_line(1)), join(TAGS_HEADER))
    assert not (tmp_path / "2021a.duckdb").exists()


def test_a_long_load_tells_which_file_and_how_far_it_is(tmp_path, monkeypatch):
    told = {}

    @contextmanager
    def noted(what, total=None, measure=None):
        told[what] = this = Step(what, total, measure)
        yield this

    monkeypatch.setattr("booru_pipeline.tag_table.load.step", noted)
    generate(tmp_path / "plain", releases=["2021a"], posts=30)
    generate(tmp_path / "gz", releases=["2021a"], posts=30, compress=True)
    for raw, known in (("plain", True), ("gz", False)):
        [release] = find_releases(tmp_path / raw).releases
        load_release(release, tmp_path / f"{raw}.duckdb", Staging(tmp_path / "s"), TagTableOptions(), RECORD)
        files, tags = told.pop("loading files"), told.pop("loading tags")
        for path, this in ((release.files, files), (release.tags, tags)):
            text = path.read_bytes() if known else gzip.decompress(path.read_bytes())
            assert this.done == len(text) - len(text.split(b"\n")[0]) - 1
            assert this.total == (len(text) if known else None)
