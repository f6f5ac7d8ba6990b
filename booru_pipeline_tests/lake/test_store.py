"""Artifacts in an S3 server (moto's, a real one over HTTP) and in a folder, with real kills."""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from datetime import timedelta

import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from booru_pipeline.cli.app import app
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record, read_record
from booru_pipeline.lake.store import Store, StoreError, open_store
from booru_pipeline.pipeline import retention
from booru_pipeline.pipeline.checkpoints import clear, promote, read_promoted
from booru_pipeline.pipeline.settings import RetentionOptions, load_settings

RECORD = Record(stage="training_shards", release="2021a", key="key")
NAME = "shards/2021a"


@pytest.fixture(scope="module")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def bucket(endpoint):
    """A new bucket: its URL and fsspec's options."""
    name = f"booru-{time.monotonic_ns()}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT")).close()
    return f"s3://{name}/lake", {"endpoint_url": endpoint}


@pytest.fixture(params=["s3", "folder"])
def place(request, tmp_path):
    if request.param == "s3":
        return request.getfixturevalue("bucket")
    return f"file://{tmp_path}/store", {}


@pytest.fixture
def store(place):
    return Store(*place)


def write(lake, text, parts="ab"):
    """Publish an artifact of several files that all say the same."""
    with staged(lake.home / NAME, lake.staging) as draft:
        (draft / "inner").mkdir(parents=True)
        for part in parts:
            (draft / "inner" / part).write_text(text)
        RECORD.write(draft)


def read(lake):
    return {path.read_text() for path in (lake.bring(lake.home / NAME) / "inner").iterdir()}


def test_what_one_home_publishes_another_has_and_the_later_one_counts(tmp_path, place):
    one, two = Lake(tmp_path / "one", Store(*place)), Lake(tmp_path / "two", Store(*place))
    assert one.record(one.home / NAME) is None
    assert one.bring(one.home / NAME) == one.home / NAME
    write(one, "first")
    assert two.record(two.home / NAME) == RECORD
    assert two.releases_with(two.training_shards) == ["2021a"]
    assert not (two.home / NAME).exists()
    assert two.read(two.home / NAME, "inner/a") == "first"
    assert read(two) == {"first"}
    write(two, "second")
    one.store.__init__(*place)  # a look that is not two seconds old
    assert read(one) == {"second"}
    assert read_record(one.home / NAME).made == read_record(two.home / NAME).made
    assert not one.store.uploads()


def test_what_is_later_here_is_not_overwritten(tmp_path, store):
    with_store, without = Lake(tmp_path, store), Lake(tmp_path)
    write(with_store, "first")
    write(without, "made while no store was configured")
    assert read(with_store) == {"made while no store was configured"}
    assert not with_store.is_stored(with_store.home / NAME)


def test_a_file_is_an_artifact_too(tmp_path, place):
    one, two = Lake(tmp_path / "one", Store(*place)), Lake(tmp_path / "two", Store(*place))
    with staged(one.promoted, one.staging) as draft:
        draft.write_text("2021a")
    assert two.bring(two.promoted).read_text() == "2021a"
    with staged(two.promoted, two.staging) as draft:
        draft.write_text("2021b")
    one.store.__init__(*place)
    assert one.bring(one.promoted).read_text() == "2021b"


def test_other_tools_open_what_the_url_names(tmp_path, place, store):
    import pyarrow as pa
    import pyarrow.parquet as pq

    lake = Lake(tmp_path / "home", store)
    with staged(lake.home / NAME, lake.staging) as draft:
        draft.mkdir()
        pq.write_table(pa.table({"fid": [1, 2]}), draft / "posts.parquet")
    import fsspec

    with fsspec.open(f"{store.url_of(NAME)}/posts.parquet", **place[1]) as file:
        assert pq.read_table(file)["fid"].to_pylist() == [1, 2]


WRITER = textwrap.dedent(
    """
    import json, pathlib, sys
    from booru_pipeline.lake.publish import staged
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.lake.store import Store

    home, url, options = pathlib.Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    store = Store(url, options)
    point = store._point

    def stop(stored):  # the files are there, and nothing names them yet
        print("uploaded", flush=True)
        sys.stdin.read()
        point(stored)

    store._point = stop
    lake = Lake(home, store)
    with staged(lake.home / "shards" / "2021a", lake.staging) as draft:
        (draft / "inner").mkdir(parents=True)
        for part in "ab":
            (draft / "inner" / part).write_text("half")
    """
)


