"""Base models from the hub, which here is a server of this machine, and pickles that become safetensors."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, T5Config

from booru_pipeline.errors import BooruError
from booru_pipeline.vocabulary.base_model import HUB_MODELS
from booru_pipeline.vocabulary.pickled_weights import convert
from booru_pipeline_tests.cli.command import assert_refused, booru

# What each preset's page on the hub is known to list, written from memory: it cannot be looked at from here.
SAFE, PICKLE = "model.safetensors", "pytorch_model.bin"
ALWAYS = ("config.json", "generation_config.json", "spiece.model", "tokenizer_config.json")
LISTED = {
    "t5-small": (*ALWAYS, SAFE, PICKLE, "tokenizer.json"),
    "t5-v1_1-small": (*ALWAYS, PICKLE, "special_tokens_map.json"),
    "t5-v1_1-base": (*ALWAYS, PICKLE, "special_tokens_map.json"),
    "flan-t5-base": (*ALWAYS, SAFE, PICKLE, "special_tokens_map.json", "tokenizer.json"),
}
# Their config.json, but for the sizes of the hidden layers.
SMALL = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 2}
T5 = {
    **{"architectures": ["T5ForConditionalGeneration"], "decoder_start_token_id": 0, "dropout_rate": 0.1},
    **{"eos_token_id": 1, "initializer_factor": 1.0, "is_encoder_decoder": True, "layer_norm_epsilon": 1e-06},
    **{"model_type": "t5", "pad_token_id": 0, "relative_attention_num_buckets": 32, "vocab_size": 32128},
}
GATED = {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "output_past": True}
CONFIGS = {
    "t5-small": {**T5, "n_positions": 512, "task_specific_params": {"summarization": {"num_beams": 4}}},
    "t5-v1_1-small": GATED,
    "t5-v1_1-base": GATED,
    "flan-t5-base": {**GATED, "n_positions": 512},
}
OF_OTHERS = ("flax_model.msgpack", "tf_model.h5", "rust_model.ot")


def as_on_the_hub(name, folder, t5):
    """A folder with exactly the files of a preset, weights of random numbers among them."""
    folder.mkdir(parents=True)
    config = {**CONFIGS[name], **SMALL}
    torch.manual_seed(0)
    model = AutoModelForSeq2SeqLM.from_config(T5Config(**config))
    if not config.get("tie_word_embeddings", True):
        model.lm_head.weight = torch.nn.Parameter(torch.randn(32128, 16))
        model.config.tie_word_embeddings = False
    state = model.state_dict()
    if name == "t5-small":  # a weight that the program of then had and T5 has not
        state["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"] = torch.zeros(32, 2)
    if SAFE in LISTED[name]:
        model.save_pretrained(folder)
    torch.save(state, folder / PICKLE)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(
        '{"decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}'
    )
    for file in LISTED[name]:
        if (t5 / file).is_file():
            shutil.copyfile(t5 / file, folder / file)
    for file in OF_OTHERS:
        (folder / file).write_bytes(bytes(1000))
    assert {path.name for path in folder.iterdir()} == {*LISTED[name], *OF_OTHERS}
    return folder


@pytest.fixture(scope="module")
def hub(shared, tmp_path_factory):
    """A server that answers as the hub does about the four presets; its address, and what was downloaded."""
    folder = tmp_path_factory.mktemp("hub")
    for name, repo in HUB_MODELS.items():
        as_on_the_hub(name, folder / repo, shared / "t5")
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = self.path.split("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                repo = "/".join(parts[2:4])
                paths = sorted((folder / repo).iterdir())
                tree = [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": f"{p.name}-1"} for p in paths]
                listed = {"id": repo, "sha": "0" * 40, "siblings": [{"rfilename": path.name} for path in paths]}
                self.answer(json.dumps(tree if "tree" in parts else listed))
            elif parts[:1] == ["api"]:
                self.answer(None)
            else:
                path = folder / "/".join(parts[:2]) / parts[-1]
                if self.command == "GET":
                    asked.append("/".join([*parts[:2], parts[-1]]))
                self.answer(path.read_bytes() if path.is_file() else None, f"{path.name}-1")

        do_HEAD = do_GET

        def answer(self, content, tag="of an answer"):
            content = content.encode() if isinstance(content, str) else content
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("ETag", f'"{tag}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def brought(address, cache, source, *, weights=True):
    """What is said while a base is brought by a process of its own, and its folder, or why it is not."""
    program = (
        "import sys; from booru_pipeline.errors import BooruError; from booru_pipeline.progress import told_to\n"
        "from booru_pipeline.vocabulary.base_files import bring_base\n"
        "with told_to(print):\n"
        f"    try: print(bring_base({source!r}, weights={weights}))\n"
        "    except BooruError as error: print(error)"
    )
    env = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    env = {name: value for name, value in env.items() if name != "HF_HUB_OFFLINE"}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env).stdout.splitlines()


def test_what_is_downloaded_is_said_with_its_size_and_once(hub, tmp_path):
    address, asked = hub
    asked.clear()
    said, folder = brought(address, tmp_path, "google/flan-t5-base")
    assert said.startswith("downloading google/flan-t5-base, once: ")
    assert " MB (model.safetensors, tokenizer.json, spiece.model, " in said
    assert {name.split("/")[-1] for name in asked} == {*LISTED["flan-t5-base"]} - {PICKLE}
    assert brought(address, tmp_path, "google/flan-t5-base") == [folder]
    assert brought("http://127.0.0.1:9", tmp_path, "google/flan-t5-base") == [folder]  # without the hub
    [why] = brought("http://127.0.0.1:9", tmp_path, "google-t5/t5-small")
    assert why.startswith("cannot load the base model google-t5/t5-small")
    assert "Connect once" in why
    _, small = brought(address, tmp_path, "google-t5/t5-small", weights=False)
    assert not list((tmp_path / "hub").glob("models--google-t5*/snapshots/*/*.safetensors"))
    [why] = brought("http://127.0.0.1:9", tmp_path, "google-t5/t5-small")
    assert "Connect once" in why  # its tokenizer is here, its weights are not
    assert small in brought("http://127.0.0.1:9", tmp_path, "google-t5/t5-small", weights=False)


def test_a_pickle_alone_is_refused_before_anything_is_downloaded(hub, tmp_path):
    address, asked = hub
    asked.clear()
    [why] = brought(address, tmp_path, "google/t5-v1_1-small")
    assert "as a pickle alone (pytorch_model.bin, " in why
    assert "`hf download google/t5-v1_1-small --local-dir FOLDER`, then `booru convert FOLDER NEW_FOLDER`" in why
    assert not asked


@pytest.mark.parametrize("name", list(HUB_MODELS))
def test_each_preset_as_it_is_on_the_hub_is_converted_to_the_same_numbers(name, shared, tmp_path):
    base = as_on_the_hub(name, tmp_path / "base", shared / "t5")
    done = booru(tmp_path, "convert", str(base), str(tmp_path / "safe"))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "safe").iterdir()} == {*LISTED[name], SAFE} - {PICKLE}
    theirs = torch.load(base / PICKLE, weights_only=True)
    ours = load_file(tmp_path / "safe" / SAFE)
    assert all(torch.equal(weight, theirs[key]) for key, weight in ours.items())
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "safe", use_safetensors=True)
    state = model.state_dict()
    assert all(torch.equal(weight, state[key]) for key, weight in theirs.items() if key in state)
    assert AutoTokenizer.from_pretrained(tmp_path / "safe")("a carrot").input_ids[-1] == 1
    assert_refused(booru(tmp_path, "convert", str(base), str(tmp_path / "safe")), "is there already")


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("content", ["code", "broken", "no weights"])
def test_what_is_no_weights_is_refused_and_never_run(shared, tmp_path, content):
    base = as_on_the_hub("t5-v1_1-small", tmp_path / "base", shared / "t5")
    if content == "code":
        torch.save({"shared.weight": Attack(tmp_path / "ran")}, base / PICKLE)
    elif content == "broken":
        (base / PICKLE).write_bytes((base / PICKLE).read_bytes()[:5000])
    else:
        torch.save({"shared.weight": torch.zeros(3), "step": 7}, base / PICKLE)
    with pytest.raises(BooruError, match=r"pytorch_model.bin (holds|cannot be read)"):
        convert(base, tmp_path / "safe")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "safe").exists()
    (base / PICKLE).unlink()
    with pytest.raises(BooruError, match="nothing to convert"):
        convert(base, tmp_path / "safe")
    for index in ("{", "[]", '{"weight_map": 3}'):
        (base / f"{PICKLE}.index.json").write_text(index)
        with pytest.raises(BooruError, match="is no index of weights"):
            convert(base, tmp_path / "safe")


def test_the_process_that_reads_pickles_has_no_network_and_starts_nothing(tmp_path):
    program = (
        "import socket, subprocess\n"
        "from booru_pipeline.vocabulary.pickled_weights import _shut_in; _shut_in()\n"
        "for tried in (lambda: socket.create_connection(('127.0.0.1', 9)), lambda: subprocess.run(['true'])):\n"
        "    try: tried()\n"
        "    except PermissionError as error: print('refused')"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["refused", "refused"]


def test_a_pickle_of_another_kind_is_not_unpickled(shared, tmp_path):
    base = as_on_the_hub("t5-v1_1-small", tmp_path / "base", shared / "t5")
    with (base / PICKLE).open("wb") as file:
        pickle.dump(Attack(tmp_path / "ran"), file)
    with pytest.raises(BooruError, match=r"pytorch_model.bin (holds|cannot be read)"):
        convert(base, tmp_path / "safe")
    assert not (tmp_path / "ran").exists()
