"""A checkpoint's graph answers as its torch model does, without torch, and never for other weights."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5ForConditionalGeneration

from booru_pipeline.model.objective_name import ObjectiveName
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.presence import Presence
from booru_pipeline.model.ranking import Question, as_posts
from booru_pipeline.model.ranking.graph import GRAPH_FILE, GraphRanker, keep_graph
from booru_pipeline.model.ranking.torch_rankers import ranker_for
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline_tests.vocabulary.labels import make_vocabulary

CONTEXTS = [[0], [3, 1], [2, 5, 7, 11], [], list(range(12))]


@pytest.fixture
def checkpoint(world, tmp_path):
    return shutil.copytree(world.checkpoint, tmp_path / "checkpoint", ignore=shutil.ignore_patterns(GRAPH_FILE))


@pytest.mark.parametrize("objective", [ObjectiveName.PRESENT, ObjectiveName.SET, ObjectiveName.SPAN])
@pytest.mark.parametrize("tied", [True, False])
def test_every_objective_over_labels_is_asked_as_in_torch(tmp_path, objective, tied):
    vocabulary = make_vocabulary(tmp_path / "vocabulary")
    size, special = vocabulary.first_token_id + len(vocabulary), vocabulary.special_tokens
    shape = {
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 1,
        "num_heads": 2,
        "decoder_start_token_id": special.pad,
    }
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(vocab_size=size, **shape)).eval()
    if not tied:
        model.lm_head.weight = torch.nn.Parameter(torch.randn(size, 16))
        model.config.tie_word_embeddings = model.config.scale_decoder_outputs = False
    presence = Presence(torch.randn(len(vocabulary))) if objective is ObjectiveName.PRESENT else None
    ranker = ranker_for(model, vocabulary, EncodingName.LABELS, objective, presence)
    assert keep_graph(tmp_path, ranker)
    graph = GraphRanker.read(tmp_path, Question.of(vocabulary, EncodingName.LABELS, objective), objective)
    visible = as_posts([[0], [3, 1], [], list(range(len(vocabulary) - 1))])
    shortlist = as_posts([[1, 2], [4], [0], [5]])
    for asked in (None, shortlist):
        theirs, ours = ranker.scores(visible, asked), graph.scores(visible, asked)
        assert (np.isneginf(theirs) == np.isneginf(ours)).all()
        some = np.isfinite(theirs)
        assert np.abs(theirs[some] - ours[some]).max() < 1e-4
    labels = np.array([2, 0, 1])
    some = visible.take(np.arange(3))
    assert graph.scores_of(some, labels) == pytest.approx(ranker.scores_of(some, labels), abs=1e-4)


def test_the_first_answer_is_as_all_later_ones_and_as_torchs(checkpoint):
    first, later = (Predictor.load(checkpoint, graph=True).probabilities(CONTEXTS) for _ in range(2))
    assert (first == later).all()
    assert first == pytest.approx(Predictor.load(checkpoint).probabilities(CONTEXTS), abs=1e-4)


def test_who_asks_the_graph_need_not_load_torch(checkpoint):
    Predictor.load(checkpoint, graph=True)
    program = (
        "import sys; from pathlib import Path; from booru_pipeline.model.predictor import Predictor\n"
        f"Predictor.load(Path({str(checkpoint)!r}), graph=True).probabilities([[0]])\n"
        "print(*({'torch', 'transformers', 'datasets', 'pandas', 'matplotlib', 'dagster'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_a_graph_of_other_weights_or_that_is_broken_is_made_again(checkpoint):
    before = Predictor.load(checkpoint, graph=True).scores([[0]])
    weights = load_file(checkpoint / "model.safetensors")
    save_file(
        {name: weight * 0.5 for name, weight in weights.items()}, checkpoint / "model.safetensors", {"format": "pt"}
    )
    halved = Predictor.load(checkpoint).scores([[0]])
    assert np.abs(before[0, 1:] - halved[0, 1:]).max() > 0.01
    for _ in range(2):
        assert Predictor.load(checkpoint, graph=True).scores([[0]])[0, 1:] == pytest.approx(halved[0, 1:], abs=1e-4)
        (checkpoint / GRAPH_FILE).write_bytes(b"no graph")


def test_where_it_cannot_be_written_torch_answers(checkpoint, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    assert np.isfinite(Predictor.load(checkpoint, graph=True).scores([[0]])[0, 1:]).all()
    assert not [*checkpoint.glob("*.onnx"), *checkpoint.glob(".*")]
