"""What stands in real downloads, each wart in a file of its own and held against the reference."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booru_pipeline.errors import BooruError
from booru_pipeline.release.header import read_header
from booru_pipeline.tag_table.layouts.tsv import TAGS_COLUMNS
from booru_pipeline_tests.tag_table.test_load import FILES_HEADER, TAGS_HEADER, compare, file_line, join, load, rows

TAGS = join(TAGS_HEADER, "b\t1\tx\t7\t0\tG")
FILES = join(FILES_HEADER, file_line(1))


@pytest.mark.parametrize("upper", [True, False])
def test_the_bc_layout_has_danb_tag_and_leaves_empty_what_is_equal_to_the_tag(tmp_path, upper):
    header = "BOORU\tFID\tTAG\tTAG_ID\tTAG_CAT\tDANB_TAG"
    files = FILES_HEADER if upper else FILES_HEADER.lower()
    tags = join(
        header if upper else header.lower(), "b\t1\tlong_hair\t1\t0\t", "b\t1\tbaka\t1\t0\tfool", "b\t1\tlast\t1\t0"
    )
    final = load(tmp_path, join(files, file_line(1)), tags)
    assert rows(final, "SELECT tag, danb_fr FROM tags ORDER BY tag") == [
        ("baka", "fool"),
        ("last", None),
        ("long_hair", None),
    ]


def test_a_header_with_both_names_means_danb_fr(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text(f"{TAGS_HEADER}\tDANB_TAG\n")
    assert read_header(path, TAGS_COLUMNS) == [*TAGS_COLUMNS, "danb_tag"]


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [2, 0, 1, 3, 5, 4]])
@pytest.mark.parametrize("last_field", [True, False])
def test_any_column_may_be_the_last_one_that_a_line_lacks(tmp_path, order, last_field):
    names, values = TAGS_HEADER.split("\t"), ["b", "1", "x", "7", "0", "G"]
    line = [values[at] for at in order][: None if last_field else -1]
    tags = join("\t".join(names[at] for at in order), "\t".join(line), "\t".join("?" for _ in order))
    content = tags + "\t".join({"BOORU": "b", "FID": "1", "TAG": "y"}.get(names[at], "") for at in order).encode()
    final = load(tmp_path, FILES, content)
    compare(final, FILES, content)


def test_a_files_line_may_lack_any_last_column(tmp_path):
    for last in range(13):
        names, values = FILES_HEADER.split("\t"), file_line(1).split("\t")
        names.append(names.pop(last))
        values.pop(last)
        whole = file_line(2).split("\t")
        whole.append(whole.pop(last))
        files = join("\t".join(names), "\t".join(values), "\t".join(whole))
        compare(
            load(tmp_path, files, join(TAGS_HEADER, "b\t2\tx\t7\t0\tG")), files, join(TAGS_HEADER, "b\t2\tx\t7\t0\tG")
        )


def test_extra_columns_may_stand_anywhere(tmp_path):
    tags = join("NEW\tBOORU\tFID\tTAG\t\tTAG_ID\tTAG_CAT\tDANB_FR\tNEWER", "?\tb\t1\tx\t?\t7\t0\tG\t?")
    assert rows(load(tmp_path, FILES, tags), "SELECT * FROM tags") == [("b", 1, "x", 7, 0, "G")]


def test_nul_bytes_and_lone_carriage_returns_are_part_of_the_field_they_stand_in(tmp_path):
    files = join(FILES_HEADER, file_line(1, name="a\0b.jpg"), file_line(2, name="a\rb.jpg"))
    tags = join(TAGS_HEADER, "b\t1\tx\0y\t7\t0\tG", "b\t1\tx\ry\t7\t0\tG\0", "b\t1\t\0\t7\t0\t\r", "b\t1\tx\t7\0\t0\tG")
    final = load(tmp_path, files, tags)
    assert rows(final, "SELECT file_name FROM files ORDER BY fid") == [("a\0b.jpg",), ("a\rb.jpg",)]
    assert rows(final, "SELECT tag, danb_fr FROM tags ORDER BY tag") == [("x_y", "G\0"), ("xy", "G")]
    assert rows(final, "SELECT raw_tag FROM raw_tags ORDER BY raw_tag") == [("x\0y",), ("x\ry",)]
    assert rows(final, "SELECT * FROM rejects") == [
        ("tags", 4, "empty_tag", b"b\t1\t\0\t7\t0\t"),
        ("tags", 5, "bad_number", b"b\t1\tx\t7\0\t0\tG"),
    ]


def test_a_line_of_a_megabyte_is_kept_or_set_aside_whole(tmp_path):
    long = "x" * (1 << 20)
    tags = TAGS + join(f"b\t1\t{long}\t7\t0\tG", f"b\t1\t{long}") + f"b\t1\t{long}\t".encode() + b"\xff\n"
    final = load(tmp_path, FILES, tags)
    compare(final, FILES, tags)
    assert rows(final, "SELECT max(length(tag)) FROM tags") == [(1 << 20,)]
    assert rows(final, "SELECT line, reason, octet_length(raw) FROM rejects ORDER BY line") == [
        (4, "short_line", (1 << 20) + 4),
        (5, "not_utf8", (1 << 20) + 6),
    ]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"])
def test_the_end_of_the_file_may_be_any(tmp_path, end):
    tags = join(TAGS_HEADER, "b\t1\tx\t7\t0\tG", "b\t1\ty\t7\t0\tG").rstrip(b"\n") + end
    final = load(tmp_path, FILES.rstrip(b"\n") + end, tags)
    compare(final, FILES.rstrip(b"\n") + end, tags)
    assert rows(final, "SELECT tag, danb_fr FROM tags ORDER BY tag") == [("x", "G"), ("y", "G")]


def test_a_file_row_without_tags_stays(tmp_path):
    files = join(FILES_HEADER, file_line(1), file_line(2))
    final = load(tmp_path, files, TAGS)
    compare(final, files, TAGS)
    assert rows(final, "SELECT count(*) FROM files") == [(2,)]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *[("0x0", (0, 0)), ("", (None, None)), (" 7 x 8 ", (7, 8)), ("7X8", (None, None)), ("7", (None, None))],
        *[("7x", (None, None)), ("-7x8", (None, None)), ("9999999999x1", (None, None)), ("x", (None, None))],
    ],
)
def test_sizes(tmp_path, text, size):
    final = load(tmp_path, join(FILES_HEADER, file_line(1, size=text)), TAGS)
    assert rows(final, "SELECT img_width_torr, img_height_torr FROM files") == [size]


NUMBERS = {
    "7": 7,
    " 7 ": 7,
    "007": 7,
    "-7": -7,
    "": None,
    "  ": None,
    **dict.fromkeys(
        ["7.0", "1e2", "1_0", "0x1F", "+7", "7 7", "\u00a07", "\uff17", "99999999999999999999"], "bad_number"
    ),
}


@pytest.mark.parametrize("column", ["fid", "file_size", "tag_id", "tag_cat"])
@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_digits_and_perhaps_a_minus_sign_and_spaces(tmp_path, column, text):
    expected = NUMBERS[text]
    if column == "fid" and expected is None:
        expected = "bad_number"
    files = [name.lower() for name in FILES_HEADER.split("\t")]
    values = file_line(1).split("\t")
    if column in ("fid", "file_size"):
        values[files.index(column)] = text
        content = (
            join(FILES_HEADER, file_line(1, booru="other"), "\t".join(values)),
            join(TAGS_HEADER, "other\t1\tx\t7\t0\tG"),
        )
        query = f"SELECT {column} FROM files WHERE booru = 'b'"
    else:
        row = ["b", "1", "y", "7", "0", "G"]
        row[TAGS_COLUMNS.index(column)] = text
        content = FILES, TAGS + join("\t".join(row))
        query = f"SELECT {column} FROM tags WHERE tag = 'y'"
    final = load(tmp_path, *content)
    compare(final, *content)
    if expected == "bad_number":
        assert rows(final, query) == []
        assert rows(final, "SELECT reason FROM rejects") == [("bad_number",)]
    elif column == "tag_cat" and expected is not None:
        assert rows(final, query) == [(-1,)]  # none of Danbooru's
        assert rows(final, "SELECT raw_tag, raw_cat FROM raw_tags") == [("y", expected)]
    else:
        assert rows(final, query) == [(expected,)]


@pytest.mark.parametrize(
    ("text", "category"), [("-1", -1), ("", None), ("4", 4), *[(number, -1) for number in ("2", "8", "127", "-128")]]
)
def test_categories_that_danbooru_has_not_are_uncatalogued(tmp_path, text, category):
    final = load(tmp_path, FILES, join(TAGS_HEADER, f"b\t1\tx\t0\t{text}\tG"))
    assert rows(final, "SELECT tag_id, tag_cat FROM tags") == [(0, category)]


@pytest.mark.parametrize("text", ["128", "-129", "300"])
def test_a_category_that_does_not_fit_is_rejected(tmp_path, text):
    final = load(tmp_path, FILES, TAGS + join(f"b\t1\ty\t0\t{text}\tG"))
    assert rows(final, "SELECT line, reason FROM rejects") == [(3, "bad_number")]


def test_repeats_next_to_each_other_and_far_apart_count_once_and_the_first_one_stays(tmp_path):
    many = [f"b\t1\ttag{number}\t7\t0\tG" for number in range(100_000)]
    tags = join(TAGS_HEADER, many[0], *many, many[0], many[0].replace("7", "8"), many[99_999], many[5].replace("G", ""))
    final = load(tmp_path, FILES, tags)
    compare(final, FILES, tags)
    assert rows(final, "SELECT duplicates, rejected FROM accounting WHERE source = 'tags'") == [(3, 2)]
    assert rows(final, "SELECT line, reason FROM rejects ORDER BY line") == [
        (100_004, "conflicting_duplicate"),
        (100_006, "conflicting_duplicate"),
    ]


def test_rows_stand_in_the_order_of_the_file(tmp_path):
    tags = [f"tag{number * 7919 % 50_000}" for number in range(50_000)]
    content = join(TAGS_HEADER, *[f"b\t1\t{tag}\t7\t0\tG" for tag in tags], "b\t1\t\t7\t0\tG")
    assert rows(load(tmp_path, FILES, content), "SELECT tag FROM tags") == [(tag,) for tag in tags]


columns = st.permutations(["BOORU", "FID", "TAG", "TAG_ID", "TAG_CAT", "DANB_FR", "EXTRA"])
values = st.fixed_dictionaries(
    {
        "BOORU": st.sampled_from(["b", "b", "c", ""]),
        "FID": st.sampled_from(["1", "1", " 1", "01", "1.0", "2", "x", ""]),
        "TAG": st.sampled_from(["x", "y", '"', "", "é", "\0", "\r"]),
        "TAG_ID": st.sampled_from(["0", "7", "", " ", "1e1", "0x1"]),
        "TAG_CAT": st.sampled_from(["0", "-1", "", "127", "128", "-129", "4 "]),
        "DANB_FR": st.sampled_from(["G", "", " "]),
        "EXTRA": st.just("?"),
    }
)
mutations = st.sampled_from([None, None, None, "drop", "add", "break", "blank"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=columns, lines=st.lists(st.tuples(values, mutations), max_size=20), end=st.sampled_from(["\n", "\r\n"]))
def test_near_valid_lines_in_any_column_order_give_what_the_reference_gives(tmp_path, order, lines, end):
    content = ("\t".join(order) + end).encode()
    good = {"BOORU": "b", "FID": "1", "TAG": "k", "TAG_ID": "0", "TAG_CAT": "0", "DANB_FR": "G", "EXTRA": "?"}
    for row, mutation in [*lines, (good, None)]:
        line = "\t".join(row[name] for name in order).encode()
        changed = {"drop": line.rpartition(b"\t")[0], "add": line + b"\t?\t?", "break": line + b"\xff", "blank": b""}
        content += changed.get(mutation, line) + end.encode()
    compare(load(tmp_path, FILES, content), FILES, content)


@pytest.mark.parametrize("missing", TAGS_COLUMNS)
def test_a_column_that_is_missing_is_named(tmp_path, missing):
    header = "\t".join(name for name in TAGS_COLUMNS if name != missing)
    with pytest.raises(BooruError, match=f"V2021A_tags.tsv, line 1: column {missing.upper()} is missing"):
        load(tmp_path, FILES, join(header, "b\t1\tx\t7\t0"))
