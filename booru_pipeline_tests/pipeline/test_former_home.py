"""A home made by 4423e90, before the modules had their present places: its history is still its own, and all of it is
fresh but what is made otherwise since, on purpose, and what is made from that.
"""

import json
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.definitions.selector import InstigatorSelector

from booru_pipeline.defs.build import LOCATION, build_defs
from booru_pipeline.defs.shell import make_plan
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.record import read_record
from booru_pipeline.pipeline import stages
from booru_pipeline.pipeline.freshness import expected_records, release_status
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Sources, Stage
from booru_pipeline.release.find import find_releases
from booru_pipeline.sample import generate

FORMER = json.loads(Path(__file__).with_name("home_of_4423e90.json").read_text(encoding="utf-8"))

# Stages whose code gives another artifact since then, on purpose, with the code version of then. Tag tables of then
# have names as they were written, and shards no ratings. Vocabularies of then number their labels anew in each release,
# and datasets have no file a release. Reports of then lack T5 alone, EDLAE, nDCG and settings by
# hidden share; checkpoints of then say which label is next, and do not count.
FORMER_STAGES = Stage.EVALUATION_REPORT.upto()  # there were no audits
RAISED = {Stage(name): version for name, version in FORMER["raised_code_versions"].items()}


@pytest.fixture
def settings(tmp_path):
    """The sample that was made then, and the records of what was made of it, where they lay."""
    generate(tmp_path / "raw", **FORMER["sample"])
    settings = load_settings(raw=tmp_path / "raw", home=tmp_path / "home")
    for content in FORMER["records"]:
        path = Stage(content["stage"]).path(settings.lake, content["release"])
        text = json.dumps({**content, "made": "2026-11-26T23:05:53+00:00"})
        if path.suffix == ".duckdb":
            path.parent.mkdir(parents=True, exist_ok=True)
            with duckdb.connect(str(path)) as connection:
                connection.execute("CREATE TABLE record AS SELECT $text::JSON AS content", {"text": text})
        else:
            path.mkdir(parents=True)
            (path / "record.json").write_text(text, encoding="utf-8")
    return settings


def test_what_was_made_otherwise_then_is_out_of_date_and_what_was_made_from_it(settings):
    plan = make_plan(settings, [], Stage.EVALUATION_REPORT)
    assert {item.release.key: item.due for item in plan.releases} == dict.fromkeys(("2021a", "2021b"), FORMER_STAGES)
    for item in plan.releases:
        assert {status.state for status in item.statuses} == {"stale"}
        first = next(status for status in item.statuses if not status.is_fresh)
        assert first.why == "the code that makes it changed"
    assert all(int(stage.code_version) > int(version) for stage, version in RAISED.items())


@pytest.fixture
def as_then(monkeypatch):
    """The code versions and the options of then: apart from them nothing makes anything else of a home."""
    for stage, version in RAISED.items():
        monkeypatch.setattr(stage, "code_version", version)
    for stage, names in stages.NOT_IN_KEYS.items():
        monkeypatch.setitem(stages.NOT_IN_KEYS, stage, names | set(FORMER["new_options"]))


def test_apart_from_that_there_is_nothing_to_do(settings, as_then):
    plan = make_plan(settings, [], Stage.EVALUATION_REPORT)
    assert {item.release.key: item.due for item in plan.releases} == {"2021a": [], "2021b": []}
    assert [status.state for item in plan.releases for status in item.statuses] == ["fresh"] * 12


def test_its_records_read_as_they_were_written(settings):
    for content in FORMER["records"]:
        record = read_record(Stage(content["stage"]).path(settings.lake, content["release"]))
        assert record is not None
        assert {name: getattr(record, name) for name in content} == content


def test_an_option_makes_of_it_what_it_would_have_made_then(settings, as_then):
    """So that the records that are compared are not all there is to the keys."""
    (release, *_) = find_releases(settings.raw_folder).releases
    changed = settings.model_copy(
        update={"tokenized_dataset": settings.tokenized_dataset.model_copy(update={"min_tokens": 6})}
    )
    statuses = release_status(
        settings.lake, release.key, changed.sources(release, changed.tag_relations.fingerprints), changed
    )
    assert [status.state for status in statuses] == ["fresh"] * 3 + ["stale"] * 3 + ["missing"]
    assert statuses[3].why == "min_tokens was 4, is 6"


def test_other_settings_have_the_keys_that_they_had(as_then):
    given = FORMER["other_settings"]
    raw = FORMER["records"][0]["inputs"]["raw_release"]
    records = expected_records("2021a", Sources(raw, "aliases", "implications"), load_settings(**given["settings"]))
    assert {stage.value: records[stage].key for stage in FORMER_STAGES} == given["keys"]


def test_sensors_and_schedule_are_found_where_their_history_lies():
    repository = build_defs().get_repository_def()
    names = [item.name for item in (*repository.sensor_defs, *repository.schedule_defs)]
    found = {
        name: InstigatorSelector(location_name=LOCATION, repository_name=repository.name, name=name).get_id()
        for name in names
    }
    assert found == FORMER["instigators"]


def test_the_sensor_goes_on_from_its_cursor(settings, as_then, tmp_path):
    """Both releases have rested and are made: from the former cursor there is nothing to ask for, nor to wait for."""
    text = json.dumps(FORMER["cursor"]).replace("RAW", str(settings.raw_folder))
    sensor = build_defs(settings).get_sensor_def("new_releases")
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        instance.add_dynamic_partitions("release", ["2021a", "2021b"])
        context = dg.build_sensor_context(instance=instance, cursor=text, definitions=build_defs(settings))
        result = sensor(context)
    assert not result.run_requests
    cursor = json.loads(result.cursor)
    assert cursor.keys() - {"agreed"} == FORMER["cursor"].keys() - {"moment", "killed"}
    assert cursor["rests"].keys() == {"2021a", "2021b"}


def test_an_option_that_became_a_constant_is_named(monkeypatch):
    monkeypatch.setenv("BOORU_CHECKPOINT__SPAN_DENSITY", "0.2")
    with pytest.raises(BooruError, match=r"setting checkpoint\.span_density is a constant now\. Take it out"):
        load_settings()
