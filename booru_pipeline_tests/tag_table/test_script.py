import pytest

from booru_pipeline.tag_table.script import ScriptError, statements


def cut(text):
    """Statements as (line, text, rows), rows as (line, text, number of values)."""
    found = []
    for statement in statements(text):
        rows = [(row.line, text[row.start : row.end], row.width) for row in statement.rows()]
        end = statement.head_end if rows else statement.end
        found.append((statement.line, " ".join(text[statement.start : end].split()), rows))
    return found


def texts(text):
    return [statement for _, statement, _ in cut(text)]


def test_rows_are_cut_out_with_their_lines():
    rows = '  (1, "a"),\n-- a comment; (\n(2,\n"b"), (3, ")")\n;\n'
    text = f"insert into tags values\n{rows}/* ; */ INSERT INTO files (x) VALUES (4)"
    assert cut(text) == [
        (1, "insert into tags values", [(2, '(1, "a")', 2), (4, '(2,\n"b")', 2), (5, '(3, ")")', 2)]),
        (7, "INSERT INTO files (x) VALUES", [(7, "(4)", 1)]),
    ]


@pytest.mark.parametrize(
    "value", ["'a'", '"a"', "'it''s; (,'", '"say ""x"""', "'\"'", '"\'"', "'a\nb'", "'-- no comment'", "'/*'", "(1, 2)"]
)
def test_quotes_hide_everything(value):
    assert cut(f"insert into t values ({value}, 7);") == [(1, "insert into t values", [(1, f"({value}, 7)", 2)])]


@pytest.mark.parametrize("text", ["", " \n", ";;", "-- nothing", "/* nothing */;", "# it's a comment of the shell"])
def test_nothing_is_nothing(text):
    assert cut(text) == []


def test_what_lists_no_rows_is_one_statement():
    script = [
        "create table frames (booru text, fid integer)",
        "insert into frames select 1, (2)",
        "insert into tags values (1, (select 2)), (3, 4)",
        "with x(a) as (values (1)) insert into tags select a from x",
        "insert into tags default values",
        "values (1), (2)",
    ]
    assert cut(";\n".join(script)) == [(line, statement, []) for line, statement in enumerate(script, start=1)]


def test_what_follows_the_rows_is_told_apart_from_them():
    text = "insert into tags values (1), (2) on conflict (a) do nothing;"
    [statement] = statements(text)
    assert [text[row.start : row.end] for row in statement.rows()] == ["(1)", "(2)"]
    assert text[statement.tail : statement.end] == "on conflict (a) do nothing"


def test_semicolons_in_a_trigger_do_not_end_it():
    trigger = "create temp trigger t after insert on a begin select 1; select case when 1 then 2 end; end"
    assert texts(f"{trigger} ; select 2") == [trigger, "select 2"]
    assert texts(f"{trigger.upper()};select 2;") == [trigger.upper(), "select 2"]


def test_lines_for_the_shell_end_with_their_line_and_only_count_between_statements():
    text = ".mode 'csv\n  .read b;c.sql\nselect 1\n.5;\n# it's\n.print (\nselect 2;"
    assert texts(text) == [".mode 'csv", ".read b;c.sql", "select 1 .5", ".print (", "select 2"]


@pytest.mark.parametrize("command", [".quit", ".exit 0"])
def test_nothing_is_read_behind_the_command_that_leaves_the_shell(command):
    assert texts(f"select 1;\n{command}\nthat's all") == ["select 1", command]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("insert into tags values ;", 1, "not whole"),
        ("insert into tags values (1), ;", 1, "not whole"),
        ("insert into tags values (1", 1, "not whole"),
        ("select 1;\ncreate table frames (booru text,", 2, "not whole"),
        ("create trigger t after insert on a begin select 1;", 1, "not whole"),
        ("insert into tags values\n(1)\n(2);", 3, "a comma is missing"),
        ("insert into tags values\n(1),\n(2;\n", 3, "not closed before the semicolon"),
        ("insert into tags values (1));", 1, "never opened"),
        ("insert into tags values ('a);\n", 1, "never closed"),
        ('\n\ninsert into tags values ("a);', 3, "never closed"),
        ("/* insert into tags values (1);", 1, "never closed"),
    ],
)
def test_what_is_no_script_is_named_with_its_line(text, line, says):
    with pytest.raises(ScriptError) as refusal:
        cut(text)
    assert refusal.value.line == line
    assert says in refusal.value.problem