def test_a_killed_upload_leaves_nothing_under_the_name_and_clean_removes_its_files(tmp_path, place, monkeypatch):
    lake = Lake(tmp_path / "home", Store(*place))
    write(lake, "good")
    command = [sys.executable, "-c", WRITER, str(tmp_path / "other"), place[0], json.dumps(place[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"uploaded\n"
        os.kill(process.pid, signal.SIGKILL)
    fresh = Lake(tmp_path / "third", Store(*place))
    assert read(fresh) == {"good"}
    assert not (tmp_path / "other" / NAME).exists()
    (upload,) = fresh.store.uploads()
    assert upload.path.startswith(f"{NAME}/")
    assert upload.bytes == 8
    options = RetentionOptions()
    assert [item.what for item in retention.find_removable(fresh, options, None)] == []  # it may be under way
    monkeypatch.setattr(retention, "_UPLOADING", timedelta(days=-1))
    (item,) = retention.find_removable(fresh, options, None)
    assert (item.what, item.bytes) == ("upload", 8)
    retention.remove(fresh, [item])
    assert fresh.store.uploads() == []
    assert read(Lake(tmp_path / "fourth", Store(*place))) == {"good"}


def test_killed_before_it_has_its_name_here_it_is_fetched_and_not_made_again(tmp_path, place):
    program = (
        WRITER.replace("def stop", "def unused")
        .replace("store._point = stop", "")
        .replace(
            "lake = Lake(home, store)",
            "from booru_pipeline.lake import publish\n"
            "publish._rename = lambda *_: (print('uploaded', flush=True), sys.stdin.read())\n"
            "lake = Lake(home, store)",
        )
    )
    command = [sys.executable, "-c", program, str(tmp_path / "home"), place[0], json.dumps(place[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"uploaded\n"
        os.kill(process.pid, signal.SIGKILL)
    lake = Lake(tmp_path / "home", Store(*place))
    assert not (lake.home / NAME).exists()
    assert read(lake) == {"half"}
    assert [path for path in lake.staging.folder.iterdir() if path.is_dir()] == []


def test_an_upload_that_fails_leaves_both_places_as_they_were(tmp_path, place):
    lake = Lake(tmp_path / "home", Store(*place, waits_s=()))
    write(lake, "good")

    class Broken:
        def __init__(self, whole):
            self._whole = whole

        def __getattr__(self, name):
            return getattr(self._whole, name)

        def put(self, sources, targets):
            self._whole.put(sources[:1], targets[:1])
            raise TimeoutError("the cable was pulled")

    lake.store._fs = Broken(lake.store._fs)
    with pytest.raises(StoreError, match=r"did not take shards/2021a: the cable was pulled.*\[store\]"):
        write(lake, "new")
    again = Lake(tmp_path / "other", Store(*place))
    assert read(lake) == read(again) == {"good"}
    assert len(again.store.uploads()) == 1


def test_an_upload_is_tried_again(tmp_path, place):
    lake = Lake(tmp_path / "home", Store(*place, waits_s=(0.0, 0.0)))
    put, calls = lake.store._fs.put, []

    def flaky(sources, targets):
        calls.append(targets)
        if len(calls) < 3:
            raise ConnectionResetError
        put(sources, targets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake.store._fs, "put", flaky)
        write(lake, "good")
    assert len(calls) == 3
    assert read(Lake(tmp_path / "other", Store(*place))) == {"good"}


def test_bytes_that_changed_in_the_store_are_refused(tmp_path, place):
    one, two = Lake(tmp_path / "one", Store(*place)), Lake(tmp_path / "two", Store(*place))
    write(one, "good")
    (found,) = [path for path in one.store._fs.find(f"{one.store._root}/{NAME}") if path.endswith("/a")]
    one.store._fs.pipe_file(found, b"evil")
    with pytest.raises(StoreError, match=f"SHA-256.*booru store remove {NAME}"):
        two.bring(two.home / NAME)
    assert not (two.home / NAME).exists()


def test_who_fetches_while_others_publish_gets_one_whole_version(tmp_path, place):
    writer = Lake(tmp_path / "writer", Store(*place))
    write(writer, "0")
    done = threading.Event()

    def publish():
        try:
            for row in range(12):
                write(writer, str(row), parts="abcdef")
        finally:
            done.set()

    thread = threading.Thread(target=publish)
    thread.start()
    looks = 0
    while not done.is_set():
        reader = Lake(tmp_path / f"reader-{looks}", Store(*place))
        assert len(read(reader)) == 1
        looks += 1
    thread.join()
    assert looks > 1
    assert writer.store.uploads() == []


def test_the_promoted_checkpoint_is_the_same_for_all(tmp_path, place):
    one, two = Lake(tmp_path / "one", Store(*place)), Lake(tmp_path / "two", Store(*place))
    with staged(one.checkpoint("2021a"), one.staging) as draft:
        draft.mkdir()
        RECORD.write(draft)
    promote(one, "2021a", "by hand")
    assert read_promoted(two).release == "2021a"
    clear(two)
    one.store.__init__(*place)
    assert read_promoted(Lake(tmp_path / "three", Store(*place))) is None


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("nowhere://x", {}, r"nowhere://x cannot be a store.*\[store\]"),
        ("s3://bucket", {"no_such_option": 1}, r"s3://bucket cannot be a store|did not read"),
    ],
)
def test_a_place_that_cannot_be_a_store_is_named(url, options, message):
    with pytest.raises(StoreError, match=message):
        Store(url, options).listing()


def test_a_store_that_does_not_answer_or_has_no_bucket_is_named(tmp_path, endpoint):
    with pytest.raises(StoreError, match=r"s3://bucket did not read.*\[store\].*AWS_ACCESS_KEY_ID"):
        Store("s3://bucket", {"endpoint_url": "http://127.0.0.1:9"}).listing()
    lake = Lake(tmp_path, Store("s3://no-such-bucket/lake", {"endpoint_url": endpoint}, waits_s=()))
    with pytest.raises(StoreError, match="s3://no-such-bucket/lake did not take"):
        write(lake, "x")
    assert not (lake.home / NAME).exists()


@pytest.mark.parametrize("options", [{"key": "AKIA"}, {"client_kwargs": {"aws_secret_access_key": "x"}}])
def test_credentials_in_the_settings_are_refused(tmp_path, monkeypatch, options):
    monkeypatch.setenv("BOORU_STORE__URL", "s3://bucket/lake")
    monkeypatch.setenv("BOORU_STORE__OPTIONS", json.dumps(options))
    with pytest.raises(BooruError, match=r"looks like a credential.*AWS_ACCESS_KEY_ID"):
        load_settings()


def test_without_a_store_the_commands_say_how_to_configure_one(tmp_path):
    result = CliRunner().invoke(app, ["store", "list", "--home", str(tmp_path)])
    assert isinstance(result.exception, BooruError)
    assert "BOORU_STORE__URL" in str(result.exception)
    assert open_store("", {}) is None


QUICK = """
[vocabulary]
min_general_posts = 5
min_name_posts = 5
[checkpoint]
max_steps = 5
wandb_project = ""
[evaluation_report]
test_posts = 20
bootstrap_samples = 50
"""


@pytest.fixture
def booru(raw, bucket, tmp_path):
    """The command, on a home of that name, with the bucket in its config."""
    url, options = bucket
    config = tmp_path / "booru.toml"

    def call(home, *arguments, store=True, raw=raw):
        section = f'[store]\nurl = "{url}"\nendpoint_url = "{options["endpoint_url"]}"\n'
        config.write_text(f"{QUICK}{section if store else ''}")
        environment = {"BOORU_RAW": str(raw), "BOORU_HOME": str(tmp_path / home), "BOORU_CONFIG": str(config)}
        result = CliRunner().invoke(app, arguments, env={**environment, "COLUMNS": "200"}, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_a_machine_with_an_empty_home_takes_what_it_needs_and_makes_what_is_missing(booru, raw, tmp_path):
    first, both = tmp_path / "first", raw
    shutil.copytree(raw / "Safebooru 2021a", first / "Safebooru 2021a")
    made = booru("one", "run", raw=first)
    assert made.count("2021a  tag_table in") == 1
    listing = booru("two", "store", "list")
    for folder in ("warehouse", "shards", "vocabulary", "datasets", "checkpoints", "reports"):
        assert f"{folder}/2021a" in listing
    assert re.search(
        r"^shards/2021a +\d{4}-.* UTC +\S+ kB  s3://booru-\d+/lake/shards/2021a/\S+$", listing, re.MULTILINE
    )

    # Nothing is made again, and what is asked for comes.
    assert "nothing to do" in booru("two", "run", raw=first)
    assert "store  s3://" in booru("two", "status", "--check", raw=first)
    assert not (tmp_path / "two" / "checkpoints").exists()
    assert json.loads(booru("two", "suggest", "usada_pekora", "--json", raw=first))
    assert (tmp_path / "two" / "checkpoints" / "2021a" / "model.safetensors").is_file()
    assert not (tmp_path / "two" / "datasets").exists()
    booru("two", "sql", "select count(*) from tags", raw=first)
    with open(booru("two", "report", raw=first).strip()) as report:
        assert "<html" in report.read(1000)

    # A new release is made there, from the earlier one's shards.
    made = booru("three", "run", raw=both)
    assert "2021a  nothing to do" in made
    assert "2021b  evaluation_report in" in made
    assert (tmp_path / "three" / "shards" / "2021a" / "posts.parquet").is_file()
    assert json.loads((tmp_path / "three" / "checkpoints" / "2021b" / "provenance.json").read_text())["trained_on"]
    assert booru("one", "status", "--check", raw=both)

    # What retention removes is gone for all, and nobody makes it again.
    assert "removed" in booru("one", "clean", "--keep", "1", "--yes", raw=both)
    assert "checkpoints/2021a" not in booru("three", "store", "list")
    assert "2021a  nothing to do" in booru("four", "run", raw=both)


def test_a_home_from_before_the_store_is_pushed_once(booru, tmp_path):
    booru("old", "run", "--to", "vocabulary", store=False)
    pushed = booru("old", "store", "push")
    assert pushed.count("published") == 6
    assert booru("old", "store", "push") == "the store has everything that the home has\n"
    assert "nothing to do" in booru("new", "run", "--to", "vocabulary")
    booru("old", "store", "remove", "vocabulary/2021b")
    assert "vocabulary/2021b" not in booru("old", "store", "list")


def test_staging_without_a_store_publishes_here_only(tmp_path):
    with staged(tmp_path / "x", Staging(tmp_path / ".staging")) as draft:
        draft.write_text("x")
    assert (tmp_path / "x").read_text() == "x"
