"""The weekly schedule, and the check of the raw files that it runs."""

import json
import os
import subprocess
import time

import dagster as dg
import pytest

from booru_pipeline.defs.build import build_defs
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline_tests.defs.automation.automated_home import CHAIN, asked, stages
from booru_pipeline_tests.running import BOORU


def schedule_requests(automated):
    (schedule,) = build_defs(automated.settings).schedules
    return schedule(dg.build_schedule_context(instance=automated.instance))


def test_the_schedule_verifies_all_evaluates_the_newest_and_asks_again_for_what_failed(automated, monkeypatch):
    for key in ("2021a", "2021b", "2021c"):
        automated.put("2021a", key)
    for key in ("2021a", "2021b"):
        automated.make(key)
    automated.make("2021c", Stage.TOKENIZED_DATASET)
    (request,) = automated.settled_tick().run_requests
    automated.past(request, dg.DagsterRunStatus.FAILURE, **{"dagster/failure_reason": "STEP_FAILURE"})
    assert "2021c failed" in automated.waits()
    assert "less than two minutes ago" in schedule_requests(automated).skip_message
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + int(3600e9))
    requests = {item.partition_key: item for item in schedule_requests(automated)}
    assert {key: stages(item) for key, item in requests.items()} == {
        "2021a": [],
        "2021b": [Stage.EVALUATION_REPORT],
        "2021c": CHAIN[4:],
    }
    for item in requests.values():
        assert "bytes_are_what_was_loaded" in {check.name for check in item.asset_check_keys}
    assert requests["2021c"].tags["booru/target"] == request.tags["booru/target"]
    assert requests["2021c"].run_key == f"{request.run_key}:2"


def test_the_schedule_verifies_and_evaluates_what_a_person_made_another_way(automated, monkeypatch):
    automated.put()
    (request,) = automated.settled_tick().run_requests
    automated.past(dg.RunRequest(partition_key="2021a", job_name=request.job_name), dg.DagsterRunStatus.SUCCESS)
    automated.change(checkpoint={"seed": 5})
    automated.make("2021a")
    automated.change()
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + int(3600e9))
    (item,) = schedule_requests(automated)
    assert stages(item) == [Stage.EVALUATION_REPORT]
    assert "bytes_are_what_was_loaded" in {check.name for check in item.asset_check_keys}


def test_no_cron_no_schedule_and_another_cron_is_taken(tmp_path):
    assert build_defs(load_settings(home=tmp_path, automation={"cron": ""})).schedules == []
    (schedule,) = build_defs(load_settings(home=tmp_path, automation={"cron": "30 2 * * *"})).schedules
    assert schedule.cron_schedule == "30 2 * * *"


def test_bytes_that_changed_silently_are_found_by_reading_them(automated):
    automated.put()
    automated.make("2021a")
    automated.settled_tick()
    cache = automated.settings.lake.raw_fingerprints
    known = json.loads(cache.read_text())
    path = str(automated.path("2021a", "tags").resolve())
    known[path][-1] = "0" * 64  # as if the bytes had been others when they were read
    cache.write_text(json.dumps(known))
    automated.make("2021a")
    job = build_defs(automated.settings).resolve_job_def("catch_up")
    (check,) = [key for key in job.asset_layer.asset_graph.asset_check_keys if key.name == "bytes_are_what_was_loaded"]
    result = job.get_subset(asset_selection=set(), asset_check_selection={check}).execute_in_process(
        instance=automated.instance, partition_key="2021a"
    )
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert asked(automated.tick()) == [("2021a", "refresh_release", CHAIN)]


@pytest.mark.parametrize("command", ["run", "dev"])
def test_a_cron_that_is_none_is_refused_before_anything_starts(raw, tmp_path, command):
    environment = {
        **os.environ,
        "BOORU_RAW": str(raw),
        "BOORU_HOME": str(tmp_path),
        "BOORU_AUTOMATION__CRON": "at noon",
    }
    result = subprocess.run(
        [BOORU, command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith(
        "booru: setting automation.cron: 'at noon' is no cron schedule such as '0 4 * * 1'."
    )
    assert list(tmp_path.iterdir()) == []
