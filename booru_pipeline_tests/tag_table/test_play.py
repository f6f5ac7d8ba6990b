"""Scripts as people write them, and as an attacker would: what they leave, what is passed over, what is refused."""

import pytest

from booru_pipeline.errors import BooruError

START = """\
insert into files (booru, fid, file_name) values ('b', 1, 'a.gif'), ('b', 2, 'c.gif');
insert into tags (booru, fid, tag) values ('b', 1, 'x'), ('b', 2, 'y');
"""
ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c)"


def tags_of(content):
    return content.tables["tags"]["tag"].to_pylist()


def written(content, table="tags"):
    """Rows as (line, raw)."""
    return [(row["line"], row["raw"].decode()) for row in content.tables[table].to_pylist()]


@pytest.mark.parametrize(
    ("statements", "tags", "passed_over"),
    [
        ("insert into tags (booru, fid, tag) select booru, fid, tag || '2' from tags where fid = '1';", "x y x2", []),
        (
            "with a(t) as (values ('v'), ('w')) insert into tags (booru, fid, tag) select 'b', 1, t from a;",
            "x y v w",
            [],
        ),
        ("insert into tags select booru, fid, 'z', 1, 0, 'G' from files where file_name = \"c.gif\";", "x y z", []),
        (
            "insert into tags (booru, fid, tag) values ('b', 1, (select max(tag) from tags)), ('b', 2, 'z');",
            "x y y z",
            [],
        ),
        (
            "insert into tags (booru, fid, tag) values ('b', 1, lower('ABC')), ('b', 1, printf('%03d', 7));",
            "x y abc 007",
            [],
        ),
        ("insert into tags (booru, fid, tag) select 'b', 1, value from json_each('[\"i\", \"j\"]');", "x y i j", []),
        ("insert into tags (booru, fid, tag) values ('b', 1, 'r') returning tag;", "x y r", []),
        ("insert into tags (booru, fid, tag) values ('b', 1, 'x') on conflict do nothing;", "x y x", []),
        ("insert into main.\"tags\" (booru, fid, tag) values ('b', 1, 'a;b--c/*');", "x y a;b--c/*", []),
        ("insert into tags select * from tags where 0;", "x y", ["insert into tags (no row put in)"]),
        ("begin; insert into tags (tag) values ('z'); commit;", "x y z", ["begin", "commit"]),
        ("begin; insert into tags (tag) values ('z'); rollback;", "x y", ["begin", "rollback (1 row taken back)"]),
        ("savepoint a; insert into tags (tag) values ('z'); release a;", "x y z", ["savepoint a", "release a"]),
        ("delete from tags where tag = 'x';", "y", ["delete from tags (1 row taken back)"]),
        ("update tags set tag = upper(tag);", "X Y", ["update tags (2 rows changed)"]),
        (
            "replace into tags (booru, fid, tag) values ('b', 1, 'x'), ('b', 1, 'z');",
            "y x z",
            ["replace into tags (2 rows put in, 1 row taken back)"],
        ),
        (
            "insert or ignore into tags (booru, fid, tag) select 'b', 1, t from (select 'x' t union select 'z');",
            "x y z",
            ["insert or ignore into tags (1 row put in, 1 row there already)"],
        ),
        ("drop table if exists tags;", "", ["drop table if exists tags (2 rows taken back)"]),
        (
            "PRAGMA foreign_keys=on; pragma writable_schema = 1;",
            "x y",
            ["PRAGMA foreign_keys=on", "pragma writable_schema = 1"],
        ),
        (
            "vacuum; analyze; reindex; explain delete from tags;",
            "x y",
            ["vacuum", "analyze", "reindex", "explain delete from tags"],
        ),
        (
            "\n.mode csv\n.read it's.sql\n.shell touch trace\n# it's",
            "x y",
            [".mode csv", ".read it's.sql", ".shell touch trace"],
        ),
        ("\n.quit\ninsert into tags (tag) values ('z');", "x y", [".quit"]),
        (
            f"select * from tags; values (1); {ENDLESS} select * from c;",
            "x y",
            ["select * from tags", "values (1)", "with"],
        ),
        (
            'create index i on tags (tag); create unique index j on "files" (booru);',
            "x y",
            ["create index i", "create unique index j"],
        ),
        (
            "create view v as select booru, fid, tag || '2' from tags; insert into tags (booru, fid, tag) "
            "select * from v;",
            "x y x2 y2",
            ["create view v"],
        ),
        (
            "create table log (t); create trigger t after insert on tags begin insert into log values (new.tag); end;"
            "insert into tags (tag) values ('z'); insert into tags (tag) select t || '2' from log;",
            "x y z z2",
            ["create table log", "create trigger t"],
        ),
        (
            "create temp table h (t); create temp trigger t after insert on h begin insert into tags (tag) values "
            "(new.t); end; insert into h values ('z');",
            "x y z",
            ["create temp table h", "create temp trigger t"],
        ),
        (
            "create table h (t unique); insert into h values ('z'), ('z'); select 1 from h where f(t);",
            "x y",
            [
                "create table h",
                "insert into h: failed, UNIQUE constraint failed: h.t",
                "select 1 from h where f(t): failed, no such function: f",
            ],
        ),
        (
            "create virtual table f using fts5(x);",
            "x y",
            ["create virtual table f: failed, CREATE VTABLE f fts5 is not allowed"],
        ),
        ("alter table h rename to tags;", "x y", ["alter table h: failed, no such table: h"]),
        ("select '\x1b[31m;';", "x y", ["select '\\x1b[31m;'"]),
    ],
    ids=lambda value: value[:50].strip() if isinstance(value, str) and ";" in value else "",
)
def test_statements_do_what_the_shell_would_do(play, statements, tags, passed_over):
    content = play(START + statements)
    assert tags_of(content) == tags.split()
    words = [words for _, words in content.passed_over]
    assert len(words) == len(passed_over)
    for found, expected in zip(words, passed_over, strict=True):
        assert found == expected or (expected == "with" and found.startswith("with"))


