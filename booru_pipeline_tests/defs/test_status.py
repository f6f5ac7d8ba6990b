"""`booru status` and `booru clean` as a script calls them."""

import json
import os
import shutil

import dagster as dg
import pytest

from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.defs.shell import make_plan, run_plan
from booru_pipeline.defs.status import pipeline_status, why_none_is_promoted
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.pipeline.freshness import expected_records
from booru_pipeline.pipeline.promoted import promote
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import find_release
from booru_pipeline.sample import generate
from booru_pipeline_tests.cli.command import forked

HAND_TAGGED = """insert into files (BOORU, FID, FILE_NAME, ORIG_MD5, IMG_SIZE_TORR)
  values ("nobooru", 1, "a", "ab", "3x4");
insert into tags (BOORU, FID, TAG, TAG_ID, TAG_CAT, DANB_FR) values ("nobooru", 1, "1girl", 1, 0, "GENERAL");
"""


def booru(folder, *arguments, **more):
    environment = {**os.environ, "COLUMNS": "200", **more}
    return forked(folder, arguments, environment)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A hand-tagged release with all that it gets, one with shards, one that failed, one that is not whole."""
    folder = tmp_path_factory.mktemp("workplace")
    generate(folder / "booru_raw", releases=["2021a", "2021b", "2021c"], posts=60)
    (folder / "booru_raw" / "walfie.sql").write_text(HAND_TAGGED)
    (folder / "booru_raw" / "Safebooru 2021c" / "V2021C_tags.tsv").unlink()
    tags = folder / "booru_raw" / "Safebooru 2021b" / "V2021B_tags.tsv"
    tags.write_text(tags.read_text().replace("TAG_CAT", "TAG_DOG", 1))
    settings = load_settings(raw=folder / "booru_raw", home=folder / "booru_home")
    with pytest.raises(BooruError, match="TAG_CAT"):
        run_plan(settings, make_plan(settings, [], Stage.TRAINING_SHARDS), print)
    return folder


def test_status_says_of_each_release_what_is_fresh_failed_and_missing_and_why(workplace):
    result = booru(workplace, "status", "--json")
    assert result.returncode == 0, result.stderr
    found = {item["release"]: item for item in json.loads(result.stdout)["releases"]}
    assert list(found) == ["walfie", "2021a", "2021b", "2021c"]
    states = {key: [stage["state"] for stage in item["stages"].values()] for key, item in found.items()}
    assert states["walfie"] == ["fresh", "fresh", *["not needed"] * 5]
    assert states["2021a"] == ["fresh", "fresh", *["missing"] * 5]
    assert states["2021b"] == ["failed", *["missing"] * 6]
    assert "column TAG_CAT is missing" in found["2021b"]["stages"]["tag_table"]["why"]
    assert found["2021b"]["last_run"]["outcome"] == "failed"
    assert "V2021C_tags.tsv (or .tsv.gz) is missing" in found["2021c"]["problem"]
    assert [item["fresh"] for item in found.values()] == [True, False, False, False]
    assert json.loads(result.stdout)["next"] == [
        "2021a is due: `booru dev` or `booru run` makes vocabulary, tokenized_dataset, checkpoint, "
        "evaluation_report, tag_audit",
        "2021b is due: `booru dev` or `booru run` makes tag_table, training_shards, vocabulary, tokenized_dataset, "
        "checkpoint, evaluation_report, tag_audit",
    ]


def test_status_for_people_shows_the_same_and_check_is_its_exit_status(workplace):
    result = booru(workplace, "status", "--check")
    assert result.returncode == 1
    assert result.stderr == ""
    for text in ("not needed", "failed", "column TAG_CAT is missing", "not whole"):
        assert text in result.stdout
    stale = booru(workplace, "status", BOORU_TRAINING_SHARDS__SALT="other")
    assert stale.returncode == 0
    assert "2021a  training_shards is stale: salt was booru, is other" in stale.stdout


def test_status_without_any_run_makes_nothing(tmp_path):
    generate(tmp_path / "booru_raw", releases=["2021a"], posts=20)
    assert booru(tmp_path, "status", "--check").returncode == 1
    assert not (tmp_path / "booru_home" / "dagster").exists()


def test_a_release_that_was_taken_away_is_named(workplace):
    folder = workplace / "booru_raw" / "Safebooru 2021a"
    folder.rename(workplace / "aside")
    try:
        assert json.loads(booru(workplace, "status", "--json").stdout)["taken_away"] == ["2021a"]
    finally:
        (workplace / "aside").rename(folder)


def test_status_agrees_with_what_the_sensor_calls_fresh(workplace):
    settings = load_settings(raw=workplace / "booru_raw", home=workplace / "booru_home")
    with dg.DagsterInstance.ephemeral() as instance:
        statuses = pipeline_status(settings, instance)
    assert [item.release for item in statuses if item.is_fresh] == ["walfie"]


def test_status_says_why_none_is_promoted(tmp_path):
    lake = Lake(tmp_path / "home")
    assert why_none_is_promoted(lake) == "there is no checkpoint yet"
    for key in ("2021a", "2021b"):
        lake.checkpoint(key).mkdir(parents=True)
        Record(stage=Stage.CHECKPOINT.value, release=key, key=f"key of {key}").write(lake.checkpoint(key))
    assert why_none_is_promoted(lake) == "the newest is taken, 2021b, which is not evaluated yet"
    report = lake.evaluation_report("2021b")
    report.mkdir(parents=True)
    found = {"losses": ["recall@10 is behind EDLAE"], "judgement_in_words": "behind EDLAE in recall@10"}
    (report / "metrics.json").write_text(json.dumps(found))
    assert why_none_is_promoted(lake) == "the newest is taken, 2021b, which was found behind EDLAE in recall@10"
    (report / "metrics.json").write_text(json.dumps({"losses": []}))  # promoted, and then `booru promote --none`
    assert why_none_is_promoted(lake) == "the newest is taken, 2021b"
    promote(lake, "2021a", "by hand")
    shutil.rmtree(lake.checkpoint("2021a"))
    assert "the promoted checkpoint of 2021a is gone: the newest is taken, 2021b" in why_none_is_promoted(lake)
    result = booru(tmp_path, "status", "--raw", "none", "--home", "home")
    assert result.returncode == 1
    generate(tmp_path / "raw", releases=["2021a"], posts=20)
    shown = booru(tmp_path, "status", "--raw", "raw", "--home", "home").stdout
    assert "promoted  none: the promoted checkpoint of 2021a is gone" in shown


def test_a_run_that_was_refused_before_its_first_step_says_why_at_what_was_due(tmp_path):
    generate(tmp_path / "booru_raw", releases=["2021a"], posts=60)
    settings = load_settings(raw=tmp_path / "booru_raw", home=tmp_path / "booru_home")
    run_plan(settings, make_plan(settings, [], Stage.TRAINING_SHARDS), print)
    config = {"resources": {"training_options": {"config": {"span_corruption": 0.5}}}}
    with open_instance(settings.lake) as instance:
        job = build_defs(settings).resolve_job_def("refresh_release")
        run = job.execute_in_process(instance=instance, partition_key="2021a", run_config=config, raise_on_error=False)
        assert not run.success
        (status,) = pipeline_status(settings, instance)
    assert [stage.state for stage in status.stages] == ["fresh", "fresh", "failed", *["missing"] * 4]
    assert "the present objective corrupts no spans" in status.stages[2].why


def test_clean_shows_first_and_removes_with_yes(tmp_path):
    lake = Lake(tmp_path / "booru_home")
    for key in ("2021a", "2021b", "2021c", "2022a"):
        lake.checkpoint(key).mkdir(parents=True)
        (lake.checkpoint(key) / "weights").write_bytes(bytes(2_000_000))
    shown = booru(tmp_path, "clean", "--keep", "2")
    assert shown.returncode == 0, shown.stderr
    assert "checkpoints/2021a" in shown.stdout
    assert "4.0 MB would be gained" in shown.stdout
    assert len(lake.releases_with(lake.checkpoint)) == 4
    removed = booru(tmp_path, "clean", "--keep", "2", "--yes")
    assert "4.0 MB gained" in removed.stdout
    assert lake.releases_with(lake.checkpoint) == ["2021c", "2022a"]
    assert "nothing to remove" in booru(tmp_path, "clean", "--keep", "2").stdout


def test_releases_shows_what_clean_has_removed(tmp_path):
    generate(tmp_path / "booru_raw", releases=["2021a"], posts=20)
    settings = load_settings(raw=tmp_path / "booru_raw", home=tmp_path / "booru_home")
    release = find_release(settings.raw_folder, "2021a")
    sources = settings.sources(release, settings.tag_relations.fingerprints)
    key = expected_records("2021a", sources, settings)[Stage.CHECKPOINT].key
    note = settings.lake.retired(Stage.CHECKPOINT.value, "2021a")
    note.parent.mkdir(parents=True)
    Record(stage=Stage.CHECKPOINT.value, release="2021a", key=key).write_note(note)
    for command in ("releases", "status"):
        result = booru(tmp_path, command)
        assert result.returncode == 0, result.stderr
        assert "retired" in result.stdout
