import json

import pytest
import torch
from safetensors.torch import save_file

from booru_pipeline.model.provenance import soundness_of


@pytest.fixture
def checkpoint(tmp_path):
    save_file({"a": torch.ones(3), "b": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    metrics = {"recall_at_10": 0.4, "popularity_recall_at_10": 0.3}
    (tmp_path / "provenance.json").write_text(json.dumps({"metrics": metrics}))
    return tmp_path


def test_a_good_folder_is_sound_and_has_learned(checkpoint):
    found = soundness_of(checkpoint)
    assert found.weights == 7
    assert found.is_sound
    assert found.has_learned


def test_a_weight_that_is_no_number_a_pickle_and_a_model_no_better_than_counting_are_found(checkpoint):
    save_file({"a": torch.tensor([1.0, float("nan"), float("inf")])}, checkpoint / "more.safetensors")
    (checkpoint / "optimizer.pt").write_bytes(b"")
    (checkpoint / "provenance.json").write_text(
        json.dumps({"metrics": {"recall_at_10": 0.3, "popularity_recall_at_10": 0.3}})
    )
    found = soundness_of(checkpoint)
    assert (found.not_finite, found.pickled) == (2, ["optimizer.pt"])
    assert not found.is_sound
    assert not found.has_learned
