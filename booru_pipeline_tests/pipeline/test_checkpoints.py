"""The pointer to the checkpoint in use."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.pipeline.promoted import checkpoint_in_use, clear, promote, read_pointer, read_promoted, settle
from booru_pipeline.pipeline.retention import kept_checkpoints, promoted_release


def put(lake, release, key=None):
    folder = lake.checkpoint(release)
    folder.mkdir(parents=True, exist_ok=True)
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
    assert json.loads(lake.promoted.read_text()) == vars(pointer)
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
