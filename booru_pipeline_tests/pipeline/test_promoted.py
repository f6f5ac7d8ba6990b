"""The pointer to the checkpoint in use."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.pipeline.promoted import (
    checkpoint_in_use,
    clear,
    find_promoted_before,
    go_back,
    keep_promoted,
    promote,
    read_pointer,
    read_promoted,
    settle,
)
from booru_pipeline.pipeline.retention import find_removable, kept_checkpoints, kept_trials, promoted_release, remove
from booru_pipeline.pipeline.settings import RetentionOptions


def put(lake, release, key=None):
    folder = lake.checkpoint(release)
    shutil.rmtree(folder, ignore_errors=True)  # as publishing does: what is kept shares its files
    folder.mkdir(parents=True)
    Record(stage="checkpoint", release=release, key=key or f"key of {release}").write(folder)


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    for release in ("2021a", "2021b", "2022a"):
        put(lake, release)
    return lake


AHEAD = "ahead of every baseline at every hidden share, behind none"


def evaluate(lake, release, loss=""):
    return settle(lake, release, f"key of {release}", loss or AHEAD, loses=bool(loss))


def test_with_none_promoted_the_newest_is_taken_and_it_says_so(lake):
    release, note = checkpoint_in_use(lake)
    assert (release, read_promoted(lake)) == ("2022a", None)
    assert note == "no checkpoint is promoted: the newest is taken, 2022a"
    with pytest.raises(BooruError, match="no checkpoint"):
        checkpoint_in_use(Lake(lake.home / "empty"))


def test_a_checkpoint_that_does_not_lose_is_promoted_and_one_that_loses_leaves_it_there(lake):
    first = evaluate(lake, "2021a")
    assert first.is_promoted
    assert first.why == read_promoted(lake).reason == AHEAD
    assert read_promoted(lake).release == checkpoint_in_use(lake)[0] == "2021a"
    assert checkpoint_in_use(lake)[1] == ""
    lost = evaluate(lake, "2021b", "behind EASE in MRR with 90 % hidden")
    assert not lost.is_promoted
    assert lost.why == "behind EASE in MRR with 90 % hidden; 2021a stays promoted; figures in the report"
    assert read_promoted(lake).release == "2021a"
    assert evaluate(lake, "2022a").why == f"{AHEAD}; 2021a was promoted before"
    assert read_promoted(lake).key == "key of 2022a"


def test_without_a_promoted_one_a_loser_promotes_nothing(lake):
    assert evaluate(lake, "2021a", "behind EASE").why == "behind EASE; figures in the report"
    assert read_pointer(lake) is None
    assert not lake.promoted.exists()


def test_an_evaluation_that_is_made_again_changes_nothing(lake):
    evaluate(lake, "2021b")
    before = lake.promoted.read_bytes()
    again = evaluate(lake, "2021b")
    assert again.is_promoted
    assert lake.promoted.read_bytes() == before
    stays = evaluate(lake, "2021b", "behind EASE")
    assert stays.is_promoted
    assert stays.why.endswith(f"{AHEAD}, though now behind EASE; figures in the report")
    assert lake.promoted.read_bytes() == before


def test_an_earlier_release_does_not_take_over_from_a_later_one(lake):
    evaluate(lake, "2021b")
    earlier = evaluate(lake, "2021a")
    assert (earlier.is_promoted, earlier.why) == (False, "2021b is promoted, which is later")
    assert read_promoted(lake).release == "2021b"
    put(lake, "2021b", "another key")  # the promoted checkpoint is no more: anybody may take its place
    assert evaluate(lake, "2021a").is_promoted


def test_a_promoted_checkpoint_that_is_gone_or_rebuilt_is_said_and_the_newest_taken(lake):
    promote(lake, "2021b", "by hand")
    put(lake, "2021b", "another key")
    assert read_promoted(lake) is None
    release, note = checkpoint_in_use(lake)
    assert release == "2022a"
    assert note.startswith("the promoted checkpoint of 2021b was rebuilt since")
    (lake.checkpoint("2021b") / "record.json").unlink()
    lake.checkpoint("2021b").rmdir()
    assert checkpoint_in_use(lake)[1] == "the promoted checkpoint of 2021b is gone: the newest is taken, 2022a"


def test_by_hand_any_release_with_a_checkpoint_can_be_promoted_and_none(lake):
    pointer = promote(lake, "2021a", "by hand")
    assert json.loads(lake.promoted.read_text()) == pointer.model_dump(mode="json")
    assert (pointer.release, pointer.key, pointer.reason) == ("2021a", "key of 2021a", "by hand")
    assert promote(lake, "2021a", "again") == pointer
    with pytest.raises(BooruError, match=r"no checkpoint of 2021c .*2021a, 2021b, 2022a"):
        promote(lake, "2021c", "by hand")
    (lake.checkpoint("2021b") / "record.json").unlink()
    with pytest.raises(BooruError, match="no record"):
        promote(lake, "2021b", "by hand")
    clear(lake)
    assert checkpoint_in_use(lake)[1].startswith("no checkpoint is promoted")
    clear(lake)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"release": "2021a"}', '"2021a"'])
def test_what_is_no_pointer_counts_as_none(lake, content):
    lake.promoted.write_text(content)
    assert read_promoted(lake) is None
    assert checkpoint_in_use(lake)[0] == "2022a"
    assert evaluate(lake, "2021a").is_promoted


def test_killed_between_write_and_rename_the_former_pointer_stands(lake):
    promote(lake, "2021a", "by hand")
    before = lake.promoted.read_bytes()
    program = textwrap.dedent(
        """
        import pathlib, sys, time
        from booru_pipeline.lake import publish
        from booru_pipeline.lake.lake import Lake
        from booru_pipeline.pipeline.promoted import promote

        def wait(draft, final, workspace):
            assert "2021b" in draft.read_text()
            print("written", flush=True)
            time.sleep(60)

        publish._rename = wait
        promote(Lake(pathlib.Path(sys.argv[1])), "2021b", "by hand")
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(lake.home)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert lake.promoted.read_bytes() == before
    assert promote(lake, "2021b", "by hand").release == read_promoted(lake).release == "2021b"
    assert [path for path in lake.staging.folder.iterdir() if path.is_dir()] == []


