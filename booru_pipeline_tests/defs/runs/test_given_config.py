"""Homes keep up with dagster.yaml, and a person's edits are kept."""

import subprocess
from pathlib import Path

import dagster as dg
import pytest

from booru_pipeline.defs.runs.given_config import give_config
from booru_pipeline.defs.runs.instance import prepare_dagster_home
from booru_pipeline.lake.lake import Lake

ROOT = Path(__file__).parents[3]
FORMER = ("85982a4", "9229eea", "437f2a6", "706e3ef")  # commits that changed the file before copies were marked


@pytest.fixture
def template(tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text("nux:\n  enabled: false\n")
    return template


def test_a_new_home_shows_no_invitation(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    home = prepare_dagster_home(Lake(tmp_path))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert not instance.nux_enabled


def test_a_copy_that_nobody_edited_is_renewed_and_an_edited_one_is_left(tmp_path, template):
    config = tmp_path / "dagster.yaml"
    give_config(template, config)
    template.write_text("nux:\n  enabled: true\n")
    give_config(template, config)
    assert config.read_text().endswith(template.read_text())
    edited = config.read_text().replace("true", "maybe")
    config.write_text(edited)
    give_config(template, config)
    assert config.read_text() == edited
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dagster.yaml", "template.yaml"]


@pytest.mark.parametrize("commit", FORMER)
def test_a_former_versions_copy_is_renewed_unless_it_was_edited(tmp_path, template, commit):
    shown = subprocess.run(["git", "show", f"{commit}:dagster.yaml"], cwd=ROOT, capture_output=True, check=False)
    if shown.returncode:
        pytest.skip("needs the repository's history")
    config = tmp_path / "dagster.yaml"
    edited = shown.stdout.replace(b"max_concurrent_runs: 3", b"max_concurrent_runs: 2") + b"\n"
    config.write_bytes(edited)
    give_config(template, config)
    assert config.read_bytes() == edited
    config.write_bytes(shown.stdout)
    give_config(template, config)
    assert config.read_text().endswith(template.read_text())
