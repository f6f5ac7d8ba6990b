"""Uploads that are killed, fail or meet others, and bytes that changed: with real kills."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta

import pytest

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.store import Store, StoreError
from booru_pipeline.pipeline import retention
from booru_pipeline.pipeline.settings import RetentionOptions
from booru_pipeline_tests.lake.stored import NAME, read, write

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

        def put(self, sources, targets, **_):
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

    def flaky(sources, targets, **_):
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
