"""Commands that answer from artifacts: help, releases, inspect, export, report."""

import contextlib
import sqlite3
import subprocess
from pathlib import Path

import duckdb
import pytest

from booru_pipeline.lake.lake import Lake
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline_tests.cli.command import BOORU, assert_refused, booru, piped


def test_help_teaches():
    result = subprocess.run([BOORU, "--help"], capture_output=True, text=True, check=True)
    for command in ("sample", "releases", "run", "suggest", "inspect", "sql", "export", "dev", "report"):
        assert command in result.stdout
    assert "First time" in result.stdout


def test_sample_run_and_releases(workplace):
    result = booru(workplace, "releases")
    assert result.returncode == 0
    (line,) = [line for line in result.stdout.splitlines() if "2021a" in line]
    assert line.count("fresh") == len(Stage)


def test_inspect_shows_what_became_of_a_post(workplace):
    at_random = booru(workplace, "inspect", "--seed", "3")
    assert at_random.returncode == 0, at_random.stderr
    for words in ("artist tags are not learned", "caption completion", "label completion", "span corruption", "target"):
        assert words in at_random.stdout
    with duckdb.connect(str(Lake(workplace / "booru_home").tag_table("2021a")), read_only=True) as connection:
        [(name, fid)] = connection.execute("SELECT booru, fid FROM files LIMIT 1").fetchall()
    named = booru(workplace, "inspect", name, str(fid))
    assert f"{name} {fid} (2021a)" in named.stdout
    assert_refused(booru(workplace, "inspect", "1"), "no post 1 in 2021a")
    assert_refused(booru(workplace, "inspect", "pekora"), "names no post")


def test_export_writes_the_origins_database_and_refuses_to_overwrite_it(workplace, tmp_path):
    path = tmp_path / "booru-chars.db"
    result = booru(workplace, "export", "sqlite", str(path), "--release", "2021a")
    assert result.returncode == 0, result.stderr
    assert "500 posts" in result.stdout
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("select count(*) from files where shard = 'Safebooru 2021a'").fetchall() == [(500,)]
    assert_refused(booru(workplace, "export", "sqlite", str(path)), "--force")
    assert booru(workplace, "export", "sqlite", str(path), "--force").returncode == 0
    assert_refused(booru(workplace, "export", "sqlite", str(tmp_path / "x.db"), "--release", "2029a"), "2029a")


def test_report_prints_a_path_that_is_there(workplace):
    result = booru(workplace, "report")
    assert Path(result.stdout.strip()).is_file()


def test_report_opens_in_a_browser_or_says_what_to_open(workplace, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/seen\n')
    browser.chmod(0o755)
    result = piped(workplace, "report", "--open", BROWSER=f"{browser} %s")
    assert result.returncode == 0, result.stderr
    opened = Path(result.stdout.removeprefix("opened ").strip())
    assert opened.is_file()
    assert (tmp_path / "seen").read_text() == opened.as_uri()
    nowhere = piped(workplace, "report", "--open", PATH=str(tmp_path), DISPLAY="", WAYLAND_DISPLAY="", BROWSER="")
    assert_refused(nowhere, "no browser is found", str(opened))


def test_its_summary_says_how_answer_and_t5_stand_and_what_is_asked(workplace):
    result = booru(workplace, "report", "--summary")
    assert result.returncode == 0, result.stderr
    assert "answer" in result.stdout
    assert "T5 alone" in result.stdout
    assert "EDLAE" in result.stdout
    assert "The checkpoint of 2021a is " in result.stdout
    assert Path(result.stdout.rsplit("The report: ", 1)[1].replace("\n", "").strip()).is_file()


@pytest.mark.parametrize("content", ['{"format_version": 2}', "{}", '{"format_vers', None])
def test_a_summary_of_a_report_of_before_or_a_broken_one_is_refused(copy, content):
    folder = copy / "booru_home" / "reports" / "2021a"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "metrics.json").write_text(content)
    assert_refused(booru(copy, "report", "--summary"), "booru run")
