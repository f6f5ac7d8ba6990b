"""`booru export hub` and `booru export onnx`, on a home with everything made of a release."""

import json
import os
import re
import subprocess
import sys

import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, ModelCard

from booru_pipeline.dataset.posts import load_posts
from booru_pipeline.lake.lake import Lake
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.cli.command import assert_refused, booru
from booru_pipeline_tests.export.test_export import run_alone


@pytest.mark.parametrize(("command", "without"), [("hub", ()), ("onnx", ("torch", "transformers"))])
def test_what_is_exported_prints_what_the_command_says(workplace, tmp_path, command, without):
    folder = tmp_path / "shared"
    made = booru(workplace, "export", command, str(folder), "--license", "cc-by-4.0")
    assert made.returncode == 0, made.stderr
    card = ModelCard.load(folder / "README.md")
    printed = run_alone((folder / "README.md").read_text(), folder, *without)
    told = json.loads(booru(workplace, "suggest", "usada_pekora", "--top", "10", "--json").stdout)
    assert list(printed) == [item["tag"] for item in told]
    assert printed == pytest.approx({item["tag"]: item["probability"] for item in told}, abs=1e-4)
    metrics = json.loads((Lake(workplace / "booru_home").evaluation_report("2021a") / "metrics.json").read_text())
    [figures] = [share["not_derivable"]["methods"]["model"] for share in metrics["shares"]]
    assert {result.metric_type: result.metric_value for result in card.data.eval_results} == pytest.approx(
        {name: figures[name] for name in ("recall@10", "mrr")}, abs=1e-4
    )
    assert f"{figures['mrr']:.3f}" in card.text
    again = booru(workplace, "export", command, str(folder))
    assert_refused(again, "is there already")


def test_the_dataset_is_loaded_as_the_hub_would(workplace, tmp_path):
    folder = tmp_path / "posts"
    made = booru(workplace, "export", "hub", str(folder), "--dataset")
    assert made.returncode == 0, made.stderr
    assert "--repo-type dataset" in made.stdout
    lake = Lake(workplace / "booru_home")
    vocabulary = Vocabulary.load(lake.vocabulary("2021a"))
    loaded = load_dataset(str(folder), "posts", cache_dir=str(tmp_path / "cache"))
    for split in ("train", "validation", "test"):
        posts = load_posts(lake.tokenized_dataset("2021a"), split, about=True)
        theirs = {
            (booru, fid): {vocabulary.labels[row] for row in rows}
            for booru, fid, rows in zip(posts.column("booru"), posts.column("fid"), posts.sets, strict=True)
        }
        assert {(row["booru"], row["fid"]): set(row["tags"]) for row in loaded[split]} == theirs
    labels = load_dataset(str(folder), "labels", cache_dir=str(tmp_path / "cache"))["train"]
    assert labels["tag"][:] == [vocabulary.labels[row] for row in vocabulary.by_posts]
    [ears] = [row for row in labels if row["tag"] == "rabbit_ears"]
    assert ears["implies"] == ["animal_ears"]
    assert "bunny_ears" in ears["aliases"]
    card = DatasetCard.load(folder / "README.md")
    assert {info["config_name"] for info in card.data.dataset_info} == {"posts", "labels"}
    [code] = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    program = code.replace('"YOU/NAME"', repr(str(folder)))
    env = {**os.environ, "HF_HOME": str(tmp_path / "hf")}
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, check=True)
    assert told.stdout.strip() == str(loaded["train"][0]["tags"])


def test_a_folder_of_a_persons_is_left_as_it_is(workplace, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for command in (["hub"], ["hub", "--dataset"], ["onnx"]):
        assert_refused(booru(workplace, "export", *command, str(tmp_path / "mine")), "is there already")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    assert booru(workplace, "export", "hub", str(tmp_path / "empty")).returncode == 0
    assert_refused(booru(tmp_path, "export", "hub", str(tmp_path / "other")), "no checkpoint")
    assert not (tmp_path / "other").exists()
    inside = workplace / "booru_home" / "checkpoints" / "mine"
    assert_refused(booru(workplace, "export", "hub", str(inside)), "is in the home")