def test_retention_keeps_the_promoted_checkpoint(lake):
    assert promoted_release(lake) == "2022a"
    promote(lake, "2021a", "by hand")
    assert promoted_release(lake) == "2021a"
    assert kept_checkpoints(lake, 1, promoted_release(lake)).keys() == {"2022a", "2021a"}


def test_going_back_promotes_what_was_promoted_before_step_by_step(lake):
    with pytest.raises(BooruError, match="none to go back to"):
        go_back(lake)
    for release in ("2021a", "2021b", "2022a"):
        promote(lake, release, f"{release} by hand")
    assert (go_back(lake).release, read_promoted(lake).reason) == ("2021b", "2021b by hand")
    assert (go_back(lake).release, read_promoted(lake).release) == ("2021a", "2021a")
    with pytest.raises(BooruError, match="none to go back to"):
        go_back(lake)
    assert read_promoted(lake).release == "2021a"


def test_going_back_passes_over_what_is_gone_and_says_if_nothing_is_left(lake):
    for release in ("2021a", "2021b", "2022a"):
        promote(lake, release, "by hand")
    shutil.rmtree(lake.checkpoint("2021b"))
    assert go_back(lake).release == "2021a"
    promote(lake, "2022a", "by hand")
    shutil.rmtree(lake.checkpoint("2021a"))
    with pytest.raises(BooruError, match="What was, is gone: 2021a"):
        go_back(lake)


def test_what_somebody_went_back_from_and_what_was_promoted_before_none_was_is_kept_too(lake):
    promote(lake, "2021a", "by hand")
    promote(lake, "2021b", "by hand")
    go_back(lake)
    assert keep_promoted(lake, "2021b") == "2021b@1"
    clear(lake)
    assert read_promoted(lake) is None
    assert keep_promoted(lake, "2021a") == "2021a@1"
    assert go_back(lake).release == "2021a@1"
    assert checkpoint_in_use(lake) == ("2021a@1", "")


def test_a_pointer_of_an_earlier_version_is_read(lake):
    promote(lake, "2021a", "by hand")
    content = json.loads(lake.promoted.read_text())
    del content["before"]
    lake.promoted.write_text(json.dumps(content))
    assert read_promoted(lake).before == ()
    promote(lake, "2021b", "by hand")
    assert go_back(lake).release == "2021a"


def report(lake, release, key):
    folder = lake.evaluation_report(release)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(f"of {key}")
    Record(stage="evaluation_report", release=release, key=f"report of {key}", inputs={"checkpoint": key}).write(folder)


