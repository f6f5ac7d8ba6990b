"""`booru sql`: what is shown on a terminal, and what goes on to a file or a program."""

import contextlib
import csv
import json
import shutil
import subprocess
import time

import psutil
import pytest

from booru_pipeline_tests.cli.command import BOORU, assert_refused, booru, environment, on_terminal, piped

HARD = """select 'a' || chr(27) || '[31m' || chr(155) || chr(8238) as "x y",
    'tab' || chr(9) || chr(10) || '"q", \\m/' as t,
    'nan'::double as n, [1.5, 'inf'::double] as l, null as z, {'k': date '2021-01-02'} as s, 7 as "x y" """


def test_sql_agrees_with_the_accounting(workplace):
    count = booru(workplace, "sql", "select count(*) as n from tags")
    kept = booru(workplace, "sql", "select kept as n from \"2021a\".accounting where source = 'tags'")
    assert count.returncode == kept.returncode == 0
    assert count.stdout == kept.stdout


def test_sql_reads_a_query_from_a_pipe_and_refuses_to_write(workplace):
    piped = subprocess.run(
        [BOORU, "sql"], cwd=workplace, env=environment(), input="select 6 * 7 as n", capture_output=True, text=True
    )
    assert "42" in piped.stdout
    assert_refused(booru(workplace, "sql", 'delete from "2021a".tags'), "read-only")
    assert_refused(booru(workplace, "sql", "select nothing"), "the query failed")


def test_sql_knows_names_however_they_are_written(workplace):
    asked = "select tag_name('Animal&nbsp;Ears ') as tag, booru_name('https://Example.org/posts/1') as booru"
    assert booru(workplace, "sql", "--csv", asked).stdout.splitlines()[1] == "animal_ears,example.org"


def test_sql_has_what_was_made_of_the_releases_beside_their_tags(workplace, tmp_path):
    tables = booru(workplace, "sql", "--csv", "show tables").stdout.splitlines()
    assert {"files", "tags_latest", "labels", "predictions", "audit", "proposed_implications", "core_tags"} <= {*tables}
    labels = piped(workplace, "sql", "select release, category from labels where label = 'usada_pekora'").stdout
    assert labels.splitlines()[1:] == ["2021a\tcharacter"]
    assert int(piped(workplace, "sql", "select count(*) from predictions").stdout.split()[-1]) > 0
    aliases = "select count(*) from aliases where alias = 'a' and tag = 'b'"
    (tmp_path / "tag_aliases.json").write_text('{"antecedent_name": "a", "consequent_name": "b", "status": "active"}\n')
    assert piped(workplace, "sql", aliases).stdout.split()[-1] == "0"
    assert piped(workplace, "sql", aliases, "--relations", str(tmp_path)).stdout.split()[-1] == "1"


def test_sql_names_a_file_that_is_broken_and_what_to_do(workplace, tmp_path):
    shutil.copytree(workplace / "booru_home" / "warehouse", tmp_path / "booru_home" / "warehouse")
    labels = tmp_path / "booru_home" / "vocabulary" / "2021a" / "labels.parquet"
    labels.parent.mkdir(parents=True)
    labels.write_bytes(b"no Parquet file")
    assert piped(tmp_path, "sql", "select count(*) from files").returncode == 0
    remedy = f"Remove {labels.parent} and make it again with `booru run --release 2021a --to vocabulary`."
    assert_refused(booru(tmp_path, "sql", "select count(*) from labels"), f"{labels} cannot be read: ", remedy)


def test_sql_lists_its_library_and_runs_a_query_of_it_with_variables(workplace):
    listed = booru(workplace, "sql", "--list")
    assert listed.returncode == 0
    assert "general_labels" in listed.stdout
    assert "min_posts" in listed.stdout
    frequent = booru(workplace, "sql", "--file", "general_labels", "--set", "min_posts=200")
    assert frequent.returncode == 0, frequent.stderr
    assert "1girl" in frequent.stdout
    assert len(frequent.stdout.splitlines()) < len(
        booru(workplace, "sql", "--file", "general_labels", "--set", "min_posts=50").stdout.splitlines()
    )


