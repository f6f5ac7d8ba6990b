"""`booru dev` as a user starts it, asked over GraphQL what the UI would ask."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from booru_pipeline.run import Progress, make_plan, run_plan
from booru_pipeline.settings import load_settings
from booru_pipeline.stages import Stage

QUICK = """
[checkpoint]
max_steps = 20
wandb_project = ""
[evaluation_report]
test_posts = 20
[automation]
look_interval_s = 2
rest_s = 2
"""
BOORU = Path(sys.executable).with_name("booru")
GRAPH = """{ assetNodes {
  assetKey { path } groupName description kinds dependencyKeys { path }
  partitionKeysByDimension { partitionKeys }
  assetChecksOrError { ... on AssetChecks { checks { name } } }
} }"""
RUNS = "{ runsOrError { ... on Runs { results { status tags { key value } } } } }"
TICKS = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
  ... on RepositoryLocation { repositories {
    sensors { name sensorState { status ticks { status skipReason runIds error { message } } } }
    schedules { name }
    jobs { name }
  } }
  ... on PythonError { message }
} } } } }"""


@pytest.fixture(scope="module")
def ask(raw, tmp_path_factory):
    """The server on a home where the shell has made everything of both releases."""
    home = tmp_path_factory.mktemp("home")
    config = home / "booru.toml"
    config.write_text(QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOORU_CONFIG", str(config))
        settings = load_settings(raw=raw, home=home)
    run_plan(settings, make_plan(settings, [], Stage.EVALUATION_REPORT), Progress())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (home / "dev.log").open("w")
    server = subprocess.Popen(
        [BOORU, "dev", "--port", str(port)],
        cwd=home,
        env={**os.environ, "BOORU_RAW": str(raw), "BOORU_HOME": str(home), "BOORU_CONFIG": str(config)},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

    def query(text):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql",
            json.dumps({"query": text}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            content = json.load(response)
        assert "errors" not in content, content
        return content["data"]

    try:
        eventually(lambda: query("{ version }"), (home / "dev.log").read_text)
        yield query
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def eventually(attempt, explain=lambda: ""):
    """Try until there is a true answer; the machine may be slow, so long."""
    for _ in range(240):
        try:
            if answer := attempt():
                return answer
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"no answer: {explain()}")


def test_the_ui_has_the_graph_with_its_partitions_and_checks(ask):
    nodes = {"/".join(node["assetKey"]["path"]): node for node in ask(GRAPH)["assetNodes"]}
    assert list(nodes) and set(nodes) == {"raw_release", *Stage}  # noqa: PT018
    for above, below in zip(["raw_release", *Stage], Stage, strict=False):
        node = nodes[below.value]
        assert node["dependencyKeys"] == [{"path": [str(above)]}]
        assert node["partitionKeysByDimension"][0]["partitionKeys"] == ["2021a", "2021b"]
        assert node["assetChecksOrError"]["checks"]
        assert node["description"]
        assert node["kinds"]


def test_the_shells_runs_are_in_the_ui(ask):
    runs = ask(RUNS)["runsOrError"]["results"]
    partitions = {tag["value"] for run in runs for tag in run["tags"] if tag["key"] == "dagster/partition"}
    assert {run["status"] for run in runs} == {"SUCCESS"}
    assert partitions == {"2021a", "2021b"}


def test_jobs_schedule_and_sensor_are_there_and_the_sensor_asks_for_nothing_twice(ask):
    def ticked():
        entries = ask(TICKS)["workspaceOrError"]["locationEntries"]
        (repository,) = entries[0]["locationOrLoadError"]["repositories"]
        sensor = next(item for item in repository["sensors"] if item["name"] == "new_releases")
        ticks = [tick for tick in sensor["sensorState"]["ticks"] if tick["status"] != "STARTED"]
        return (repository, sensor, ticks) if len(ticks) > 1 else None

    repository, sensor, ticks = eventually(ticked)
    assert {"refresh_release", "load_only", "retrain", "evaluate_only"} <= {job["name"] for job in repository["jobs"]}
    assert [schedule["name"] for schedule in repository["schedules"]] == ["weekly_catch_up"]
    assert sensor["sensorState"]["status"] == "RUNNING"
    assert all(tick["runIds"] == [] and tick["error"] is None for tick in ticks)
    assert ticks[0]["skipReason"] == "2 of 2 releases are made and fresh"
