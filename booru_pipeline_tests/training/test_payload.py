import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from dagster_pipes import encode_param
from safetensors import safe_open
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from booru_pipeline.errors import BooruError
from booru_pipeline.model.pair_table import PairTable
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.options import TrainingOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.dataset.label_rows import posts_of
from booru_pipeline_tests.training import themed_dataset
from booru_pipeline_tests.training.process import REPOSITORY, command, job_in, run_payload, wait_until


def pipes_env(folder) -> dict[str, str]:
    """What Dagster puts into the environment of a process that it starts; messages.jsonl is what it reads back."""
    context = {
        "asset_keys": ["checkpoint"],
        "code_version_by_asset_key": {},
        "provenance_by_asset_key": {},
        "partition_key": None,
        "partition_key_range": None,
        "partition_time_window": None,
        "run_id": "r",
        "job_name": None,
        "retry_number": 0,
        "extras": {},
    }
    (folder / "context.json").write_text(json.dumps(context))
    return {
        **os.environ,
        "DAGSTER_PIPES_CONTEXT": encode_param({"path": str(folder / "context.json")}),
        "DAGSTER_PIPES_MESSAGES": encode_param({"path": str(folder / "messages.jsonl")}),
    }


def messages(folder) -> list[dict]:
    path = folder / "messages.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_the_checkpoint_folder_is_complete_and_a_plain_transformers_model(trained):
    folder = trained.job.output
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "calibration.json",
        "config.json",
        "generation_config.json",
        "labels.parquet",
        "mixture.json",
        "model.safetensors",
        "pairs.safetensors",
        "presence.safetensors",
        "provenance.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "training_log.json",
    }
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    vocabulary = Vocabulary.load(folder)
    assert len(tokenizer) == model.config.vocab_size == vocabulary.first_token_id + len(vocabulary)
    assert tokenizer.convert_tokens_to_ids("<carrot>") == vocabulary.first_token_id + vocabulary.index["carrot"]
    assert pq.read_table(folder / "labels.parquet") == pq.read_table(trained.job.vocabulary / "labels.parquet")


def test_nothing_is_pickled(trained):
    for path in trained.job.output.iterdir():
        assert path.suffix in {".json", ".md", ".parquet", ".safetensors"}
        assert not zipfile.is_zipfile(path)  # what torch.save writes
    with safe_open(trained.job.output / "model.safetensors", "pt") as weights:
        assert "shared.weight" in weights.keys()  # noqa: SIM118, no mapping


def test_the_loss_falls_and_is_logged(trained):
    entries = json.loads((trained.job.output / "training_log.json").read_text())
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    held_out = [entry["eval_loss"] for entry in entries if "eval_loss" in entry]
    assert losses[-1] < losses[0] - 0.3
    assert len(held_out) == trained.job.options.evaluations
    assert held_out[-1] < held_out[0]
    assert entries[-1]["step"] == 150
    assert [entry["seconds"] for entry in entries] == sorted(entry["seconds"] for entry in entries)
    assert "step 150 of 150" in trained.stderr
    assert "tokens/s, validation loss" in trained.stderr


def test_provenance_says_from_what_and_how(trained):
    provenance = json.loads((trained.job.output / "provenance.json").read_text())
    assert provenance["git_revision"] == "abc"
    assert provenance["base_model"] == {"name": "tiny", "source": None}
    assert provenance["plan"]["batch_size"] == 32
    assert provenance["training"]["steps"] == 150
    assert provenance["metrics"]["recall_at_10"] > provenance["metrics"]["popularity_recall_at_10"] + 0.2
    assert set(provenance["calibration"]) == {"bias", "slope", "lift", "size", "bend"}


def test_the_card_says_how_it_was_trained(trained):
    card = (trained.job.output / "README.md").read_text()
    assert "| length | 150 steps of 32 posts" in card
    assert "booru export hub" in card
    assert "{" not in card


def test_wandb_keeps_an_offline_run(trained):
    (run,) = (trained.job.wandb_folder / "wandb").glob("offline-run-*")
    assert list(run.glob("*.wandb"))
    assert json.loads((trained.job.output / "provenance.json").read_text())["wandb"] == str(run)