def test_sql_runs_a_query_in_a_file(workplace, tmp_path):
    path = tmp_path / "mine.sql"
    path.write_text(
        "-- mine\nselect getvariable('tag') as asked, count(*) as n from tags where tag = getvariable('tag')"
    )
    result = booru(workplace, "sql", "--file", str(path), "--set", "tag=no_such_tag")
    assert "no_such_tag" in result.stdout
    assert "0" in result.stdout
    path.write_text("select\n\n  (1, from tags")
    assert_refused(booru(workplace, "sql", "--file", str(path)), "the query failed", "LINE 3")
    path.write_text("select\n\n  nothing from tags")
    assert_refused(booru(workplace, "sql", "--file", str(path)), 'column "nothing" not found')


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--file", "nowhere.sql"], ["there is no file nowhere.sql", "general_labels"]),
        (["--file", "general_labels", "--set", "min_posts"], ["write name=value"]),
        (["--file", "general_labels", "--set", "min_post=3"], ["min_post", "it reads: min_posts"]),
        (["--file", "general_labels", "--set", "min_posts=many"], ["the query failed", "many"]),
        (["--file", "general_labels", "select 1"], ["Give one of the two"]),
    ],
)
def test_sql_names_what_it_cannot_run(workplace, arguments, says):
    assert_refused(booru(workplace, "sql", *arguments), *says)


def rows_of(workplace):
    return int(piped(workplace, "sql", "select count(*) from tags").stdout.split()[-1])


def test_a_pipe_gets_all_rows_a_line_each(workplace):
    lines = piped(workplace, "sql", "select tag, booru from tags").stdout.splitlines()
    assert lines[0] == "tag\tbooru"
    assert len(lines) - 1 == rows_of(workplace) > 9999
    assert {line.count("\t") for line in lines} == {1}


def test_csv_and_json_are_read_by_others_with_all_that_is_in_them(workplace):
    query = "select tag, count(*) as n, null as x from tags group by tag order by n desc, tag"
    found = json.loads(piped(workplace, "sql", query, "--json").stdout)
    read = list(csv.DictReader(piped(workplace, "sql", query, "--csv").stdout.splitlines()))
    assert [(row["tag"], int(row["n"]), row["x"] or None) for row in read] == [tuple(item.values()) for item in found]
    assert len(found) > 200
    assert json.loads(piped(workplace, "sql", "select 1 as n where false", "--json").stdout) == []
    assert piped(workplace, "sql", "select 1 as n where false", "--csv").stdout == "n\n"


def test_values_are_what_they_are_in_each_form(workplace):
    result = piped(workplace, "sql", HARD, "--json")
    assert not {"\x1b", "\x9b", "\u202e"} & set(result.stdout)
    [found] = json.loads(result.stdout, parse_constant=pytest.fail)
    assert list(found.values()) == [
        "a\x1b[31m\x9b\u202e",
        'tab\t\n"q", \\m/',
        None,
        [1.5, None],
        None,
        {"k": "2021-01-02"},
        7,
    ]
    [read] = list(csv.reader(piped(workplace, "sql", HARD, "--csv").stdout.split("\n", 1)[1].splitlines(True)))
    assert read[:2] == ["a\x1b[31m\x9b\u202e", 'tab\t\n"q", \\m/']
    _, line = piped(workplace, "sql", HARD).stdout.splitlines()
    assert line.split("\t")[:2] == ["a\\x1b[31m\\x9b\\u202e", 'tab\\t\\n"q", \\m/']


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_a_terminal_gets_nothing_to_obey(workplace, form):
    shown, status = on_terminal(workplace, "sql", HARD, *form)
    assert status == 0, shown
    assert "[31m" in shown
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown)


def test_a_terminal_is_told_how_many_rows_it_is_not_shown(workplace):
    shown, status = on_terminal(workplace, "sql", "select tag from tags")
    assert status == 0
    rows = rows_of(workplace)
    assert f"{rows - 200:,} rows are not shown: `> rows.txt`, or --csv or --json, writes all {rows:,}" in shown
    assert len(shown.splitlines()) < 220
    few, _ = on_terminal(workplace, "sql", "select tag from tags limit 200")
    assert "not shown" not in few


def test_millions_of_rows_take_no_more_memory_than_thousands(workplace):
    def peak(rows, form):
        query = f"select i, 'some text that is not short ' || i as t from range({rows}) r(i)"
        process = subprocess.Popen(
            [BOORU, "sql", query, *form], cwd=workplace, env=environment(), stdout=subprocess.DEVNULL
        )
        highest = 0
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                highest = max(highest, psutil.Process(process.pid).memory_info().rss)
            time.sleep(0.02)
        assert process.returncode == 0
        return highest

    for form in ([], ["--csv"], ["--json"]):
        assert peak(1_500_000, form) < peak(20_000, form) + 100_000_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["select 1", "--csv", "--json"], "Give one of the two"),
        (["  "], "there is no query. Write one: booru sql"),
        (["select error(chr(27) || '[31m')"], "the query failed"),
    ],
)
def test_what_cannot_be_written_is_refused(workplace, arguments, says):
    result = piped(workplace, "sql", *arguments)
    assert_refused(result, says)
    assert "\x1b" not in result.stderr
    nothing = subprocess.run([BOORU, "sql"], cwd=workplace, env=environment(), input=b"\xff", capture_output=True)
    assert b"standard input is not UTF-8" in nothing.stderr
