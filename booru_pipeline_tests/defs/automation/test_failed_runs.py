"""The message about a failed run, from real failing runs, and where it goes."""

import http.server
import json
import sys
import threading

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._utils.error import serializable_error_info_from_exc_info

from booru_pipeline.defs.automation.failed_runs import describe_failure, post
from booru_pipeline.defs.build import build_defs
from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.sample import generate


class Mailbox:
    """A webhook."""

    def __init__(self, status=200):
        messages = self.messages = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                messages.append((self.headers["Content-Type"], json.loads(self.rfile.read(length))))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def mailbox():
    box = Mailbox()
    yield box
    box.server.shutdown()


@pytest.fixture
def world(tmp_path, mailbox):
    generate(tmp_path / "raw", releases=["2021a"], posts=60)
    settings = load_settings(raw=tmp_path / "raw", home=tmp_path / "home", automation={"webhook": mailbox.url})
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("release", ["2021a"])
        yield settings, instance


def load(settings, instance):
    job = build_defs(settings).resolve_job_def("load_only")
    return job.execute_in_process(instance=instance, partition_key="2021a", raise_on_error=False)


def tell(settings, instance, result):
    """What the daemon does when it finds the failure."""
    sensor = next(item for item in build_defs(settings).sensors if item.name == "failed_runs")
    (event,) = [item for item in result.all_events if item.event_type_value == "PIPELINE_FAILURE"]
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs", dagster_event=event, dagster_instance=instance, dagster_run=result.dagster_run
    ).for_run_failure()
    sensor(context)


def test_a_failure_that_people_can_mend_says_what_where_why_and_what_to_do(world, mailbox):
    settings, instance = world
    path = settings.raw_folder / "Safebooru 2021a" / "V2021A_tags.tsv"
    path.write_text("BOORU\tFID\n")
    result = load(settings, instance)
    tell(settings, instance, result)
    ((kind, message),) = mailbox.messages
    assert kind == "application/json"
    assert message["text"].startswith("release 2021a failed at raw_release: ")
    assert "V2021A_tags.tsv, line 1: column TAG is missing" in message["error"]
    assert "download the file again" in message["text"]
    assert "Then start it again" in message["remedy"]
    assert (message["stage"], message["run_id"]) == ("raw_release", result.run_id)
    assert "Traceback" not in message["text"]


def test_an_error_in_a_stage_names_the_stage(world, mailbox):
    settings, instance = world
    settings.lake.home.mkdir(exist_ok=True)
    (settings.lake.home / "warehouse").write_text("a file where a folder should be")
    tell(settings, instance, load(settings, instance))
    ((_, message),) = mailbox.messages
    assert message["stage"] == "tag_table"
    assert "Make it writable" in message["text"]


def test_a_run_that_is_marked_as_failed_twice_is_told_of_once(world, mailbox):
    settings, instance = world
    (settings.raw_folder / "Safebooru 2021a" / "V2021A_tags.tsv").write_text("BOORU\tFID\n")
    result = load(settings, instance)
    tell(settings, instance, result)
    tell(settings, instance, result)
    assert len(mailbox.messages) == 1


def test_a_killed_run_is_said_to_be_killed(world):
    settings, instance = world
    job = build_defs(settings).resolve_job_def("load_only")
    run = instance.create_run_for_job(
        job, tags={"dagster/partition": "2021a", "booru/target": "key"}, status=dg.DagsterRunStatus.STARTED
    )
    instance.report_run_failed(run, "the process that executed this run is gone")
    message = describe_failure(instance, instance.get_run_by_id(run.run_id))
    assert message["interrupted"]
    assert message["text"] == (
        "release 2021a was interrupted: the process that executed this run is gone. It was killed and did not fail by "
        "itself: the sensor asks for it again."
    )


def test_settings_that_cannot_be_read_are_named_and_the_webhook_is_told_all_the_same(
    tmp_path, mailbox, world, monkeypatch
):
    """The run's process could not load the graph; no more can the sensor read which webhook is to be told now."""
    _, instance = world
    config = tmp_path / "booru.toml"
    config.write_text(f'home = "{tmp_path}/home"\n[automation]\nwebhook = "{mailbox.url}"\n')
    monkeypatch.setenv("BOORU_CONFIG", str(config))
    definitions = build_defs()
    job = definitions.resolve_job_def("load_only")
    tags = {"dagster/partition": "2021a", "booru/target": "key"}
    run = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTING)
    config.write_text(f"{config.read_text()}nonsense = 3\n")
    try:
        build_defs()
    except BooruError:
        error = EngineEventData.engine_error(serializable_error_info_from_exc_info(sys.exc_info()))
    instance.report_engine_event("Could not load job definition.", run, error)
    failed = instance.report_run_failed(run)
    sensor = next(item for item in definitions.sensors if item.name == "failed_runs")
    sensor(
        dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_event=failed,
            dagster_instance=instance,
            dagster_run=instance.get_run_by_id(run.run_id),
        ).for_run_failure()
    )
    ((_, message),) = mailbox.messages
    says = (
        f"release 2021a could not be started: {config} line 4: there is no setting automation.nonsense. `booru settings"
    )
    assert message["text"].startswith(says)
    assert message["text"].endswith("Once that is mended, the sensor asks for it again.")
    assert not message["interrupted"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "refusing"])
def test_a_webhook_that_takes_nothing_is_named(url):
    box = Mailbox(status=500)
    with pytest.raises(BooruError, match=r"automation\.webhook"):
        post(box.url if url == "refusing" else url, {"text": "x", "run_id": "12345678"})
    box.server.shutdown()


@pytest.mark.parametrize("setting", [{"webhook": "example.org/hook"}, {"cron": "at noon"}, {"attempts": 0}])
def test_a_setting_that_cannot_work_is_named(tmp_path, setting):
    with pytest.raises(BooruError, match=rf"automation\.{next(iter(setting))}"):
        build_defs(load_settings(home=tmp_path, automation=setting))
