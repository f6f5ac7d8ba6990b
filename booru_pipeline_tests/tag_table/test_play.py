"""Scripts as people write them, and as an attacker would: what they leave, what is passed over, what is refused."""

import os
import random
import time

import pytest

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.tag_table import sandbox
from booru_pipeline.tag_table.hand_tagged import read_script
from booru_pipeline.tag_table.sandbox import LARGEST_ROW, MOST_SECONDS

MUTATIONS = int(os.environ.get("BOORU_MUTATIONS", "300"))  # read here, since tests do not see BOORU_ settings

START = """\
insert into files (booru, fid, file_name) values ('b', 1, 'a.gif'), ('b', 2, 'c.gif');
insert into tags (booru, fid, tag) values ('b', 1, 'x'), ('b', 2, 'y');
"""
ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c)"


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Reads a script that lies in an empty folder, which is the current one too, and sees that it leaves no trace."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = folder / "walfie.sql"

    def read(script):
        path.write_bytes(script if isinstance(script, bytes) else script.encode())
        try:
            return read_script(path)
        finally:
            assert [item.name for item in folder.iterdir()] == ["walfie.sql"]

    return read


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
        (6, "INSERT INTO tags (booru, fid, tag, danb_fr) VALUES ('b', 1, 'p', 'it''s')"),
        (5, "('b', 1, 'q')"),
        (7, "INSERT INTO tags (fid, tag) VALUES (x'ff', '2.5')"),
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


OUTSIDE = "may use nothing but its own tables; remove that statement"
SMALLER = "Bound it, by LIMIT or WHERE, or remove that statement"
CORRECT = "Correct or remove that statement"


@pytest.mark.parametrize(
    ("statement", "says", "remedy"),
    [
        ("ATTACH 'other.db' AS other;", "ATTACH is not allowed", OUTSIDE),
        ("VACUUM INTO 'copy.db';", "VACUUM is not allowed", OUTSIDE),
        ("select load_extension('evil');", "load_extension is not allowed", OUTSIDE),
        ("create table h as select writefile('trace', 'x');", "writefile is not allowed", OUTSIDE),
        ("INSERT INTO tags (tag) VALUES (readfile('walfie.sql'));", "readfile is not allowed", OUTSIDE),
        ("create view h as select 1; create table i as select edit('x') from h;", "edit is not allowed", OUTSIDE),
        ("insert into tags (tag) values (randomblob(9));", "FUNCTION randomblob is not allowed", CORRECT),
        ("insert into tags (tag) values (random());", "FUNCTION random is not allowed", CORRECT),
        ("insert into tags (tag) values (current_timestamp);", "current_timestamp is not allowed", CORRECT),
        ("insert into tags (tag) select name from pragma_table_info('tags');", "pragma_table_info", CORRECT),
        ("insert into tags (tag) select name from dbstat;", "READ dbstat name is not allowed", CORRECT),
        ("create temp table files (booru);", "would hide the table files", "another name"),
        ("create table temp.tags as select 1;", "would hide the table tags", "another name"),
        ('create view "Tags" as select 1;', "would hide the table tags", "another name"),
        ("create table files as select 1 as booru;", "can only be made by a list of its columns", "Fill it by INSERT"),
        ("create table tags (;);", "not closed before the semicolon", CORRECT),
        ("alter table tags add column colour;", "would change what the release is read from", CORRECT),
        ("insert into tags (rowid, tag) values (77, 'x');", "to choose the rowid of a row of tags", CORRECT),
        ("update tags set rowid = 9 where tag = 'x';", "UPDATE tags ROWID is not allowed", CORRECT),
        ("insert into tags (colour) values ('x');", "no column named colour", CORRECT),
        ("insert into tags (fid, tag) values ('x');", "1 values for 2 columns", CORRECT),
        ("insert into tags (tag) values (?);", "variable", CORRECT),
        (
            "insert into tags (booru, fid, tag) values ('b', 1, 'x') on conflict (tag) do nothing;",
            "ON CONFLICT",
            "INSERT OR",
        ),
        (
            "create trigger t after insert on tags begin insert into tags (tag) values ('x'); end;\n"
            "insert into tags (tag) values ('x');",
            "too many levels of trigger recursion",
            CORRECT,
        ),
        ("begin; insert into tags (tag) values ('x');", "'begin' is never committed", "Add COMMIT"),
        ("create table h (x unique); begin; insert or rollback into h values (1), (1); commit;", "UNIQUE", CORRECT),
        ("hello world;", "'hello world' is no statement of SQL", CORRECT),
        ("create table h (a, b", "is not whole", "get the file again if it was cut off"),
        ("insert into tags (tag) values ('x", "never closed", "get the file again if it was cut off"),
        ("insert into tags (tag) values (" + "(" * 500 + "1" + ")" * 500 + ");", "line 3: ", CORRECT),
        ("insert into tags (tag) values (" + "1+" * 500 + "1);", "depth", CORRECT),
        ("insert into tags (tag) values ('" + "x" * LARGEST_ROW + "');", "longer than 1,048,576 characters", CORRECT),
        (
            "insert into tags (tag) select printf('%65000s', '') || printf('%999s', '');",
            "longer than 65,536 bytes",
            CORRECT,
        ),
        ("insert into tags (tag) select no_such_column from tags;", "no_such_column", CORRECT),
    ],
    ids=lambda value: value[:60].strip() if ";" in value else "",
)
def test_what_is_not_allowed_or_wrong_is_refused_with_line_and_remedy(play, statement, says, remedy):
    with pytest.raises(BooruError) as refusal:
        play(START + statement)
    message = str(refusal.value)
    assert "walfie.sql, line " in message
    assert says in message
    assert remedy in message
    assert len(message) < 500
    assert printable(message) == message


