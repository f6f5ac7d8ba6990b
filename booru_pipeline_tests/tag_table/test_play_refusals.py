"""What a script may not do, what takes too much, and broken scripts by the hundred."""

import os
import random
import time

import pytest

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.tag_table import sandbox
from booru_pipeline.tag_table.sandbox import LARGEST_ROW, MOST_SECONDS
from booru_pipeline_tests.tag_table.test_play import ENDLESS, START

MUTATIONS = int(os.environ.get("BOORU_MUTATIONS", "300"))  # read here, since tests do not see BOORU_ settings
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
    # What is not stopped for its time must come to its own limit first, on a busy machine too.
    monkeypatch.setattr(sandbox, "MOST_SECONDS", 1 if "seconds" in says else 60)
    monkeypatch.setattr(sandbox, "MOST_ROWS", 3000)
    monkeypatch.setattr(sandbox, "MOST_MEMORY", (64 if "memory" in says and "64" in says else 2048) << 20)
    with pytest.raises(BooruError, match=r"walfie\.sql, line 3: the script ") as refusal:
        play(START + statement)
    assert says in str(refusal.value)
    assert SMALLER in str(refusal.value)


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
