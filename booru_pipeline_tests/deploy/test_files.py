"""The files in deploy/ that no engine reads here: by their schema or linter, and against what they must agree with."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from booru_pipeline.defs.build import LOCATION
from booru_pipeline.pipeline.settings import Settings, load_settings
from booru_pipeline.server.listening import local_address
from booru_pipeline_tests.deploy.served import served

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def tool(name, *arguments):
    done = subprocess.run(
        [Path(sys.executable).with_name(name), *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def read(name):
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_compose_files_follow_the_schema_of_the_compose_specification(name):
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", name)


def test_the_schema_would_find_a_mistake(tmp_path):
    content = read("compose.yaml")
    content["services"]["code"]["healthcheck"]["every"] = "15s"
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(AssertionError, match="every"):
        tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(tmp_path / "compose.yaml"))


def test_the_dockerfile_has_no_fault_that_hadolint_knows():
    tool("hadolint", "Dockerfile")


def test_what_the_dockerfile_copies_is_there_and_not_ignored():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    for name in [name for names in copied for name in names if not name.startswith("--")]:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (installed,) = re.findall(r"'\.\[(.*)\]'", "\n".join(lines))
    assert installed.split(",") == ["postgres", "kubernetes", "s3"]
    assert set(installed.split(",")) <= set(extras)


def test_only_the_storage_differs_from_the_laptops_settings():
    ours = read("dagster.yaml")
    assert list(ours.pop("storage")) == ["postgres"]
    assert ours == yaml.safe_load((ROOT / "dagster.yaml").read_text())


def test_every_process_finds_the_one_code_location():
    (location,) = [entry["grpc_server"] for entry in read("workspace.yaml")["load_from"]]
    services = read("compose.yaml")["services"]
    code = services[location["host"]]["command"]
    assert code[code.index("-p") + 1] == str(location["port"])
    assert code[code.index("-m") + 1] == location["location_name"] == LOCATION
    for name in ("webserver", "daemon"):
        command = services[name]["command"]
        assert any(volume.endswith(f"/{command[command.index('-w') + 1]}:ro") for volume in services[name]["volumes"])
    connection = read("dagster.yaml")["storage"]["postgres"]["postgres_db"]
    needed = {value["env"] for value in connection.values() if isinstance(value, dict)}
    assert {name for name in services["daemon"]["environment"] if name.startswith("DAGSTER_")} == needed
    for name in ("daemon", "webserver"):
        assert f"-m {LOCATION}" in (DEPLOY / "systemd" / f"booru-{name}.service").read_text()


def test_reports_are_served_where_the_links_of_the_ui_lead():
    """By default, and to nobody but this machine."""
    host, port = local_address(Settings.model_fields["reports_url"].default)
    service = read("compose.yaml")["services"]["reports"]
    assert served(service["command"]) == ("0.0.0.0", port)
    assert service["ports"] == [f"{host}:{port}:{port}"]
    assert service["volumes"] == ["home:/srv/booru/home:ro"]
    unit = (DEPLOY / "systemd" / "booru-reports.service").read_text()
    (started,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert served(started.removeprefix("ExecStart=/opt/booru/bin/").split()) == (host, port)


def test_the_store_of_the_containers_is_the_one_of_the_environment(monkeypatch):
    environment = read("compose.yaml")["services"]["code"]["environment"]
    given = {name: value for name, value in environment.items() if name.startswith("BOORU_")}
    assert given == {name: f"${{{name}:-}}" for name in given}
    for name in given:
        monkeypatch.setenv(name, "")
    assert load_settings().lake.store is None
    monkeypatch.setenv("BOORU_STORE__URL", "s3://bucket/booru")
    monkeypatch.setenv("BOORU_STORE__ENDPOINT_URL", "http://127.0.0.1:9")
    assert load_settings().store.storage_options == {"endpoint_url": "http://127.0.0.1:9"}
    assert set(given) == {"BOORU_STORE__URL", "BOORU_STORE__ENDPOINT_URL"}


def test_the_image_has_its_settings_where_dagster_and_the_shell_look(tmp_path):
    """A code server in the container and `booru` beside it must use one history."""
    from booru_pipeline.lake.lake import Lake

    text = (DEPLOY / "Dockerfile").read_text()
    home = Lake(Path("/srv/booru/home")).dagster_home
    assert f"DAGSTER_HOME={home}" in text
    assert f"deploy/dagster.yaml {home}/dagster.yaml" in text
    mounted = [volume.split(":") for volume in read("compose.yaml")["services"]["code"]["volumes"]]
    assert ["./dagster.yaml", f"{home}/dagster.yaml", "ro"] in mounted
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    with pytest.raises(Exception, match="DAGSTER_PG_HOST"):
        dg.DagsterInstance.from_config(str(tmp_path))
