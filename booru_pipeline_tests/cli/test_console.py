"""What `booru run` says: one line a fact, in the field's words, to a terminal and to a pipe."""

import os
import pty
import re
import subprocess

from booru_pipeline.lake.lake import Lake
from booru_pipeline_tests.cli.command import BOORU, assert_refused, booru, environment


def test_each_line_is_a_fact_in_words(copy):
    result = booru(copy, "run", BOORU_CHECKPOINT__TIME_LIMIT_S="2", BOORU_CHECKPOINT__MAX_STEPS="1000000")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    said = result.stdout
    size = r"\d+(\.\d)? [kM]B"
    for line in (
        rf"2021a  tag_table in \d+\.\d s: 500 posts, [\d,]+ tags, 0 lines rejected, {size}",
        r"2021a  training_shards in \d+\.\d s: 500 posts, [\d,]+ tags, 0 aliases replaced",
        r"2021a  vocabulary in \d+\.\d s: [\d,]+ labels",
        r"2021a  tokenized_dataset in \d+\.\d s: \d+ posts, [\d.]+ labels each",
        r"2021a  checkpoint in \d+\.\d s: [\d,]+ steps, [\d.]+ s of training, [\d,]+ posts/s",
        r"2021a  evaluation_report in \d+\.\d s: \d+ test posts",
        r"2021a  tag_audit in \d+\.\d s: [\d,]+ tags missing, [\d,]+ suspect, [\d,]+ implications proposed",
    ):
        assert re.search(f"^{line}$", said, re.MULTILINE), (line, said)
    for noise in ("row count", "[pipes]", "Dependencies for", "of 1000000", "dagster", "\x1b"):
        assert noise not in said
    lines = said.splitlines()
    assert len(set(lines)) == len(lines)


def spoil(folder):
    tags = folder / "booru_raw" / "Safebooru 2021a" / "V2021A_tags.tsv"
    lines = tags.read_text().splitlines(keepends=True)
    tags.write_text("".join([*lines[:5], *["bad line\n"] * 600, *lines[605:]]))


def test_a_failure_is_its_sentence_once_and_what_to_do(copy):
    spoil(copy)
    result = booru(copy, "run")
    assert_refused(result, "V2021A_tags.tsv: 600 of", "Download the file again")
    assert result.stdout.splitlines() == ["2021a  tag_table …"]


def test_a_failure_nobody_foresaw_names_the_stage_and_where_its_log_is(copy):
    shards = Lake(copy / "booru_home").training_shards("2021a")
    assert booru(copy, "run", "--to", "training_shards").returncode == 0
    (part, *_) = shards.glob("*.parquet")
    part.write_bytes(b"no Parquet file")
    result = booru(copy, "run", "--to", "vocabulary")
    assert_refused(result, "vocabulary of release 2021a failed: ", "`booru dev`", "`booru run` tries it again")
    assert "dagster." not in result.stderr


def test_a_terminal_has_colour_as_things_happen(copy):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [BOORU, "run", "--to", "training_shards"],
        cwd=copy,
        env={**environment(), "TERM": "xterm-256color"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:  # Linux says so that the other end is closed
        pass
    assert process.wait(60) == 0
    assert b"\x1b[32mtag_table\x1b[0m in " in said
    os.close(ours)
