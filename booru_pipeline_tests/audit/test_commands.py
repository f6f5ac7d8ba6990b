"""The commands missing, suspect and implications, on the audit of a sample release."""

import csv
import io
import json
import shutil

import duckdb
import pytest

from booru_pipeline_tests.cli.command import booru


def done(result):
    assert result.returncode == 0, result.stderr
    return result


def refused(result):
    assert result.returncode == 1
    assert "booru: " in result.stderr
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def table(workplace, name, where="true"):
    file = workplace / "booru_home" / "audits" / "2021a" / f"{name}.parquet"
    return duckdb.sql(f"SELECT * FROM '{file}' WHERE {where}").fetchall()


@pytest.fixture(scope="module")
def missing_rows(workplace):
    return list(csv.DictReader(io.StringIO(done(booru(workplace, "missing", "--csv")).stdout)))


def test_missing_tags_as_csv_have_post_tag_probability_and_what_speaks_for_it(workplace, missing_rows):
    assert list(missing_rows[0])[:5] == ["booru", "fid", "tag", "probability", "because"]
    assert len(missing_rows) == len(table(workplace, "missing", "implied OR probability >= 0.5"))
    probabilities = [float(row["probability"]) for row in missing_rows]
    assert probabilities == sorted(probabilities, reverse=True)
    assert min(probabilities) >= 0.5
    likely = next(row for row in missing_rows if row["implied"] == "false" and row["because"])
    tag, together, _, posts = likely["because"].split("; ")[0].split(" ")
    assert int(together.replace(",", "")) <= int(posts.replace(",", ""))
    assert tag
    assert likely["page"].endswith(likely["fid"])


def test_a_tag_an_alias_and_a_post_choose_rows(workplace, missing_rows):
    tag = missing_rows[0]["tag"]
    found = list(csv.DictReader(io.StringIO(done(booru(workplace, "missing", "--tag", tag, "--csv")).stdout)))
    assert found == [row for row in missing_rows if row["tag"] == tag]
    ears = done(booru(workplace, "missing", "--tag", "rabbit ears", "--min-probability", "0.3", "--csv")).stdout
    assert done(booru(workplace, "missing", "--tag", "bunny_ears", "--min-probability", "0.3", "--csv")).stdout == ears
    row = missing_rows[-1]
    for post in (row["fid"], f"{row['booru']}/{row['fid']}"):
        found = list(csv.DictReader(io.StringIO(done(booru(workplace, "missing", "--post", post, "--csv")).stdout)))
        assert row in found
        assert {each["fid"] for each in found} == {row["fid"]}
    page = next(row for row in missing_rows if row["page"])
    found = list(csv.DictReader(io.StringIO(done(booru(workplace, "missing", "--post", page["page"], "--csv")).stdout)))
    assert page in found


def test_probability_implied_and_core_choose_rows(workplace):
    def count(*flags):
        return len(done(booru(workplace, "missing", *flags, "--csv")).stdout.splitlines()) - 1

    assert count("--min-probability", "0.9") == len(table(workplace, "missing", "implied OR probability >= 0.9"))
    assert count("--hide-implied") == len(table(workplace, "missing", "NOT implied AND probability >= 0.5"))
    assert count("--core") == len(table(workplace, "missing", "core_of IS NOT NULL")) > 0
    some = len(table(workplace, "missing", "core_of IS NOT NULL AND (implied OR probability >= 0.4)"))
    assert count("--core", "--min-probability", "0.4") == some


def test_json_lines_have_the_evidence_in_numbers(workplace, missing_rows):
    lines = done(booru(workplace, "missing", "--json")).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["booru"], str(row["fid"]), row["tag"]) for row in rows] == [
        (row["booru"], row["fid"], row["tag"]) for row in missing_rows
    ]
    one = next(row for row in rows if row["evidence"])
    assert set(one["evidence"][0]) == {"tag", "together", "posts", "expected"}
    assert one["because"].startswith(f"{one['evidence'][0]['tag']} ")
    assert done(booru(workplace, "missing", "--jsonl")).stdout.splitlines() == lines


