"""The reports of `booru serve`, a process of its own, asked over http."""

import http.client
import os
import socket
import subprocess
from urllib.parse import quote

import pytest

from booru_pipeline.lake.lake import Lake
from booru_pipeline.server.listening import local_address
from booru_pipeline_tests.running import BOORU, eventually, free_port

PAGE = "<title>a report</title>"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A home with reports, and with things that are none of a browser's business."""
    lake = Lake(tmp_path_factory.mktemp("home with a space"))
    for page in pages(lake):
        page.parent.mkdir(parents=True)
        page.write_text(PAGE)
    lake.promoted.write_text("{}")
    (lake.reports / "outside").symlink_to(lake.promoted)
    return lake


def pages(lake):
    return (
        lake.evaluation_report("2021a") / "report.html",
        lake.evaluation_report("2021a@lr5") / "report.html",
        lake.experiment("hydration", "2021a") / "hydration.html",
    )


def start(lake, port, **environment):
    return subprocess.Popen(
        [BOORU, "serve", "--home", lake.home, "--port", str(port)],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def fetch(port, path, method="GET", **headers):
    """Status, headers and content; the path goes out as it is, with dots that a browser would take out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response.status, response.headers, response.read().decode()


@pytest.fixture(scope="module")
def port(lake):
    port = free_port()
    server = start(lake, port)
    eventually(lambda: fetch(port, "/reports/"))
    yield port
    server.terminate()
    server.wait(30)


def test_a_report_is_reached_by_its_link(lake, port):
    for page in pages(lake):
        path = f"/{page.relative_to(lake.home).as_posix()}"
        status, headers, content = fetch(port, path)
        assert (status, content) == (200, PAGE)
        assert headers["Content-Type"].startswith("text/html")
        assert f'href="{quote(path)}">{path.removeprefix("/")}<' in fetch(port, "/reports/")[2]
        status, headers, _ = fetch(port, path, **{"If-None-Match": headers["ETag"]})
        assert (status, headers["Cache-Control"]) == (304, "no-cache")


@pytest.mark.parametrize(
    "path",
    [
        "/promoted.json",
        "/dagster/dagster.yaml",
        "/reports/../promoted.json",
        "/reports/%2e%2e/promoted.json",
        "/reports/..%2fpromoted.json",
        "/reports//promoted.json",
        "/reports/outside",
        "/reports/2021a/",
    ],
)
def test_nothing_else_of_the_home_is_served(port, path):
    assert fetch(port, path)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_nothing_can_be_written(port, method, lake):
    assert fetch(port, "/reports/2021a/report.html", method)[0] == 405
    assert (lake.evaluation_report("2021a") / "report.html").read_text() == PAGE


def test_a_home_without_reports_has_none_yet(tmp_path):
    port = free_port()
    server = start(Lake(tmp_path), port)
    try:
        assert "none yet" in eventually(lambda: fetch(port, "/reports/"))[2]
        assert fetch(port, "/reports/2021a/report.html")[0] == 404
        assert [path.name for path in tmp_path.iterdir()] == ["server.json"]
    finally:
        server.terminate()
        server.wait(30)


def test_a_port_that_is_taken_is_named_with_the_remedy(lake):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start(lake, port)
        _, said = server.communicate(timeout=60)
    assert server.returncode == 1
    said = " ".join(said.split())
    assert f"127.0.0.1:{port}" in said
    assert "BOORU_REPORTS_URL" in said


def test_only_an_address_of_this_machine_is_listened_on():
    assert local_address("http://127.0.0.1:3001") == ("127.0.0.1", 3001)
    assert local_address("http://localhost:8080/") == ("localhost", 8080)
    assert local_address("http://[::1]:8080") == ("::1", 8080)
    assert local_address("http://reports.example.org:3001") is None
    assert local_address("http://127.0.0.1:3001/behind/a/proxy") is None
    assert local_address("https://127.0.0.1:3001") is None
