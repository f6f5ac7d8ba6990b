"""Going on from an earlier checkpoint, whose vocabulary was smaller and numbered otherwise."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, T5Config, T5ForConditionalGeneration

from booru_pipeline.dataset.posts import load_posts, releases_of
from booru_pipeline.errors import BooruError
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.presence import Presence
from booru_pipeline.model.start import label_rows, pretrained_model, tiny_model
from booru_pipeline.training.warm_start import carry_over, carry_presence, with_replay
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE
from booru_pipeline_tests.dataset.label_rows import random_posts
from booru_pipeline_tests.training.process import job_in
from booru_pipeline_tests.vocabulary.labels import GENERAL, LABELS, make_vocabulary


@pytest.fixture(scope="module")
def smaller(tmp_path_factory):
    """A vocabulary without three of the labels, the others in another order."""
    return make_vocabulary(
        tmp_path_factory.mktemp("smaller"), [label for label in reversed(LABELS) if label not in GENERAL[:3]]
    )


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    return make_vocabulary(tmp_path_factory.mktemp("larger"))


def tiny_of(vocabulary, seed):
    tokenizer = AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder)
    posts = random_posts(300, len(vocabulary), seed)
    return tiny_model(tokenizer, vocabulary, posts, dropout=0.0, seed=seed, width=128), tokenizer


def saved(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_every_weight_and_every_known_token_comes_over(smaller, larger, tmp_path):
    former, theirs = tiny_of(smaller, 1)
    parent = saved(former, theirs, tmp_path)
    model, ours = tiny_of(larger, 2)
    carried = carry_over(model, ours, larger, parent)
    assert carried.new_labels == 3
    both = ours.get_vocab().keys() & theirs.get_vocab().keys()
    assert carried.tokens == len(both) > len(smaller) + 100  # sentinels and pieces besides
    for token in both:
        assert torch.equal(
            model.shared.weight[ours.get_vocab()[token]], former.shared.weight[theirs.get_vocab()[token]]
        )
    others = dict(former.named_parameters())
    for name, weight in model.named_parameters():
        if name != "shared.weight":
            assert torch.equal(weight, others[name])
    assert model.lm_head.weight is model.shared.weight


def test_a_presence_comes_over_by_label(smaller, larger, tmp_path):
    former, theirs = tiny_of(smaller, 1)
    parent = saved(former, theirs, tmp_path)
    shutil.copy(smaller.folder / LABELS_FILE, parent)
    learned = Presence(torch.arange(len(smaller), dtype=torch.float32))
    with torch.no_grad():
        learned.scale.fill_(0.5)
        learned.size.copy_(torch.tensor([1.0, -2.0]))
    learned.write(parent)
    presence = Presence(torch.full((len(larger),), -9.0))
    carry_presence(presence, larger, parent)
    known = smaller.index
    assert presence.bias.tolist() == [float(known.get(label, -9)) for label in larger.labels]
    assert (presence.scale.item(), presence.size.tolist()) == (0.5, [1.0, -2.0])


def test_what_the_parent_says_of_its_labels_is_said_by_the_child(smaller, larger, tmp_path):
    former, theirs = tiny_of(smaller, 1)
    model, ours = tiny_of(larger, 2)
    carry_over(model, ours, larger, saved(former, theirs, tmp_path))

    def logits(model, tokenizer):
        tokens = [tokenizer.convert_tokens_to_ids(f"<{label}>") for label in ("usada_pekora", "solo")]
        answers = [tokenizer.convert_tokens_to_ids(f"<{label}>") for label in smaller.labels]
        start = torch.zeros(1, 1, dtype=torch.long)
        return model.eval()(input_ids=torch.tensor([tokens]), decoder_input_ids=start).logits[0, 0, answers]

    torch.testing.assert_close(logits(model, ours), logits(former, theirs))


def test_new_labels_are_moved_as_the_known_ones_were(tmp_path):
    """A parent that is our start, turned: a new label must end where the same turn takes it."""
    labels = [f"tag_number_{row}" for row in range(400)]
    smaller = make_vocabulary(tmp_path / "smaller", labels[:390])
    larger = make_vocabulary(tmp_path / "larger", labels)
    former, theirs = tiny_of(smaller, 1)
    model, ours = tiny_of(larger, 2)
    with torch.no_grad():
        start = torch.randn(400, 128, generator=torch.Generator().manual_seed(0))
        turn = torch.linalg.qr(torch.randn(128, 128, generator=torch.Generator().manual_seed(1)))[0]
        label_rows(model.shared.weight, larger).copy_(start)
        label_rows(former.shared.weight, smaller).copy_(start[:390] @ turn)
    carry_over(model, ours, larger, saved(former, theirs, tmp_path / "parent"))
    moved = label_rows(model.shared.weight, larger).detach()[390:]
    similar = torch.nn.functional.cosine_similarity(moved, start[390:] @ turn)
    assert (similar > 0.95).all()


def test_both_matrices_of_an_untied_t5_come_over(smaller, larger, tmp_path):
    def untied(vocabulary, folder, seed):
        torch.manual_seed(seed)
        shape = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
        base = T5ForConditionalGeneration(T5Config(vocab_size=300, tie_word_embeddings=False, **shape))
        base.lm_head.weight = torch.nn.Parameter(torch.randn(300, 16))
        tokenizer = AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder)
        base.save_pretrained(folder)
        return pretrained_model(str(folder), tokenizer, vocabulary, dropout=0.0), tokenizer

    former, theirs = untied(smaller, tmp_path / "base", 1)
    parent = saved(former, theirs, tmp_path / "parent")
    model, ours = untied(larger, tmp_path / "base", 1)
    carry_over(model, ours, larger, parent)
    assert model.lm_head.weight is not model.shared.weight
    row, old = (t.convert_tokens_to_ids("<solo>") for t in (ours, theirs))
    assert torch.equal(model.shared.weight[row], former.shared.weight[old])
    assert torch.equal(model.lm_head.weight[row], former.lm_head.weight[old])
    assert not torch.equal(model.lm_head.weight[row], model.shared.weight[row])


def test_a_parent_of_another_shape_or_none_is_named(larger, tmp_path):
    model, ours = tiny_of(larger, 2)
    with pytest.raises(BooruError, match="strategy = retrain"):
        carry_over(model, ours, larger, tmp_path)
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    narrow = T5ForConditionalGeneration(T5Config(vocab_size=len(ours), **shape))
    with pytest.raises(BooruError, match=r"another shape \(d_model"):
        carry_over(model, ours, larger, saved(narrow, ours, tmp_path))


def test_replay_is_that_share_of_the_posts():
    releases = np.array(["2021a"] * 60 + ["2021b"] * 30 + ["2021c"] * 10)
    keys = np.arange(100)
    chosen = with_replay(releases, keys, {"2021a": "x", "2021b": "y"}, 0.5, seed=0)
    assert np.bincount(np.searchsorted(["2021a", "2021b", "2021c"], releases[chosen]), minlength=3)[2] == 10
    assert len(chosen) == 20
    assert set(with_replay(releases, keys, {"2021a": "x", "2021b": "y"}, 0.5, seed=1)) != set(chosen)
    assert with_replay(releases, keys, {"2021a": "x", "2021b": "y"}, 0.0, seed=0).tolist() == list(range(90, 100))
    assert len(with_replay(releases, keys, {"2021a": "x", "2021b": "y"}, 0.99, seed=0)) == 100
    assert len(with_replay(releases, keys, dict.fromkeys(set(releases), "x"), 0.5, seed=0)) == 100


def test_a_training_goes_on_where_its_parent_ended(made, trained, forks, tmp_path):
    """Trained on the same posts, the child starts at its parent's loss, not at that of a fresh model."""
    parent = trained.job.output
    options = {"max_steps": 20, "batch_size": 32, "evaluations": 4, "learning_rate": 1e-4}
    losses = {}
    for name, folder in [("fresh", None), ("child", parent)]:
        (tmp_path / name).mkdir()
        job = job_in(tmp_path / name, made, options, parent=folder, provenance={"releases": {"2021a": "x"}})
        done = forks.run(job.write(tmp_path / name / "job.json"))
        assert done.status == 0, done.said
        log = json.loads((job.output / "training_log.json").read_text())
        losses[name] = next(entry["eval_loss"] for entry in log if "eval_loss" in entry)
        provenance = json.loads((job.output / "provenance.json").read_text())
        assert provenance["trained_on"] == {"2021a": len(load_posts(made[1], "train"))}
        assert ("tokens carried over" in done.said) == (folder is not None)
    assert losses["child"] < losses["fresh"] - 0.1
    assert Predictor.load(tmp_path / "child" / "checkpoint").vocabulary.labels
    assert set(releases_of(made[1], "train")) == {"2021a"}
    assert AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "child" / "checkpoint")