def test_a_dump_of_the_origins_database_is_read_in_the_order_of_its_own_columns(play):
    content = play("""PRAGMA foreign_keys=OFF;
        BEGIN TRANSACTION;
        CREATE TABLE IF NOT EXISTS files (fid integer, booru text check (length(booru) > 0), primary key (booru, fid));
        INSERT INTO files VALUES(1,'b');
        CREATE TABLE tags (tag text, booru text, fid integer, foreign key (booru, fid) references files (booru, fid));
        INSERT INTO tags VALUES('it''s; x','b',1);
        INSERT INTO tags SELECT tag || 2, booru, fid FROM tags;
        CREATE INDEX idx_tag on tags (tag);
        COMMIT;""")
    assert content.tables["files"].select(["booru", "fid"]).to_pylist() == [{"booru": "b", "fid": "1"}]
    assert tags_of(content) == ["it's; x", "it's; x2"]
    words = ["PRAGMA foreign_keys=OFF", "BEGIN TRANSACTION", "CREATE TABLE IF NOT EXISTS files", "CREATE TABLE tags"]
    assert content.passed_over == [*zip([1, 2, 3, 5], words, strict=True), (8, "CREATE INDEX idx_tag"), (9, "COMMIT")]


def test_a_row_has_the_line_of_what_wrote_it_last_and_shows_what_it_is(play):
    content = play(
        START
        + """insert into tags (booru, fid, tag)
            values ('b', 1, 'p'),
                   ('b', 1, 'q');
        update tags set danb_fr = 'it''s' where tag = 'p';
        insert into tags (fid, tag) select x'ff', 2.5;"""
    )
    assert written(content) == [
        (2, "('b', 1, 'x')"),
        (2, "('b', 2, 'y')"),
        (6, "insert into tags (booru, fid, tag, danb_fr) values ('b', 1, 'p', 'it''s')"),
        (5, "('b', 1, 'q')"),
        (7, "insert into tags (fid, tag) values (x'ff', '2.5')"),
    ]
    assert content.tables["tags"]["is_text"].to_pylist() == [True] * 4 + [False]
    assert content.tables["tags"]["number"].to_pylist() == [1, 2, 3, 4, 5]


def test_text_that_is_no_text_is_told_apart(play):
    content = play(START + "insert into tags (tag) values (cast(x'ff' as text)), (char(55296)), (char(233));")
    assert tags_of(content)[2:] == [None, None, "é"]
    assert content.tables["tags"]["is_text"].to_pylist()[2:] == [False, False, True]


def test_rows_that_a_table_of_the_script_lacks_are_not_missed_in_silence(play):
    helpers = "create table h (t unique);\ninsert into h values ('p'), ('p');\ncreate table i as select t from h;\n"
    assert len(play(START + helpers).passed_over) == 3
    because = r"line 4, insert into h: UNIQUE constraint failed: h.t"
    with pytest.raises(BooruError, match=rf"line 6: 'insert into tags' reads what .* failed to make \({because}\)"):
        play(f"{START}{helpers}insert into tags (tag) select t from i;")
    with pytest.raises(BooruError, match=r"line 4: no such table: h \(line 3, create table h: no such function: f\)"):
        play(f"{START}create table h as select f(1);\ninsert into tags (tag) select * from h;")
    again = "drop table h; create table h (t); insert into h values ('p'); insert into tags (tag) select t from h;"
    assert tags_of(play(START + helpers + again)) == ["x", "y", "p"]


def test_many_statements_of_a_kind_are_one_entry_and_very_many_are_counted(play):
    assert play(START + "create table h (x);\n" + "insert into h values (1);\n" * 1200).passed_over == [
        (3, "create table h"),
        (4, "insert into h (and 1,199 more like it)"),
    ]
    passed_over = play(START + "".join(f".print {number}\n" for number in range(1200))).passed_over
    assert len(passed_over) == 1001
    assert passed_over[-1] == (1003, "200 more statements")