def test_suspect_tags_come_the_oddest_first(workplace):
    rows = list(csv.DictReader(io.StringIO(done(booru(workplace, "suspect", "--csv")).stdout)))
    assert len(rows) == len(table(workplace, "suspect")) > 0
    ratios = [float(row["ratio"]) for row in rows]
    assert ratios == sorted(ratios)
    few = done(booru(workplace, "suspect", "--max-ratio", str(ratios[len(ratios) // 2]), "--csv")).stdout
    assert 0 < len(few.splitlines()) - 1 < len(rows)
    assert " by chance" in next(row["because"] for row in rows if row["because"])


def test_a_pipe_gets_a_line_a_row(workplace, missing_rows):
    lines = done(booru(workplace, "missing")).stdout.splitlines()
    assert lines[0].split("\t")[:5] == ["booru", "fid", "tag", "probability", "because"]
    assert len(lines) == len(missing_rows) + 1


def test_implications_are_listed_and_printed_as_a_request(workplace):
    rows = list(csv.DictReader(io.StringIO(done(booru(workplace, "implications", "--all", "--csv")).stdout)))
    stored = table(workplace, "implications")
    assert [(row["antecedent"], row["consequent"]) for row in rows] == [row[:2] for row in stored]
    assert stored
    assert all(float(row["at_least"]) >= 0.95 for row in rows)
    asked = {(row["antecedent"], row["consequent"]) for row in rows}
    asked &= {row[:2] for row in table(workplace, "implications", "may_be_asked")}
    lines = done(booru(workplace, "implications", "--bulk")).stdout.splitlines()
    asked = {pair for pair in asked if pair in {row[:2] for row in table(workplace, "implications", "lift >= 2")}}
    said = {tuple(line.removeprefix("imply ").split(" -> ")) for line in lines if line.startswith("imply ")}
    assert said <= asked
    assert len(said) + sum((b, a) in asked for a, b in said) == len(asked)  # of two ways one
    for flag, name in (("--not-kept", "not_kept"), ("--aliases", "aliases")):
        listed = done(booru(workplace, "implications", flag, "--csv")).stdout.splitlines()
        assert len(listed) == len(table(workplace, name)) + 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing", "--post", "abc"], "'abc' names no post. Give its id, booru/id"),
        (["missing", "--post", "99"], "2021a has no post 99."),
        (["suspect", "--post", "elsewhere.example/99"], "2021a has no post elsewhere.example/99."),
        (["missing", "--tag", "rabit_ears"], "no label of 2021a is called 'rabit_ears'. Did you mean rabbit_ears"),
        (["suspect", "--release", "2021a@x"], "2021a@x is a trial, and trials have no audit. Ask that of 2021a."),
        (["missing", "--csv", "--json"], "Give one of the two"),
        (["suspect", "--release", "2020z"], "there is no tag audit of 2020z in"),
        (["implications", "--bulk", "--csv"], "--bulk prints lines of its own form"),
        (["implications", "--not-kept", "--aliases"], "Give one of them"),
    ],
)
def test_what_cannot_be_is_one_sentence(workplace, arguments, says):
    assert says in refused(booru(workplace, *arguments))


def test_without_an_audit_the_remedy_is_said(workplace, tmp_path):
    shutil.copytree(workplace / "booru_raw", tmp_path / "booru_raw")
    for command in ("missing", "suspect", "implications"):
        assert "Make one with `booru run`" in refused(booru(tmp_path, command))


def test_a_broken_table_is_named(workplace, tmp_path):
    home = tmp_path / "booru_home"
    shutil.copytree(workplace / "booru_home" / "audits", home / "audits")
    (home / "audits" / "2021a" / "missing.parquet").write_bytes(b"PAR1 broken")
    message = refused(booru(tmp_path, "missing"))
    assert "missing.parquet cannot be read" in message
    assert "booru run --release 2021a" in message
