"""What holds for every command: help, version, a terminal of 80 columns, a pipe, and one that is closed."""

import re
import subprocess
from importlib.metadata import version

import pytest

from booru_pipeline.pipeline.stages import Stage
from booru_pipeline_tests.cli.command import BOORU, booru, environment, on_terminal, piped

LISTS = [
    ["releases"],
    ["status"],
    ["settings"],
    ["sql", "--list"],
    ["inspect"],
    ["suggest", "rabbit_ears"],
    ["report", "--summary"],
]
COMMANDS = [
    [],
    *[[name] for name in ("sample", "run", "suggest", "inspect", "report", "sql", "settings", "releases", "promote")],
    *[[name] for name in ("status", "clean", "dev", "serve", "export", "store", "experiment")],
    *[["export", "sqlite"], ["store", "list"], ["experiment", "hydration"]],
]


def test_it_says_its_version(tmp_path):
    assert booru(tmp_path, "--version").stdout == f"booru {version('booru-pipeline')}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_helps(tmp_path, command):
    short, long = (booru(tmp_path, *command, option) for option in ("-h", "--help"))
    assert short.returncode == 0
    assert short.stdout == long.stdout != ""


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_eighty_columns_hold_every_table_with_no_heading_broken(workplace, command):
    shown, status = on_terminal(workplace, *command, columns=80)
    assert status == 0, shown
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    rows = [line for line in plain if line[:1] in set("┏┃┡│└")]
    assert max(map(len, rows or plain)) <= 80
    assert "…" not in "".join(rows)
    if rows:
        [headings] = [line for line in rows if line[0] == "┃"]
        wide = next(line for line in piped(workplace, *command).stdout.splitlines() if line[:1] == "┃")
        merged = {"stages"} if command[0] in ("releases", "status") else set()
        assert {cell.strip() for cell in headings.split("┃")} <= {cell.strip() for cell in wide.split("┃")} | merged


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_a_pipe_gets_a_line_a_row_without_colour(workplace, command):
    lines = piped(workplace, *command).stdout.splitlines()
    assert not any("\x1b" in line for line in lines)
    rows = [line for line in lines if line.startswith("│")]
    assert all(line.split("│")[1].strip() for line in rows)  # no row goes on in the next line
    if command[0] in ("releases", "status"):
        [row] = rows
        assert row.count(" fresh ") == len(Stage)
        assert "evaluation_report" in lines[1]


@pytest.mark.parametrize(
    "command",
    [*LISTS, ["sql", "select * from tags"], ["sql", "select * from tags", "--json"], ["--help"]],
    ids=" ".join,
)
def test_a_closed_pipe_ends_it_quietly(workplace, command):
    for lines in (0, 1):
        result = subprocess.run(
            ["/bin/bash", "-c", f'"$0" "$@" | head -n {lines}', str(BOORU), *command],
            cwd=workplace,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert len(result.stdout.splitlines()) == lines
        assert "Traceback" not in result.stderr
        assert "roken" not in result.stderr


def test_no_room_and_no_output_at_all_are_no_tracebacks(workplace):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [BOORU, "sql", "select * from tags"], cwd=workplace, env=environment(), stdout=full, stderr=subprocess.PIPE
        )
    assert result.returncode == 1
    assert b"cannot be written: No space left on device. Free some space" in result.stderr
    closed = subprocess.run(
        ["/bin/bash", "-c", '"$0" status >&-', str(BOORU)], cwd=workplace, env=environment(), capture_output=True
    )
    assert b"Traceback" not in closed.stderr
