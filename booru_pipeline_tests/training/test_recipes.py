"""Every encoding with every objective, from the dataset to a checkpoint that answers."""

import json

import numpy as np
import pytest

from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline_tests.training import themed_dataset
from booru_pipeline_tests.training.process import job_in


@pytest.fixture(scope="module", params=["labels", "pieces"])
def encoded(request, tmp_path_factory):
    options = CaptionOptions(encoding=request.param, max_tokens=64)
    made = themed_dataset.build(tmp_path_factory.mktemp(request.param), BaseModel("tiny", None), options=options)
    return request.param, made


@pytest.mark.parametrize("objective", ["sequence", "span"])
def test_a_checkpoint_learns_and_answers(encoded, objective, forks, tmp_path):
    encoding, made = encoded
    options = {
        "objective": objective,
        "max_steps": 120,
        "batch_size": 32,
        "evaluations": 2,
        "optimizer": "adamw",
        "learning_rate": 3e-3,
    }
    job = job_in(tmp_path, made, {**options, "hidden_share_max": 0.6})
    done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 0, done.said
    provenance = json.loads((job.output / "provenance.json").read_text())
    assert (provenance["encoding"], provenance["objective"]) == (encoding, objective)
    losses = [
        entry["eval_loss"]
        for entry in json.loads((job.output / "training_log.json").read_text())
        if "eval_loss" in entry
    ]
    assert losses[-1] < losses[0]
    assert 0 < provenance["metrics"]["recall_at_10"] <= 1
    predictor = Predictor.load(job.output)
    known = predictor.vocabulary
    probabilities = predictor.probabilities([[known.index["usada_pekora"]], [known.index["hatsune_miku"]]])
    assert np.isfinite(probabilities).all()
    for row, name in enumerate(["usada_pekora", "hatsune_miku"]):
        theme = np.mean([probabilities[row, known.index[label]] for label in themed_dataset.THEMES[name]])
        others = np.mean(
            [
                probabilities[row, known.index[label]]
                for other, labels in themed_dataset.THEMES.items()
                for label in labels
                if other != name and label not in themed_dataset.THEMES[name]
            ]
        )
        assert theme > others


@pytest.mark.parametrize("encoded", ["pieces"], indirect=True)
def test_the_set_objective_over_pieces_says_what_to_do(encoded, forks, tmp_path):
    _, made = encoded
    job = job_in(tmp_path, made, {"objective": "set", "max_steps": 1})
    done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 1
    assert "objective = sequence" in done.said
    assert not job.output.exists()
