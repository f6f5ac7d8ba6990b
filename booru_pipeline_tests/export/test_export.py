"""Folders for use elsewhere answer as the checkpoint does, without this package."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from huggingface_hub import ModelCard

from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.errors import BooruError
from booru_pipeline.export.checkpoint import write_model
from booru_pipeline.export.graph import GRAPH_FILE, write_graph
from booru_pipeline.export.source import Source
from booru_pipeline.export.tag_model import NO_LABEL, TagModel
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.suggest.explaining import answer_to, closure_of
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline_tests.training import themed_dataset
from booru_pipeline_tests.training.process import Forks, job_in

RECIPES = [("labels", "present"), ("labels", "set"), ("labels", "sequence"), ("labels", "span")]
RECIPES += [("pieces", "sequence"), ("pieces", "span")]
RELATIONS = Relations(
    aliases={"bunny_ears": "rabbit_ears", "nowhere": "no_label"},
    implications={"rabbit_ears": frozenset({"animal_ears", "no_label"}), "usada_pekora": frozenset({"hololive"})},
    source="",
    deprecated=frozenset({"carrot"}),
)
POSTS = [
    ["usada_pekora"],
    ["rabbit_ears"],
    ["smile", "solo"],
    ["twintails", "aqua_hair", "1girl"],
    ["witch_hat", "broom", "touhou", "blonde_hair", "apron", "1girl", "solo", ">_<"],
]
# What a stranger has: this package's tests run where it is installed, and there it must not be of help.
ALONE = "import sys; sys.modules.update(dict.fromkeys({without!r})); exec(open({code!r}, encoding='utf-8').read())"


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Vocabulary and dataset by encoding."""
    return {
        encoding: themed_dataset.build(
            tmp_path_factory.mktemp(encoding),
            BaseModel("tiny", None),
            options=CaptionOptions(encoding=encoding, max_tokens=64),
        )
        for encoding in ("labels", "pieces")
    }


@pytest.fixture(scope="module")
def forks():
    server = Forks()
    yield server
    server.close()


@pytest.fixture(scope="module", params=RECIPES, ids="-".join)
def source(request, worlds, forks, tmp_path_factory):
    """A checkpoint of every encoding and objective that go together, trained for some steps."""
    encoding, objective = request.param
    folder = tmp_path_factory.mktemp("trained")
    job = job_in(
        folder, worlds[encoding], {"objective": objective, "max_steps": 30, "batch_size": 32, "evaluations": 1}
    )
    done = forks.run(job.write(folder / "job.json"))
    assert done.status == 0, done.said
    return Source("2021a", job.output, RELATIONS, None, "cc0-1.0")


def answers(source):
    """What the package says, by its own rankers."""
    return answer_to([closure_of(post, RELATIONS) for post in POSTS], Predictor.load(source.checkpoint, "cpu"))


def run_alone(card, folder, *without):
    """What the first Python of a card prints where these packages are not."""
    [code, *_] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    (folder / "snippet.py").write_text(code)
    program = ALONE.format(without=["booru_pipeline", *without], code=str(folder / "snippet.py"))
    told = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return {tag: float(probability) for probability, tag in map(str.split, told.stdout.splitlines())}


def test_the_folder_answers_as_the_checkpoint_in_ten_lines(source, tmp_path):
    folder = tmp_path / "shared"
    write_model(source, folder)
    model = TagModel.load(folder)
    ours = answers(source)
    assert model.probabilities(POSTS).numpy() == pytest.approx(ours, abs=1e-5)
    row = {tag: number for number, tag in enumerate(model.tags)}
    suggested = dict(model.suggest("Usada Pekora", top=10_000))
    assert set(suggested) == row.keys() - {"usada_pekora", "carrot"}
    assert suggested["hololive"] == 1
    assert model.suggest("bunny ears") == model.suggest("rabbit_ears")
    for bad in (("no_label",), ()):
        with pytest.raises(ValueError, match="no label is"):
            model.suggest(*bad)
    assert model.probabilities([]).shape == (0, len(model.tags))
    orders = model.probabilities([["smile", "solo"], ["solo", "smile"]])
    assert orders[0].numpy() == pytest.approx(orders[1].numpy(), abs=1e-6)
    printed = run_alone((folder / "README.md").read_text(), folder)
    assert len(printed) == 10
    assert printed == pytest.approx({tag: ours[0, row[tag]] for tag in printed}, abs=1e-4)