WIDE = "(select replace(printf('%60000s', ''), ' ', 'a') || x as wide, x from c limit 1000000)"


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (f"create table h as {ENDLESS} select x from c where x < 0;", "more than 1,000,000 steps"),
        (f"insert into tags (tag) {ENDLESS} select x from c where x < 0;", "more than 1,000,000 steps"),
        (f"insert into tags (tag) values (({ENDLESS} select max(x) from c));", "more than 1,000,000 steps"),
        (
            f"create table n as {ENDLESS} select x from c limit 500; insert into tags (tag) select a.x "
            "from n a, n b, n c, n d where a.x + b.x + c.x + d.x < 0;",
            "more than 1,000,000 steps",
        ),
        (f"create table h as {ENDLESS} select wide from {WIDE} order by wide;", "more than 64 MiB of memory"),
        ("create table h as select printf('%60000s', '') as p;" + "insert into h select p from h;" * 20, "more memory"),
        (f"insert into tags (tag) {ENDLESS} select x from c limit 5000;", "more than 3,000 rows into tags"),
        (
            f"create table h as {ENDLESS} select sum(instr(wide, substr(wide, 1, 30000) || 'b')) from {WIDE};",
            "more than 1 seconds",
        ),
        (
            f"create table h as {ENDLESS} select sum(length(trim(wide, wide || 'b'))) from {WIDE};",
            "more than 1 seconds",
        ),
    ],
    ids=[
        "recursion",
        "recursion into tags",
        "recursion in a row",
        "cross join",
        "memory",
        "doubling",
        "rows",
        "instr",
        "trim",
    ],
)
def test_what_takes_too_much_is_stopped_with_line_and_remedy(play, monkeypatch, statement, says):
    monkeypatch.setattr(sandbox, "MOST_STEPS", 1_000_000)
    monkeypatch.setattr(sandbox, "MOST_SECONDS", 1)
    monkeypatch.setattr(sandbox, "MOST_ROWS", 3000)
    monkeypatch.setattr(sandbox, "MOST_MEMORY", (64 if "memory" in says and "64" in says else 2048) << 20)
    began = time.monotonic()
    with pytest.raises(BooruError, match=r"walfie\.sql, line 3: the script ") as refusal:
        play(START + statement)
    assert says in str(refusal.value)
    assert SMALLER in str(refusal.value)
    assert time.monotonic() - began < 10


