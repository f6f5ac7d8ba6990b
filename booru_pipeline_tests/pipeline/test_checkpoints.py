"""Which checkpoint a name means, and what a trial is made from."""

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.pipeline.checkpoints import find_earlier, find_named, find_predecessor, source_of
from booru_pipeline.pipeline.stages import Stage


def put(lake, stage, name, key, **inputs):
    folder = stage.path(lake, name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "provenance.json").write_text("{}")
    Record(stage=stage.value, release=name, key=key, inputs=inputs).write(folder)


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    for name in ("2021a", "2021b", "manual_walfie", "2021a@lr5", "2021b@lr5", "2021b@1"):
        put(lake, Stage.CHECKPOINT, name, f"key of {name}", tokenized_dataset="dataset")
    put(lake, Stage.TOKENIZED_DATASET, "2021b", "dataset")
    return lake


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2021a", "2021a"),
        (" 2021B ", "2021b"),
        ("manual walfie", "manual_walfie"),
        ("lr5", "2021b@lr5"),  # of the newest release
        ("LR5", "2021b@lr5"),
        ("2021a@lr5", "2021a@lr5"),
        ("2021b@1", "2021b@1"),
    ],
)
def test_a_name_means_a_release_or_a_trial(lake, said, meant):
    assert find_named(lake, lake.checkpoint, said) == meant


@pytest.mark.parametrize("said", ["2021c", "lr6", "2021c@lr5", "@", "../2021a", "2021a@../../x", ""])
def test_what_is_not_there_is_named_with_what_is(lake, said):
    with pytest.raises(BooruError, match=r"no checkpoint of .*2021a, 2021b.*2021b@lr5") as refused:
        find_named(lake, lake.checkpoint, said)
    assert "booru run" in str(refused.value)


def test_trials_are_no_releases(lake):
    assert lake.releases_with(lake.checkpoint) == ["manual_walfie", "2021a", "2021b"]
    assert lake.trials_with(lake.checkpoint) == ["2021a@lr5", "2021b@1", "2021b@lr5"]
    assert lake.newest(lake.checkpoint) == "2021b"


def test_a_trial_is_made_from_its_own_dataset_if_it_has_one_and_else_from_its_release_s(lake):
    own = lake.tokenized_dataset("2021b@lr5")
    assert source_of(lake, Stage.TOKENIZED_DATASET, "2021b@lr5") == lake.tokenized_dataset("2021b")
    assert find_earlier(lake, "2021b@lr5").dataset == lake.tokenized_dataset("2021b")
    put(lake, Stage.TOKENIZED_DATASET, "2021b@lr5", "another")
    assert source_of(lake, Stage.TOKENIZED_DATASET, "2021b@lr5") == own
    assert find_earlier(lake, "2021b@lr5").dataset is None  # it was made anew since


def test_a_trial_is_compared_with_its_release_s_checkpoint(lake):
    assert find_predecessor(lake, "2021b@lr5").release == "2021b"
    assert find_predecessor(lake, "2021b").release == "2021a"