def test_what_is_promoted_is_kept_with_its_report_before_another_takes_its_place(lake):
    promote(lake, "2021b", "by hand")
    report(lake, "2021b", "key of 2021b")
    assert keep_promoted(lake, "2021b") == "2021b@1"
    put(lake, "2021b", "retrained")
    assert checkpoint_in_use(lake) == ("2021b@1", "")
    assert read_promoted(lake).reason == "by hand"
    assert lake.record(lake.checkpoint("2021b@1")).key == "key of 2021b"
    assert (lake.evaluation_report("2021b@1") / "report.html").read_text() == "of key of 2021b"
    # What is trained next is compared with it, and takes its place if it does not lose.
    assert find_promoted_before(lake, "2021b").release == "2021b@1"
    assert settle(lake, "2021b", "retrained", "behind 2021b@1", loses=True).why.startswith(
        "behind 2021b@1; 2021b@1 stays"
    )
    assert settle(lake, "2021b", "retrained", AHEAD, loses=False).is_promoted
    assert read_promoted(lake).release == "2021b"
    assert keep_promoted(lake, "2021b") == "2021b@2"
    assert [former.release for former in read_promoted(lake).before] == ["2021b@1"]


def test_what_was_promoted_once_is_kept_too_and_what_never_was_is_not(lake):
    assert keep_promoted(lake, "2021a") is None  # nothing is promoted
    promote(lake, "2021a", "by hand")
    promote(lake, "2021b", "by hand")
    assert keep_promoted(lake, "2022a") is None
    assert keep_promoted(lake, "2021a") == "2021a@1"
    put(lake, "2021a", "retrained")
    assert read_promoted(lake).release == "2021b"
    assert go_back(lake).release == "2021a@1"
    assert lake.releases_with(lake.checkpoint) == ["2021a", "2021b", "2022a"]


def test_the_report_of_another_checkpoint_is_not_kept_with_it(lake):
    promote(lake, "2021b", "by hand")
    report(lake, "2021b", "an older key")
    assert keep_promoted(lake, "2021b") == "2021b@1"
    assert not lake.evaluation_report("2021b@1").exists()


def test_a_promoted_trial_is_kept_under_a_number_of_its_release(lake):
    put(lake, "2021b@lr5", "trial")
    promote(lake, "lr5", "by hand")
    assert keep_promoted(lake, "2021b@lr5") == "2021b@1"
    assert read_promoted(lake).release == "2021b@1"


def test_killed_between_the_copy_and_the_pointer_nothing_is_kept_twice(lake):
    promote(lake, "2021b", "by hand")
    program = textwrap.dedent(
        """
        import os, pathlib, signal, sys
        from booru_pipeline.lake.lake import Lake
        from booru_pipeline.pipeline import promoted

        promoted._write = lambda lake, pointer: os.kill(os.getpid(), signal.SIGKILL)
        promoted.keep_promoted(Lake(pathlib.Path(sys.argv[1])), "2021b")
        """
    )
    ended = subprocess.run([sys.executable, "-c", program, str(lake.home)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert checkpoint_in_use(lake) == ("2021b", "")
    assert keep_promoted(lake, "2021b") == "2021b@1"
    assert lake.trials_with(lake.checkpoint) == ["2021b@1"]


OLD = ("second", "third")


def test_clean_removes_old_trials_whole_but_not_what_is_or_was_promoted(lake):
    for number, name in enumerate(("first", "second", "third", "fourth")):
        put(lake, f"2021b@{name}", name)
        record = lake.record(lake.checkpoint(f"2021b@{name}"))
        path = lake.checkpoint(f"2021b@{name}") / "record.json"
        path.write_text(record.model_copy(update={"made": f"2026-01-0{number + 1}"}).model_dump_json())
        report(lake, f"2021b@{name}", name)
    promote(lake, "first", "by hand")
    promote(lake, "2021b", "by hand")
    assert kept_trials(lake, 1, "2021b") == {"2021b@fourth", "2021b@first"}
    options = RetentionOptions(trials=1)
    items = [item for item in find_removable(lake, options, promoted_release(lake)) if item.what == "trial"]
    gone = {lake.checkpoint, lake.evaluation_report}
    assert {item.path for item in items} == {
        artifact(f"2021b@{name}") for artifact in gone for name in ("second", "third")
    }
    assert remove(lake, items) > 0
    assert lake.trials_with(lake.checkpoint) == ["2021b@first", "2021b@fourth"]
    assert go_back(lake).release == "2021b@first"