def test_a_label_implies_its_theme(trained):
    predictor = Predictor.load(trained.job.output)
    vocabulary = predictor.vocabulary
    scores = predictor.scores([[vocabulary.index["usada_pekora"]]])[0]
    best = [vocabulary.labels[row] for row in np.argsort(-scores)[:10]]
    assert set(themed_dataset.THEMES["usada_pekora"]) <= set(best)


def test_scores_are_log_odds_of_what_is_not_visible(trained):
    predictor = Predictor.load(trained.job.output)
    contexts = [[3, 1, 7], [0], [], list(range(12)), [5, 2]]
    scores = predictor.scores(contexts, batch_size=2)
    assert scores.shape == (5, len(predictor.vocabulary))
    assert scores.dtype == np.float32
    assert predictor.mixes
    for row, context in enumerate(contexts):
        assert np.flatnonzero(np.isneginf(scores[row])).tolist() == sorted(context)
        np.testing.assert_allclose(scores[row], predictor.scores([context])[0], rtol=1e-4, atol=1e-4)


def test_a_label_alone_has_the_share_that_was_observed_with_the_mixture_as_its_prior(trained):
    predictor = Predictor.load(trained.job.output)
    label = predictor.vocabulary.index["usada_pekora"]
    (found,), (mixed,) = predictor.probabilities([[label]]), predictor.scores([[label]])
    together, known = predictor.table.beside_all(np.array([label]))
    posts, prior = predictor.table.counts[label], predictor.mixture.prior_posts
    odds = predictor.mixture.of_known(mixed[None], np.array([1]))[0]
    expected = (together[0] + prior / (1 + np.exp(-odds))) / (posts + prior)
    assert known.all()
    others = np.arange(len(found)) != label
    np.testing.assert_allclose(found[others], expected[others], rtol=1e-6)
    assert found[label] == 0


def test_without_counts_a_checkpoint_answers_as_its_t5_does(trained, tmp_path):
    folder = tmp_path / "before"
    shutil.copytree(trained.job.output, folder)
    for name in ("mixture.json", "pairs.safetensors"):
        (folder / name).unlink()
    with pytest.raises(BooruError, match=r"mixture\.json is not there"):  # its provenance says that it counts
        Predictor.load(folder)
    provenance = json.loads((folder / "provenance.json").read_text())
    del provenance["counts"]
    (folder / "provenance.json").write_text(json.dumps(provenance))
    predictor = Predictor.load(folder)
    assert not predictor.mixes
    contexts = [[0], [1, 2, 3]]
    assert (predictor.scores(contexts) == predictor.t5.scores(contexts)).all()
    assert (predictor.probabilities(contexts) == predictor.t5.probabilities(contexts)).all()


@pytest.mark.parametrize("name", ["pairs.safetensors", "presence.safetensors", "mixture.json"])
def test_a_broken_part_of_a_checkpoint_is_named(trained, tmp_path, name):
    folder = tmp_path / "broken"
    shutil.copytree(trained.job.output, folder)
    (folder / name).write_bytes(b"cut")
    with pytest.raises(BooruError, match=rf"not a complete checkpoint: .*{re.escape(name)} cannot be read"):
        Predictor.load(folder)


