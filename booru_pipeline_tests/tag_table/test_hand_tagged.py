import contextlib
import sqlite3
from collections import Counter

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booru_pipeline import sql
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record, read_record
from booru_pipeline.release.find import Release
from booru_pipeline.release.layout import Layout
from booru_pipeline.release.names import canonical_tag
from booru_pipeline.tag_table.accounting import summarise
from booru_pipeline.tag_table.hand_tagged import LARGEST_SCRIPT, read_script
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions

RECORD = Record(stage="tag_table", release="manual_walfie", key="key", inputs={"raw_release": "abc"})
ALL = TagTableOptions(max_reject_share=1)
# As the origin's generator writes them: an older one with a size `WxH`, a newer one with a shard.
WALFIE = """\
INSERT INTO files (BOORU, FID, FILE_NAME, TORR_MD5, ORIG_EXT, ORIG_MD5, FILE_SIZE, IMG_SIZE_TORR, JQ, TORR_PATH, \
TAGS_COPYR, TAGS_CHAR, TAGS_ARTIST) VALUES
  ("danbooru_manual_walfie", 1, "a.gif", "AB", "gif", "AB", 5, "10x20", 100, "walfie", "hololive", "various", "walfie"),
  ("danbooru_manual_walfie", 2, "say ""hi""; it's.gif", "AC", "gif", "AC", 6, "0x0", 100, "walfie", "", "", "walfie")
;
insert into files (booru, fid, shard, file_name, torr_md5, orig_ext, orig_md5, file_size, width, height, jq, \
torr_path, tags_copyr, tags_char, tags_artist) values
  ("nobooru", 0, "manual_walfie_0", "c.gif", "ad", "gif", "ad", 7, 30, 40, 100, "walfie", "hololive", "", "walfie")
;
INSERT INTO tags (BOORU, FID, TAG, TAG_ID, TAG_CAT, DANB_FR) VALUES
  ("danbooru_manual_walfie", 1, "usada_pekora", 0, 4, "hololive"),
  ("danbooru_manual_walfie", 1, "carrot", 1, 0, "GENERAL")
;
insert into tags (tag, booru, fid) values ('>_<', 'nobooru', 0);
"""


def load(folder, script, options=ALL):
    folder.mkdir(exist_ok=True)
    path = folder / "walfie.sql"
    path.write_bytes(script if isinstance(script, bytes) else script.encode())
    final = folder / "manual_walfie.duckdb"
    load_release(
        Release("manual_walfie", path, path, Layout.SCRIPT), final, Staging(folder / ".staging"), options, RECORD
    )
    return final


def rows(path, query):
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_origins_script_becomes_a_tag_table(tmp_path):
    final = load(tmp_path, WALFIE, TagTableOptions())
    assert rows(final, "SELECT * EXCLUDE (torr_md5, jq, torr_path, tags_char, rating, score, source) FROM files") == [
        ("danbooru_manual_walfie", 1, "manual_walfie", "a.gif", "gif", "ab", 5, 10, 20, "hololive", "walfie"),
        ("danbooru_manual_walfie", 2, "manual_walfie", 'say "hi"; it\'s.gif', "gif", "ac", 6, 0, 0, None, "walfie"),
        ("nobooru", 0, "manual_walfie_0", "c.gif", "gif", "ad", 7, 30, 40, "hololive", "walfie"),
    ]
    assert rows(final, "SELECT * FROM tags ORDER BY booru, fid, tag_id") == [
        ("danbooru_manual_walfie", 1, "usada_pekora", 0, 4, "hololive"),
        ("danbooru_manual_walfie", 1, "carrot", 1, 0, None),
        ("nobooru", 0, ">_<", None, None, None),
    ]
    assert read_record(final) == RECORD
    files, tags = summarise(final).accounting
    assert files.holds
    assert tags.holds
    assert (files.lines_read, files.kept, tags.lines_read, tags.kept, files.header) == (3, 3, 3, 3, 0)


