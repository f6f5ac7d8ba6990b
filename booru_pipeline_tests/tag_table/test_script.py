import pytest

from booru_pipeline.tag_table.script import ScriptError, script_rows


def cut(text):
    return [(row.line, " ".join(row.head.split()), row.values, row.width) for row in script_rows(text)]


def test_rows_are_cut_out_with_their_lines():
    rows = '  (1, "a"),\n-- a comment; (\n(2,\n"b"), (3, ")")\n;\n'
    text = f"insert into tags values\n{rows}/* ; */ INSERT INTO files (x) VALUES (4)"
    assert cut(text) == [
        (2, "insert into tags values", '(1, "a")', 2),
        (4, "insert into tags values", '(2,\n"b")', 2),
        (5, "insert into tags values", '(3, ")")', 2),
        (7, "INSERT INTO files (x) VALUES", "(4)", 1),
    ]


@pytest.mark.parametrize(
    "value", ["'a'", '"a"', "'it''s; (,'", '"say ""x"""', "'\"'", '"\'"', "'a\nb'", "'-- no comment'", "'/*'", "(1, 2)"]
)
def test_quotes_hide_everything(value):
    assert cut(f"insert into t values ({value}, 7);") == [(1, "insert into t values", f"({value}, 7)", 2)]


@pytest.mark.parametrize("text", ["", " \n", ";;", "-- nothing", "/* nothing */;"])
def test_nothing_is_nothing(text):
    assert cut(text) == []


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("\nupdate tags set fid = 1;", 2, "is no INSERT … VALUES statement"),
        ("insert into tags select 1;", 1, "is no INSERT … VALUES statement"),
        ("insert into tags values ;", 1, "not whole"),
        ("insert into tags values (1), ;", 1, "not whole"),
        ("insert into tags values (1", 1, "not whole"),
        ("insert into tags", 1, "is no INSERT … VALUES statement"),
        ("insert into tags values\n(1)\n(2);", 3, "a comma is missing"),
        ("insert into tags values (1));", 1, "never opened"),
        ("insert into tags values (1) on conflict do nothing;", 1, "only be rows, not 'on'"),
        ("insert into tags values (1) returning *;", 1, "only be rows, not 'returning'"),
        ("insert into tags values ('a);\n", 1, "never closed"),
        ('\n\ninsert into tags values ("a);', 3, "never closed"),
        ("/* insert into tags values (1);", 1, "never closed"),
    ],
)
def test_what_is_no_list_of_rows_is_named_with_its_line(text, line, says):
    with pytest.raises(ScriptError) as refusal:
        cut(text)
    assert refusal.value.line == line
    assert says in refusal.value.problem