def test_parts_of_two_checkpoints_are_refused(trained, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(trained.job.output, folder)
    PairTable.of(posts_of([0, 1]).matrix(2)).write(folder)
    with pytest.raises(BooruError, match="so they do not belong together"):
        Predictor.load(folder)


def test_probabilities_are_calibrated(trained):
    predictor = Predictor.load(trained.job.output)
    index = predictor.vocabulary.index
    random = np.random.default_rng(0)
    captions = themed_dataset.captions(400, seed=9)
    posts = [random.permutation([index[label] for label in caption]).tolist() for caption in captions]
    contexts = [post[: max(1, len(post) // 2)] for post in posts]
    chance = predictor.probabilities(contexts)
    assert ((chance >= 0) & (chance <= 1)).all()
    for row, context in enumerate(contexts):
        assert (chance[row, context] == 0).all()
    present = np.zeros(chance.shape, dtype=bool)
    for row, (post, context) in enumerate(zip(posts, contexts, strict=True)):
        present[row, list(set(post) - set(context))] = True
    for low, high in [(0.0, 0.1), (0.1, 0.5), (0.5, 1.0)]:
        bin_ = (chance >= low) & (chance < high)
        assert abs(chance[bin_].mean() - present[bin_].mean()) < 0.12


def test_a_folder_that_is_no_checkpoint_is_named(made, tmp_path):
    with pytest.raises(BooruError, match="is not a complete checkpoint"):
        Predictor.load(tmp_path)
    with pytest.raises(BooruError, match="is not a complete checkpoint"):
        Predictor.load(made[0])


def test_a_base_model_that_cannot_be_had_says_what_to_do(made, tmp_path):
    job = TrainingJob(
        vocabulary=made[0],
        dataset=made[1],
        output=tmp_path / "out",
        base_name="t5-v1_1-small",
        base_source="google/t5-v1_1-small",
        options=TrainingOptions(max_steps=1, threads=1),
    )
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    done = run_payload(job.write(tmp_path / "job.json"), env)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "cannot load the base model google/t5-v1_1-small" in last
    assert "give a local model folder" in last
    assert "Traceback" not in done.stderr
    assert not job.output.exists()


def test_under_pipes_progress_goes_to_the_runs_log(made, tmp_path):
    job = TrainingJob(
        vocabulary=made[0],
        dataset=made[1],
        output=tmp_path / "out",
        base_name="tiny",
        options=TrainingOptions(time_limit_s=0, max_steps=5, threads=1, evaluations=1),
    )
    done = run_payload(job.write(tmp_path / "job.json"), pipes_env(tmp_path))
    assert done.returncode == 0, done.stderr
    logged = [message["params"]["message"] for message in messages(tmp_path) if message["method"] == "log"]
    assert any("step 5 of 5" in line and "loss" in line for line in logged)
    assert messages(tmp_path)[-1]["method"] == "closed"
    assert (job.output / "model.safetensors").is_file()


def test_the_payload_ends_when_its_parent_is_killed(made, tmp_path):
    job = TrainingJob(
        vocabulary=made[0],
        dataset=made[1],
        output=tmp_path / "out",
        base_name="tiny",
        options=TrainingOptions(time_limit_s=600, threads=1, log_interval_s=0.2),
    )
    path = job.write(tmp_path / "job.json")
    start = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); p.wait()"
    parent = subprocess.Popen(
        [sys.executable, "-c", start, *command(path)],
        cwd=REPOSITORY,
        env=pipes_env(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    child = int(parent.stdout.readline())
    try:
        wait_until(lambda: any("posts/s" in json.dumps(message) for message in messages(tmp_path)))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not running(child))
    finally:
        parent.kill()
        if running(child):
            os.kill(child, signal.SIGKILL)
    assert not job.output.exists()


def test_training_that_diverges_is_said(made, forks, tmp_path):
    job = job_in(tmp_path, made, {"max_steps": 40, "learning_rate": 1e30, "warmup_steps": 0})
    done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 1
    assert "is not a number" in done.said
    assert not job.output.exists()


def test_want_of_memory_is_named_with_a_smaller_setting(made, tmp_path):
    job = job_in(tmp_path, made, {"max_steps": 3, "batch_size": 200_000})
    done = subprocess.run(
        command(job.write(tmp_path / "job.json")),
        cwd=REPOSITORY,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = "out of memory with batch_size 200000. Set batch_size to 100000 and gradient_accumulation to 2"
    assert said in done.stderr.splitlines()[-1]


def test_the_same_seed_gives_the_same_model(trained, forks, tmp_path):
    job = trained.job.model_copy(update={"output": tmp_path / "again", "wandb_folder": None})
    done = forks.run(job.write(tmp_path / "job.json"))
    assert done.status == 0, done.said
    first = AutoModelForSeq2SeqLM.from_pretrained(trained.job.output).state_dict()
    again = AutoModelForSeq2SeqLM.from_pretrained(job.output).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
