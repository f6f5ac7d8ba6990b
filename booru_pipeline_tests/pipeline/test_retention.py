import fcntl
import json
import os
import shutil
import time

import pytest

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import leftovers, staged
from booru_pipeline.lake.record import Record
from booru_pipeline.pipeline.freshness import State, due_stages, expected_records, release_status
from booru_pipeline.pipeline.retention import find_removable, kept_checkpoints, remove
from booru_pipeline.pipeline.settings import RetentionOptions
from booru_pipeline.pipeline.stages import Recipe, Sources, Stage

KEYS = ["2021a", "2021b", "2021c", "2022a", "2022b", "2022aa"]
SOURCES = Sources("raw", "aliases", "implications")


@pytest.fixture
def lake(tmp_path):
    """Six releases, each with everything; every checkpoint went on from the one before."""
    lake = Lake(tmp_path)
    for row, key in enumerate(KEYS):
        for stage, record in expected_records(key, SOURCES, Recipe()).items():
            put(lake, stage, key, record, parent=KEYS[row - 1] if row else None)
    return lake


def put(lake, stage, key, record: Record, parent):
    path = stage.path(lake, key)
    path.mkdir(parents=True)
    record.write(path)
    (path / "weights").write_bytes(bytes(1000))
    if stage is Stage.CHECKPOINT:
        provenance = {"parent": {"release": parent} if parent else None, "wandb": f"/elsewhere/{wandb_name(key)}"}
        (path / "provenance.json").write_text(json.dumps(provenance))


def wandb_name(key):
    return f"offline-run-20260101_000000-{key}"


def found(lake, promoted=None, **options):
    items = find_removable(lake, RetentionOptions(**options), promoted)
    return {(item.what, item.path.name) for item in items}


def test_the_newest_the_promoted_and_their_parents_are_kept(lake):
    kept = kept_checkpoints(lake, 2, "2021a")
    assert kept == {
        "2022b": "one of the newest",
        "2022aa": "one of the newest",
        "2022a": "the parent of 2022b",
        "2021a": "promoted",
    }
    assert found(lake, "2021a", checkpoints=2) == {("checkpoint", "2021b"), ("checkpoint", "2021c")}
    assert found(lake, checkpoints=6) == set()


def test_looking_removes_nothing_and_removing_gains_what_was_said(lake):
    before = set(lake.home.rglob("*"))
    items = find_removable(lake, RetentionOptions(checkpoints=1, reports=2), None)
    assert set(lake.home.rglob("*")) == before
    assert {(item.what, item.release) for item in items} == {
        *[("checkpoint", key) for key in KEYS[:4]],
        *[("report", key) for key in KEYS[:4]],
        *[("audit", key) for key in KEYS[:4]],
    }
    size = sum(path.stat().st_size for path in lake.home.rglob("*") if path.is_file())
    gained = remove(lake, items)
    notes = sum(path.stat().st_size for path in (lake.home / "retired").rglob("*") if path.is_file())
    assert size - gained + notes == sum(path.stat().st_size for path in lake.home.rglob("*") if path.is_file())
    assert lake.releases_with(lake.checkpoint) == ["2022b", "2022aa"]
    assert not leftovers(lake.staging.folder)
    assert find_removable(lake, RetentionOptions(checkpoints=1, reports=2), None) == []


def test_what_was_removed_is_not_due_until_something_changes(lake):
    remove(lake, find_removable(lake, RetentionOptions(checkpoints=1), None))
    statuses = release_status(lake, "2021a", SOURCES, Recipe())
    assert [status.state for status in statuses] == [*[State.FRESH] * 4, State.RETIRED, State.FRESH, State.FRESH]
    assert all(status.is_fresh for status in statuses)
    other = Recipe(evaluation_report={"seed": 5})
    states = [status.state for status in release_status(lake, "2021a", SOURCES, other)]
    assert states[4:] == [State.RETIRED, State.RETIRED, State.RETIRED]
    other = Recipe(checkpoint={"seed": 5})
    states = [status.state for status in release_status(lake, "2021a", SOURCES, other)]
    assert states[4:] == [State.MISSING, State.STALE, State.STALE]


def test_an_audit_that_is_missing_is_not_due_where_the_checkpoint_that_it_asks_was_removed(lake):
    """As in a home of before there were audits, which keeps more reports than checkpoints."""
    for key in KEYS:
        shutil.rmtree(lake.tag_audit(key))
    remove(lake, find_removable(lake, RetentionOptions(checkpoints=1), None))
    found = {key: release_status(lake, key, SOURCES, Recipe()) for key in KEYS}
    assert [status.state for status in found["2021a"]] == [
        *[State.FRESH] * 4,
        State.RETIRED,
        State.FRESH,
        State.RETIRED,
    ]
    assert due_stages(found["2021a"]) == []
    assert due_stages(found["2022aa"]) == [Stage.TAG_AUDIT]
    assert due_stages(found["2021a"], retired_too=True) == [*Stage][Stage.CHECKPOINT.order :]


def test_states_go_when_published_or_old_and_never_under_a_training(lake):
    record = json.loads((lake.checkpoint("2022aa") / "record.json").read_text())
    published = lake.training_states("2022aa") / f"{record['key']}-parent"
    young = lake.training_states("2022b") / "fedcba9876543210"
    old = lake.training_states("2022a") / "0123456789abcdef"
    for path in (published, young, old):
        (path / "step-000000001").mkdir(parents=True)
        (path / "step-000000001" / "progress.json").write_text(json.dumps({"wandb": "going"}))
    for path in (old / "step-000000001" / "progress.json", old / "step-000000001", old):
        os.utime(path, (time.time() - 30 * 86_400,) * 2)
    assert {name for what, name in found(lake, checkpoints=6)} == {published.name, old.name}
    lock = os.open(old.parent / "lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert {name for what, name in found(lake, checkpoints=6)} == {published.name}
    os.close(lock)


def test_wandb_folders_go_with_their_checkpoints_when_they_are_old(lake):
    folder = lake.wandb / "wandb"
    names = [wandb_name("2021a"), wandb_name("2022aa"), wandb_name("going"), wandb_name("young")]
    for name in names:
        (folder / name).mkdir(parents=True)
        if "young" not in name:
            os.utime(folder / name, (time.time() - 30 * 86_400,) * 2)
    (folder / "latest-run").symlink_to(folder / names[0])
    state = lake.training_states("2022aa") / "key" / "step-000000001"
    state.mkdir(parents=True)
    (state / "progress.json").write_text(json.dumps({"wandb": "going"}))
    assert {name for what, name in found(lake, checkpoints=1) if what == "wandb"} == {names[0]}


def test_leftovers_of_dead_writers_go_and_living_writers_keep_theirs(lake, tmp_path):
    with staged(tmp_path / "x" / "final", lake.staging) as draft:
        dead = lake.staging.folder / "checkpoints-2021a-dead"
        dead.mkdir()
        (dead / "lock").touch()
        (dead / "weights").write_bytes(bytes(10))
        items = find_removable(lake, RetentionOptions(checkpoints=6), None)
        assert [(item.what, item.path, item.bytes) for item in items] == [("staging", dead, 10)]
        remove(lake, items)
        assert not dead.exists()
        draft.write_text("whole")
    assert (tmp_path / "x" / "final").read_text() == "whole"
