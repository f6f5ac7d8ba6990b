"""How far releases are made unattended."""

import pytest

from booru_pipeline.defs.automation.decide import goal_of
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import find_releases


@pytest.fixture
def found(tmp_path):
    (tmp_path / "danbooru2021.jsonl").write_text('{"id": 1, "tags": "a"}\n')
    (tmp_path / "walfie.sql").write_text("x\n")
    for name in ("V2021A_files.tsv", "V2021A_tags.tsv"):
        (tmp_path / name).write_text("x\n")
    return find_releases(tmp_path)


@pytest.mark.parametrize(
    ("release", "goal"),
    [
        ("walfie", Stage.TRAINING_SHARDS),
        ("danbooru2021", Stage.TAG_AUDIT),
        ("2021a", Stage.TAG_AUDIT),
    ],
)
def test_only_a_hand_tagged_release_gets_no_model_not_any_with_a_name(found, release, goal):
    assert release in found.keys
    assert goal_of(release, found) is goal