def test_without_column_names_the_number_of_values_says_which_columns_they_are(tmp_path):
    script = """
        insert into files values ('b', 1, 'my shard', 'f', 't', 'e', 'o', 9, 3, 4, 'j', 'p', 'co', 'ch', 'ar');
        insert into files values ('b', 2, 'f', 't', 'e', 'o', 9, ' 3 x 4 ', 'j', 'p', 'co', 'ch', 'ar');
        insert into tags values ('b', 2, 'x', 1, 0, 'G');
    """
    final = load(tmp_path, script)
    rest = ["f", "t", "e", "o", 9, 3, 4, "j", "p", "co", "ch", "ar"]
    assert rows(final, "SELECT * EXCLUDE (rating, score, source) FROM files") == [
        ("b", 1, "my shard", *rest),
        ("b", 2, "manual_walfie", *rest),
    ]
    with pytest.raises(BooruError, match=r"walfie\.sql, line 1: the row has 2 values"):
        load(tmp_path, "insert into files values ('b', 1);")


def test_every_row_is_kept_a_duplicate_or_a_reject_with_its_line_and_text(tmp_path):
    script = """insert into files (booru, fid, file_size) values ('b', 1, 5), ("b", 01, 5), ('b', 1, 6),
        ('', 2, 5), ('b', 'two', 5), ('b', 2.5, 5), ('b', 3, 'big'), ('b', 4, null), (x'ff', 5, 5);
        insert into tags (booru, fid, tag, tag_cat) values ('b', 1, 'x', 0), ('b', 1, 'x', '0'), ('b', 1, 'x', 4),
        ('b', 9, 'x', 0), ('b', 1, '', 0), (null, 1, 'y', 0), ('b', 1, 'y', 999), ('b', -1 + 2, 'z', -1);"""
    final = load(tmp_path, script)
    assert rows(final, "SELECT line, reason, decode(raw) FROM rejects WHERE source = 'files'") == [
        (1, "conflicting_duplicate", "('b', 1, 6)"),
        (2, "empty_booru", "('', 2, 5)"),
        (2, "bad_number", "('b', 'two', 5)"),
        (2, "bad_number", "('b', 2.5, 5)"),
        (2, "bad_number", "('b', 3, 'big')"),
        (2, "not_utf8", "(x'ff', 5, 5)"),
    ]
    assert rows(final, "SELECT line, reason, decode(raw) FROM rejects WHERE source = 'tags'") == [
        (3, "conflicting_duplicate", "('b', 1, 'x', 4)"),
        (4, "no_such_file", "('b', 9, 'x', 0)"),
        (4, "empty_tag", "('b', 1, '', 0)"),
        (4, "empty_booru", "(null, 1, 'y', 0)"),
        (4, "bad_number", "('b', 1, 'y', 999)"),
    ]
    assert rows(final, "SELECT fid, file_size FROM files") == [(1, 5), (4, None)]
    assert rows(final, "SELECT tag, tag_cat FROM tags ORDER BY tag") == [("x", 0), ("z", -1)]
    files, tags = summarise(final).accounting
    assert (files.lines_read, files.kept, files.duplicates, files.rejected) == (9, 2, 1, 6)
    assert (tags.lines_read, tags.kept, tags.duplicates, tags.rejected) == (8, 2, 1, 5)


def test_a_line_end_and_a_byte_order_mark_make_no_difference(tmp_path):
    expected = rows(load(tmp_path, WALFIE), "FROM tags ORDER BY ALL")
    assert (
        rows(load(tmp_path, b"\xef\xbb\xbf" + WALFIE.replace("\n", "\r\n").encode()), "FROM tags ORDER BY ALL")
        == expected
    )