SCRIPT = (
    START
    + '''
-- Helper tables; it's "quoted".
begin; create temp table steps as
  with recursive s(x) as (select 0 union all select x + 1 from s limit 12) select x from s;
create table frame_counts (booru text not null, fid integer not null, frames integer, primary key (booru, fid));
insert into frame_counts (booru, fid, frames) values ("b", 1, 3), ('b', 2, 0x10);
create trigger t after insert on frames begin update frame_counts set frames = 1; end;
insert into files (booru, fid, shard) select f.booru, f.fid + s.x, printf('%d', s.x) from frame_counts f join steps s;
/* more */ insert or replace into tags (booru, fid, tag) select booru, fid + 100, trim(tag) || "'"
  from tags where fid = 1;
delete from tags where fid = 1; update tags set tag = lower(tag); commit;
.read other.sql
insert into tags (booru, fid, tag, tag_id, tag_cat, danb_fr) values
  ("b", 101, "it's_""it""", 6, 5, "META"), ('b', 2, '', -1, null, x'00');
'''
)
PARTS = [
    b"'",
    b'"',
    b";",
    b"(",
    b")",
    b",",
    b"--",
    b"/*",
    b"\n.",
    b"\xff",
    b"\x00",
    b"select ",
    b" from tags",
    b" limit 9",
    b"9" * 30,
]
PARTS += [
    b" values ",
    b"begin;",
    b" end;",
    b"rollback;",
    b"drop table tags;",
    b"attach 'x' as y;",
    b"||",
    b"*",
    b"with ",
    b"create ",
]


def mutated(chance):
    """The script with one or two wounds: a byte changed, a piece lost, doubled, or put elsewhere, the end cut off."""
    text = bytearray(SCRIPT.encode())
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(text) + 1)
        size = chance.choice([1, 2, 10, 100])
        piece = bytes(text[at : at + size])
        match chance.randrange(7):
            case 0 if at < len(text):
                text[at] = chance.randrange(256)
            case 1 if at < len(text):
                text[at] ^= 1 << chance.randrange(7)
            case 2:
                del text[at : at + size]
            case 3:
                text[at:at] = piece
            case 4:
                where = chance.randrange(len(text) + 1)
                text[where:where] = piece
            case 5:
                text[at:at] = chance.choice(PARTS)
            case 6 if chance.random() < 0.3 and at:
                del text[at:]
    return bytes(text)


def test_a_broken_script_is_read_or_refused_in_words_and_never_hangs(play, monkeypatch):
    if MUTATIONS <= 1000:  # an endless one is stopped all the same
        monkeypatch.setattr(sandbox, "MOST_STEPS", 1_000_000)
    assert len(play(SCRIPT).tables["tags"]) == 4
    outcomes = {"read": 0, "refused": 0}
    messages = []
    for seed in range(MUTATIONS):
        script = mutated(random.Random(seed))
        began = time.monotonic()
        try:
            content = play(script)
            outcomes["read"] += 1
            for table in content.tables.values():
                assert table["line"].null_count == table["raw"].null_count == 0
                table.validate(full=True)
            assert all(printable(words) == words for _, words in content.passed_over)
        except BooruError as error:
            outcomes["refused"] += 1
            messages.append(str(error))
        except Exception as error:
            error.add_note(f"seed {seed}: {script!r}")
            raise
        assert time.monotonic() - began < 2 * MOST_SECONDS, f"seed {seed}"
    print(outcomes)
    assert all("walfie.sql" in message and printable(message) == message for message in messages)
    assert min(outcomes.values()) > MUTATIONS / 10