def test_the_graph_answers_as_the_checkpoint_without_torch(source, tmp_path):
    folder = tmp_path / "graph"
    write_graph(source, folder)
    assert {path.name for path in folder.iterdir()} == {"README.md", GRAPH_FILE, "tags.json"}
    index = {tag: row for row, tag in enumerate(json.loads((folder / "tags.json").read_text())["labels"])}
    rows = [[index[tag] for tag in closure_of(post, RELATIONS) if tag in index] for post in POSTS]
    filled = np.full((len(rows), max(map(len, rows))), NO_LABEL)
    for post, labels in enumerate(rows):
        filled[post, : len(labels)] = labels
    session = onnxruntime.InferenceSession(folder / GRAPH_FILE)
    ours = answers(source)
    [together] = session.run(None, {"labels": filled})
    assert together == pytest.approx(ours, abs=1e-4)
    for post, labels in enumerate(rows):
        [[alone]] = session.run(None, {"labels": np.array([labels])})
        assert alone == pytest.approx(ours[post], abs=1e-4)
    [[nothing]] = session.run(None, {"labels": np.full((1, 1), NO_LABEL)})
    assert np.isfinite(nothing).all()
    printed = run_alone((folder / "README.md").read_text(), folder, "torch", "transformers", "safetensors")
    assert printed == pytest.approx({tag: ours[0, index[tag]] for tag in printed}, abs=1e-4)


def test_the_card_says_what_it_is_to_the_hub(source, tmp_path):
    write_model(source, tmp_path / "shared")
    card = ModelCard.load(tmp_path / "shared" / "README.md")
    assert card.data.license == "cc0-1.0"
    objective = source.tags["objective"]
    assert objective in card.data.tags
    assert card.data.pipeline_tag == ("text-classification" if objective in ("present", "set") else "text-generation")
    assert "was not evaluated" in card.text
    assert "## Limits" in card.text
    assert "{" not in card.text.split("## Figures")[1]
    for path in (tmp_path / "shared").iterdir():
        assert str(source.checkpoint.parent).encode() not in path.read_bytes(), path


def test_the_weights_are_a_plain_transformers_model(source, tmp_path):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    write_model(source, tmp_path / "shared")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "shared")
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "shared")
    told = source.tags
    text = "<smile>" if told["pieces"] is None else "smile"
    ids = tokenizer(text, return_tensors="pt").input_ids
    of_smile = told["labels"].index("smile")
    own = [told["first_token_id"] + of_smile] if told["pieces"] is None else told["pieces"][of_smile]
    assert ids[0].tolist() == [*own, told["eos"]]
    assert model(input_ids=ids, decoder_input_ids=torch.zeros(1, 1, dtype=torch.long)).logits.isfinite().all()


@pytest.mark.parametrize("write", [write_model, write_graph])
def test_a_checkpoint_that_is_not_whole_leaves_nothing(write, tmp_path):
    with pytest.raises(BooruError, match="no vocabulary"):
        write(Source("2021a", tmp_path / "nowhere", RELATIONS, None, "unknown"), tmp_path / "shared")
    assert not (tmp_path / "shared").exists()


def test_a_base_model_in_a_folder_here_is_named_without_its_path(source, tmp_path):
    copy = shutil.copytree(source.checkpoint, tmp_path / "checkpoint")
    provenance = json.loads((copy / "provenance.json").read_text())
    base = {"name": str(tmp_path / "my_t5"), "source": str(tmp_path / "my_t5")}
    (copy / "provenance.json").write_text(json.dumps({**provenance, "base_model": base}))
    write_model(replace(source, checkpoint=copy), tmp_path / "shared")
    card = ModelCard.load(tmp_path / "shared" / "README.md")
    assert "T5 (my_t5)" in card.text
    assert card.data.base_model is None
    assert str(tmp_path) not in card.content