# Value, and whether it can stand in the place: numbers, text with every quote, nothing.
texts = st.text(st.sampled_from("ab'\"`[];,()-/*\n é🐰"), max_size=6)
values = st.one_of(st.none(), st.integers(-3, 3), texts, st.sampled_from(["1", " 2 ", "b", ""]))


def literal(value, double):
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    quote = '"' if double else "'"
    return quote + value.replace(quote, 2 * quote) + quote


@st.composite
def scripts(draw):
    statements = []
    for table in draw(st.lists(st.sampled_from(["files", "TAGS"]), min_size=1, max_size=6)):
        names = ["booru", "FID", "file_name"] if table == "files" else ["booru", "FID", "tag"]
        row = st.tuples(st.sampled_from(["b", "c", ""]), values, values, st.booleans())
        listed = draw(st.lists(row, min_size=1, max_size=5))
        blank = draw(st.sampled_from([" ", "\n", " -- it's; (\n", '/* " ; */']))
        cut = [f"({', '.join(literal(value, double) for value in given)})" for *given, double in listed]
        statements.append(f"insert into{blank} {table} ({', '.join(names)}) values{blank}" + f",{blank}".join(cut))
    return ";\n".join(statements)


def plainly(script):
    """The rows of files and of tags that SQLite without any guard inserts."""
    with contextlib.closing(sqlite3.connect(":memory:")) as plain:
        plain.executescript(sql.statement("tag_table/hand_tagged", "sqlite_tables"))
        plain.executescript(script)
        files = plain.execute("select booru, fid, file_name from files").fetchall()
        return files, plain.execute("select booru, fid, tag from tags").fetchall()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=scripts())
def test_rows_are_what_plain_sqlite_inserts(tmp_path, script):
    files, tags = plainly(script)
    path = tmp_path / "any.sql"
    path.write_text(script)
    read = read_script(path).tables
    for table, name, expected in [("files", "file_name", files), ("tags", "tag", tags)]:
        found = zip(*(read[table][column].to_pylist() for column in ("booru", "fid", name)), strict=True)
        assert list(found) == [tuple(None if value is None else str(value) for value in row) for row in expected]


# Both tables need a row for a release to be one.
LEAST = "insert into files (booru, fid) values ('z', 1); insert into tags (booru, fid, tag) values ('z', 1, 'z');"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=scripts())
def test_any_rows_are_judged_as_the_obvious_reference_does(tmp_path, script):
    files, tags = plainly(script)
    final = load(tmp_path, f"{script};\n{LEAST}")
    kept, outcome = judge(files, tags)
    found = rows(final, "SELECT booru, fid, file_name FROM files WHERE booru != 'z'")
    assert {(booru, fid): name for booru, fid, name in found} == kept["files"]
    assert set(rows(final, "SELECT booru, fid, tag FROM tags WHERE booru != 'z'")) == set(kept["tags"])
    summary = summarise(final)
    assert summary.rejects == {key: count for key, count in outcome.items() if key[1] not in ("duplicate", "merged")}
    for item in summary.accounting:
        assert item.holds
        assert item.lines_read == len(files if item.source == "files" else tags) + 1
        assert (item.duplicates, item.merged) == (outcome[item.source, "duplicate"], outcome[item.source, "merged"])


def judge(files, tags):
    """The rules for a row in plain Python."""
    kept = {"files": {}, "tags": {}}
    outcome = Counter()
    for source, given_rows in (("files", files), ("tags", tags)):
        for booru, fid, name in given_rows:
            text = "" if name is None else str(name)
            number = str(fid).strip(" ") if fid is not None else ""
            digits = number.removeprefix("-")
            if not booru:
                outcome[source, "empty_booru"] += 1
            elif source == "tags" and not canonical_tag(text):
                outcome[source, "empty_tag"] += 1
            elif not (digits.isascii() and digits.isdigit()):
                outcome[source, "bad_number"] += 1
            elif source == "tags" and (booru, int(number)) not in kept["files"]:
                outcome[source, "no_such_file"] += 1
            else:
                key = (booru, int(number)) if source == "files" else (booru, int(number), canonical_tag(text))
                if key not in kept[source]:
                    kept[source][key] = text
                elif kept[source][key] == text:
                    outcome[source, "duplicate"] += 1
                else:
                    outcome[source, "merged" if source == "tags" else "conflicting_duplicate"] += 1
    return kept, outcome


