"""Releases without aliases and implications, once given the sample's: they get none, and it is said loudly."""

import json
import shutil

import dagster as dg
import pytest

from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.lake.lake import Lake
from booru_pipeline_tests.cli.command import booru

NO_ALIASES = "no tag aliases: tag_aliases.json is not in"
NO_IMPLICATIONS = "no tag implications: tag_implications.json is not in"
NEITHER = "no tag aliases and no implications: tag_aliases.json and tag_implications.json are not in"
WHERE = "danbooru1.danbooru_public.tag_"


@pytest.fixture(scope="module")
def without(workplace, tmp_path_factory):
    """The workplace of a user whose real releases were made with the sample's relations."""
    folder = tmp_path_factory.mktemp("without") / "workplace"
    shutil.copytree(workplace, folder)
    for name in ("tag_aliases.json", "tag_implications.json"):
        (folder / "booru_raw" / name).unlink()
    return folder


def test_it_is_said_in_the_shell_the_log_the_report_and_the_ui(without):
    status = booru(without, "status")
    why = "the aliases changed: the aliases were the sample's, which other releases no longer get"
    assert f"training_shards is stale: {why}" in status.stdout
    assert "evaluation_report is stale: checkpoint and the implications changed: the implications were" in status.stdout
    assert f"relations  {NEITHER}" in status.stdout
    result = booru(without, "run", BOORU_EVALUATION_REPORT__BOOTSTRAP_SAMPLES="50")
    assert result.returncode == 0, result.stderr
    for line in (NO_ALIASES, NO_IMPLICATIONS):
        [said] = [text for text in result.stdout.splitlines() if line in text]
        assert WHERE in said
        assert "BOORU_RELATIONS" in said
    lake = Lake(without / "booru_home")
    report = lake.evaluation_report("2021a")
    assert NEITHER in (report / "report.html").read_text()
    assert json.loads((report / "metrics.json").read_text())["relations_missing"].startswith(NEITHER)
    with open_instance(lake) as instance:
        said = {
            asset: instance.get_latest_materialization_event(dg.AssetKey(asset)).asset_materialization.metadata[name]
            for asset, name in (
                ("training_shards", "aliases from"),
                ("evaluation_report", "implications from"),
                ("tag_audit", "aliases and implications from"),
            )
        }
    assert said["tag_audit"].value.startswith(NEITHER)
    assert said["training_shards"].value.startswith(NO_ALIASES)
    assert said["evaluation_report"].value.startswith(NO_IMPLICATIONS)
    again = json.loads(booru(without, "status", "--json").stdout)
    assert again["relations_missing"].startswith(NEITHER)


def test_of_who_has_them_nothing_is_said(workplace):
    assert "relations" not in booru(workplace, "status").stdout
    assert json.loads(booru(workplace, "status", "--json").stdout)["relations_missing"] is None
    report = Lake(workplace / "booru_home").evaluation_report("2021a")
    assert json.loads((report / "metrics.json").read_text())["relations_missing"] == ""
    assert "implications are missing" not in (report / "report.html").read_text()
