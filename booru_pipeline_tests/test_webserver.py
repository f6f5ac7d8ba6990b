"""`booru dev` as a user starts it, asked over GraphQL what the UI would ask."""

import os
import shutil
import subprocess

import pytest

from booru_pipeline.defs.assets.trial import TRIAL_CHECKPOINT, TRIAL_REPORT
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline_tests.cli.command import quick_settings
from booru_pipeline_tests.running import BOORU, booru_dev, eventually

GRAPH = """{ assetNodes {
  assetKey { path } groupName description kinds dependencyKeys { path }
  partitionKeysByDimension { partitionKeys }
  assetChecksOrError { ... on AssetChecks { checks { name } } }
} }"""
METADATA = """{ assetNodes { assetKey { path } assetMaterializations(limit: 1) {
  metadataEntries { label ... on TextMetadataEntry { text } }
} } }"""
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
def ask(workplace, tmp_path_factory):
    """The server on a home where the shell has made everything of a release; of two see test_ui_agrees.py."""
    home = shutil.copytree(workplace / "booru_home", tmp_path_factory.mktemp("home"), dirs_exist_ok=True)
    config = home / "booru.toml"
    config.write_text("[automation]\nlook_interval_s = 2\nrest_s = 2\n")
    with quick_settings(), booru_dev(workplace / "booru_raw", home, config) as server:
        eventually(lambda: server.graphql("{ version }"), server.log.read_text)
        yield server.graphql


def test_the_ui_has_the_graph_with_its_partitions_and_checks(ask):
    nodes = {"/".join(node["assetKey"]["path"]): node for node in ask(GRAPH)["assetNodes"]}
    assert list(nodes) and set(nodes) == {"raw_release", *Stage, TRIAL_CHECKPOINT, TRIAL_REPORT}  # noqa: PT018
    for above, below in zip(["raw_release", *Stage], Stage, strict=False):
        node = nodes[below.value]
        assert node["dependencyKeys"] == [{"path": [str(above)]}]
        assert node["partitionKeysByDimension"][0]["partitionKeys"] == ["2021a"]
        assert node["assetChecksOrError"]["checks"]
        assert node["description"]
        assert node["kinds"]


def test_the_line_on_each_assets_page_opens_its_artifact(ask, tmp_path):
    lines = {
        node["assetKey"]["path"][-1]: entry["text"]
        for node in ask(METADATA)["assetNodes"]
        for event in node["assetMaterializations"]
        for entry in event["metadataEntries"]
        if entry["label"] == "open with"
    }
    assert set(lines) == set(Stage)
    for asset, line in lines.items():
        done = subprocess.run(
            line,
            shell=True,
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{BOORU.parent}:{os.environ['PATH']}", "BROWSER": "echo"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, (asset, line, done.stderr)
        assert done.stdout.strip(), (asset, line)


def test_the_shells_runs_are_in_the_ui(ask):
    runs = ask(RUNS)["runsOrError"]["results"]
    partitions = {tag["value"] for run in runs for tag in run["tags"] if tag["key"] == "dagster/partition"}
    assert {run["status"] for run in runs} == {"SUCCESS"}
    assert partitions == {"2021a"}


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
    assert ticks[0]["skipReason"] == "1 of 1 releases are made and fresh"
