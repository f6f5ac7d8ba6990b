"""Base models as they come: T5's shape and SentencePiece model, from a folder; and those that are refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, BertConfig, MT5Config, T5Config

from booru_pipeline.errors import BooruError
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.start import check_base
from booru_pipeline.training.states import newest_state
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.vocabulary import SpecialTokens, Vocabulary
from booru_pipeline_tests.training import themed_dataset
from booru_pipeline_tests.training.process import job_in

# The published config.json of t5-small and of t5-v1_1-small, but for the sizes of the hidden layers.
SMALLER = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 2}
COMMON = {
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "t5",
    "pad_token_id": 0,
    "relative_attention_num_buckets": 32,
    "use_cache": True,
    "vocab_size": 32128,
}
T5_SMALL = {**COMMON, "n_positions": 512, "output_past": True}
V1_1_SMALL = {**COMMON, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}


@pytest.fixture(scope="module", params=[T5_SMALL, V1_1_SMALL], ids=["t5-small", "t5-v1_1-small"])
def base(request, shared, tmp_path_factory):
    """A folder as the hub has it: config.json, model.safetensors, and T5's own tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "config.json").write_text(json.dumps({**request.param, **SMALLER}))
    torch.manual_seed(0)
    model = AutoModelForSeq2SeqLM.from_config(T5Config.from_pretrained(folder))
    if not request.param.get("tie_word_embeddings", True):
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.shared.weight))
        model.config.tie_word_embeddings = False
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({**request.param, **SMALLER}))
    for name in ("spiece.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(shared / "t5" / name, folder / name)
    return folder


def trained_and_resumed(base, forks, folder, **options):
    """The jobs of a training, and of another that lost its last state and went on as if it had not; what was said."""
    made = themed_dataset.build(folder, BaseModel("base", str(base)), 200, 20)
    options |= {"max_steps": 6, "batch_size": 16, "state_interval_steps": 2, "log_interval_steps": 1}
    job = job_in(folder, made, options, base_name="base", base_source=str(base))
    done = forks.run(job.write(folder / "job.json"))
    assert done.status == 0, done.said
    shutil.rmtree(newest_state(job.states, job.key))
    again = job.model_copy(update={"output": folder / "again"})
    resumed = forks.run(again.write(folder / "job.json"))
    assert "going on from step 4," in resumed.said
    losses = [
        [entry["loss"] for entry in json.loads((one.output / "training_log.json").read_text())] for one in (job, again)
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    return job, again, done.said


def test_it_is_trained_is_resumed_and_loads_again(base, forks, tmp_path):
    before = AutoModelForSeq2SeqLM.from_pretrained(base)
    tied = before.lm_head.weight is before.shared.weight
    _, again, _ = trained_and_resumed(base, forks, tmp_path)
    model = AutoModelForSeq2SeqLM.from_pretrained(again.output)
    tokenizer = AutoTokenizer.from_pretrained(again.output)
    vocabulary = Vocabulary.load(again.output)
    assert (model.lm_head.weight is model.shared.weight) == tied
    assert model.config.scale_decoder_outputs == tied
    pieces = vocabulary.special_tokens.first_added
    assert torch.equal(model.shared.weight[2:pieces], before.shared.weight[2:pieces])  # 0 and 1 are read
    assert tokenizer("a carrot").input_ids == AutoTokenizer.from_pretrained(base)("a carrot").input_ids
    assert np.isfinite(Predictor.load(again.output).scores([[0]])[0, 1:]).all()


def test_with_lora_the_base_stays_and_the_checkpoint_is_a_plain_t5(base, forks, tmp_path):
    before = AutoModelForSeq2SeqLM.from_pretrained(base)
    options = {"adapter": "lora", "adapter_rank": 2, "gradient_accumulation": 2, "learning_rate": 0.01}
    job, _, said = trained_and_resumed(base, forks, tmp_path, **options)
    assert " are trained," in said
    after = AutoModelForSeq2SeqLM.from_pretrained(job.output)
    assert {name for name, _ in after.named_parameters()} == {name for name, _ in before.named_parameters()}
    former = dict(before.named_parameters())
    for name, weight in after.named_parameters():
        if name.startswith("encoder") and name.split(".")[-2] in ("q", "v", "wo"):
            added = torch.linalg.svdvals(weight - former[name])
            assert added[1] > 1e-6, name
            assert added[2:].max() < 1e-3 * added[0], name  # of rank 2
        elif "norm" in name or "bias" in name:
            assert torch.equal(weight, former[name]), name
    assert np.isfinite(Predictor.load(job.output).scores([[0]])[0, 1:]).all()


SPECIAL = SpecialTokens(pad=0, eos=1, separator=50, first_added=40, sentinels=(), longest=512)


@pytest.fixture
def folder(tmp_path):
    config = T5Config(vocab_size=40, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(tmp_path / "base")
    check_base(str(tmp_path / "base"), SPECIAL)
    return tmp_path / "base"


def refused(folder, said, special=SPECIAL):
    with pytest.raises(BooruError, match=said):
        check_base(str(folder), special)


def test_weights_as_a_pickle_are_refused_and_never_read(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    refused(folder, r"has its weights as a pickle \(pytorch_model.bin\).*booru convert")


def test_no_weights_and_half_of_them(folder):
    (folder / "model.safetensors").write_bytes(b"x")
    refused(folder, "model.safetensors is not a whole safetensors file")
    (folder / "model.safetensors").unlink()
    refused(folder, "has no weights")


@pytest.mark.parametrize(("config", "kind"), [(BertConfig(), "bert"), (MT5Config(), "mt5")])
def test_what_is_no_t5(folder, config, kind):
    config.save_pretrained(folder)
    refused(folder, f"is a {kind}, not a T5. Choose a T5")


def test_a_model_with_code_of_its_own_is_refused_and_the_code_never_run(folder):
    (folder / "own.py").write_text("raise SystemExit('it ran')")
    (folder / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}')
    refused(folder, "cannot load the base model .* contains custom code")


def test_a_tokenizer_of_another_model(folder):
    refused(folder, "does not fit .* it has 41 tokens, the model 40 rows", replace(SPECIAL, first_added=41))
    refused(folder, "padding and end of sequence are 0 and 2, in the model 0 and 1", replace(SPECIAL, eos=2))
