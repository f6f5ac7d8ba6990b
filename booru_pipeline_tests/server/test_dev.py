"""`booru dev` as a process: one on a home, quiet, and gone with all that it started however it ends."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from contextlib import suppress

import psutil
import pytest

from booru_pipeline.defs.assets.common import GRAPH
from booru_pipeline.server.listening import address_of
from booru_pipeline_tests.running import BOORU, QUICK, eventually, free_port


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "booru.toml").write_text(QUICK)
    return home


@pytest.fixture(scope="module")
def ports():
    return free_port(), free_port()


@pytest.fixture
def start(home, raw, ports):
    """Starts `booru dev`, at the end of the test all are gone."""
    # A shell lets what it starts in the background ignore Ctrl-C, and that is handed on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = []

    def begin(*arguments):
        environment = {
            **os.environ,
            "BOORU_RAW": str(raw),
            "BOORU_HOME": str(home),
            "BOORU_REPORTS_URL": f"http://127.0.0.1:{ports[1]}",
        }
        process = subprocess.Popen(
            [BOORU, "dev", *(arguments or ("--port", str(ports[0])))],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=60)


def lines_until_ready(process):
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("the UI: "):
            return lines
    pytest.fail(f"it ended: {lines}")


def all_of(process):
    supervisor = psutil.Process(process.pid)
    everyone = [supervisor, *supervisor.children(recursive=True)]
    commands = [" ".join(one.cmdline()) for one in everyone]
    for part in ("dagster_webserver", "dagster._daemon", "dagster api grpc"):
        assert any(part in command for command in commands), commands
    return everyone


def alive(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_a_home_has_one_which_says_where_it_is_and_starts_again_after_a_kill(start, home, ports):
    address, log = f"http://127.0.0.1:{ports[0]}", home / "dagster" / "dev.log"
    first = start()
    assert lines_until_ready(first) == [
        f"starting; what Dagster says meanwhile is in {log}",
        f"ask the model, and the reports: http://127.0.0.1:{ports[1]}",
        f"the graph, unfolded: {address}{GRAPH}",
        f"the UI: {address}  (Ctrl-C ends it)",
    ]
    everyone = all_of(first)

    refused, _ = start("--port", str(free_port())).communicate(timeout=120)
    assert refused == (
        f"booru: `booru dev` runs on {home} already: {address} (process {first.pid}). Use that one, or end it first: "
        f"Ctrl-C there, or `kill {first.pid}`.\n"
    )
    assert alive(everyone) == everyone

    first.kill()
    assert first.stdout.read() == ""  # quiet since
    second = start()  # at once, while those may be ending
    lines_until_ready(second)
    assert alive(everyone) == []
    everyone = all_of(second)

    os.killpg(second.pid, signal.SIGINT)
    said, _ = second.communicate(timeout=300)
    assert said == "ended; what was under way goes on with the next `booru dev` or `booru run`\n"
    assert second.returncode == 0
    eventually(lambda: not alive(everyone))
    assert not (home / "dagster" / "dev.json").exists()


def is_served(port):
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/reports/") as answer:
        return b"<h1>Reports</h1>" in answer.read()
    return False


def test_nothing_outlives_a_kill_and_a_dead_web_server_is_told_of(start, home, ports):
    first = start()
    lines_until_ready(first)
    (web,) = (one for one in all_of(first) if "dagster_webserver" in one.cmdline())
    everyone = all_of(first)
    web.kill()
    said, _ = first.communicate(timeout=120)
    assert first.returncode == 1
    assert said.startswith("booru: the UI has ended: ")
    assert "dagster-webserver process shut down unexpectedly with return code -9" in said
    eventually(lambda: not alive(everyone))

    second = start()
    lines_until_ready(second)
    everyone = all_of(second)
    assert is_served(ports[1])  # the reports
    second.kill()
    second.wait()
    eventually(lambda: not is_served(ports[1]))
    gone, left = psutil.wait_procs(everyone, timeout=15)
    assert not alive(left)
    assert len(gone) == len(everyone)


def test_a_port_that_is_taken_is_named_with_the_remedy(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith(
        f"booru: no UI on 127.0.0.1:{port}: Address already in use. Choose another address with --port"
    )
    assert len(said.splitlines()) == 1


def test_a_note_of_another_process_with_that_number_is_no_reason_to_kill_it(start, home, ports):
    other = subprocess.Popen(["sleep", "60"])
    note = {"address": "", "pid": 1, "group": other.pid, "began": psutil.Process(other.pid).create_time() - 60}
    (home / "dagster" / "dev.json").write_text(json.dumps(note))
    with socket.create_server(("127.0.0.1", ports[0])):
        start().communicate(timeout=60)
    assert other.poll() is None
    other.kill()
    other.wait()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:3000"),
        ("0.0.0.0", "http://127.0.0.1:3000"),
        ("::", "http://[::1]:3000"),
        ("box.lan", "http://box.lan:3000"),
    ],
)
def test_the_address_is_one_that_opens_it(host, address):
    assert address_of(host, 3000) == address