def test_a_statement_that_was_allowed_once_is_asked_about_again(tmp_path):
    script = (
        "insert into files (booru, fid) values ('b', 1);" + 3000 * "insert into tags values ('b', 1, 'x', 1, 0, '');"
    )
    _, tags = summarise(load(tmp_path, script)).accounting
    assert (tags.lines_read, tags.kept, tags.duplicates) == (3000, 1, 2999)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"insert into tags (tag) values ('a'),\n('\xff');", r"line 2: is not UTF-8 text\. Save"),
        (b"insert into tags (tag) values ('a'),\n\n('\x00');", r"line 3: has a NUL byte\. Remove"),
        (b"insert into tags (booru, fid, tag) values ('b', 1, 'x');", "puts no row into files"),
        (b"insert into files (booru, fid) values ('b', 1);", "puts no row into tags"),
        (b"", "puts no row into files"),
    ],
)
def test_a_bad_file_is_named_with_the_remedy(tmp_path, content, says):
    with pytest.raises(BooruError, match=rf"walfie\.sql.*{says}"):
        load(tmp_path, content)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "walfie.sql"
    with path.open("wb") as file:
        file.truncate(LARGEST_SCRIPT + 1)
    with pytest.raises(BooruError, match=r"67,108,865 bytes.*Split it"):
        read_script(path)


def test_statements_that_put_no_row_in_are_kept_with_their_lines(tmp_path):
    script = f"pragma foreign_keys = on;\n{WALFIE}create table h (x);\ninsert into h values (1);\n"
    script += "insert into h values (2);\ndelete from tags where tag = 'carrot';"
    final = load(tmp_path, script, TagTableOptions())
    passed_over = [
        (1, "pragma foreign_keys = on"),
        (14, "create table h"),
        (15, "insert into h (and 1 more like it)"),
        (17, "delete from tags (1 row taken back)"),
    ]
    assert rows(final, "FROM passed_over") == passed_over
    assert summarise(final).passed_over == passed_over
    assert [item.lines_read for item in summarise(final).accounting] == [3, 2]


def test_a_script_with_tables_of_its_own_gives_the_rows_that_it_inserts(tmp_path, shared):
    final = load(tmp_path, (shared / "cases" / "aux_tables.sql").read_bytes(), TagTableOptions())
    assert rows(final, "SELECT fid, file_name FROM files ORDER BY fid") == [
        (1, "carrot_field.gif"),
        (2, "tea.png"),
        (101, "copy_of_carrot_field.gif"),
    ]
    assert rows(final, "SELECT fid, tag FROM tags ORDER BY fid, tag_id") == [
        *[(1, "usada_pekora"), (1, "carrot"), (2, "teacup"), (2, 'it\'s_"quoted"'), (2, "inkpot")],
        *[(101, "usada_pekora"), (101, "carrot"), (101, "animated")],
    ]
    assert [line for line, _ in summarise(final).passed_over] == [8, 9, 10, 11, 12]
    assert all(item.rejected == 0 for item in summarise(final).accounting)


def test_too_many_rejects_fail_and_keep_the_former_table(tmp_path):
    final = load(tmp_path, WALFIE)
    script = WALFIE + "insert into tags values ('nobooru', 7, 'x', 1, 0, '');"
    with pytest.raises(BooruError, match=r"1 of 4 rows of tags \(25\.0%\).*line 13: no_such_file"):
        load(tmp_path, script, TagTableOptions())
    assert rows(final, "SELECT count(*) FROM tags") == [(3,)]
