"""Utilisation of a GPU (MFU): the FLOPs that training needs, over those that the device could have done meanwhile.

    python -m benchmarks.utilisation --shape t5-base --batch 1024    # needs a GPU
    python -m benchmarks.utilisation --shape toy --batch 16 --seconds 2 --rounds 1    # the same program on the CPU

FLOPs are those that the model's own arithmetic needs; the peak is the device's dense bf16 one (Chowdhery et al. 2022,
"PaLM", appendix B). Of a post of n source and m target tokens, padding not counted, in a T5 of width d, inner width
i = heads x d_kv, feed-forward width f (w matrices: 2, or 3 if gated), E encoder and D decoder layers, and r output rows
over which t places take a softmax:

    forward = 2 n E (4 d i + w d f)                     encoder layers
            + 2 m D (4 d i + 2 d i + w d f)             decoder layers: of cross-attention, query and output
            + 2 n D (2 d i)                             cross-attention's keys and values
            + 4 i (E n^2 + D m^2 + D m n)               attention scores and sums, causal ones in full, as PaLM has it
            + 2 t r d                                   output layer
    training step = 3 x forward

which is PaLM's 6 N tokens + 12 L H Q T with the encoder, the decoder and the output layer counted by the tokens that
each of them sees. Looking rows up, norms, softmax, dropout and the optimizer count as nothing. Before a measurement the
formula is compared with torch's own counter. The anchor is nanoT5's 34 % (Nawrot 2023; T5 v1.1 base on one A100, 128
sequences of 512 tokens): the contender `full` has that size, with random tokens.
"""

import itertools
import time
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.frame import Benchmark, Contender, Outcome
from benchmarks.training import Posts, prepare

# Dense bf16 TFLOP/s by NVIDIA's data sheets; the first name that the device's contains.
PEAKS: Final = {"H100 PCIe": 756, "H100 NVL": 835, "H100": 989, "H200": 989, "A100": 312, "L40S": 362, "L4": 121}
SHAPES: Final[dict[str, dict[str, int]]] = {
    "t5-small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_decoder_layers": 6, "num_heads": 8},
    "t5-base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12},
    "toy": {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4},
}
FULL: Final = (128, 512, 114)  # sequences, source and target tokens of nanoT5's span corruption
WARM_UP: Final = 10  # steps


def step_flops(config: Any, n: Any, m: Any, rows: int) -> float:
    """FLOPs of one training step by the formula above.

    Args:
        config: Of the T5.
        n: Source tokens of each post, an array.
        m: Target tokens of each post, all of which take a softmax.
        rows: Output rows that the softmax goes over.
    """
    d, inner = config.d_model, config.num_heads * config.d_kv
    feed_forward = (3 if config.is_gated_act else 2) * d * config.d_ff
    encoder, decoder = config.num_layers, config.num_decoder_layers
    per_source = encoder * (4 * d * inner + feed_forward) + decoder * 2 * d * inner
    per_target = decoder * (6 * d * inner + feed_forward) + rows * d
    attention = encoder * (n * n).sum() + decoder * ((m * m).sum() + (m * n).sum())
    return float(3 * (2 * per_source * n.sum() + 2 * per_target * m.sum() + 4 * inner * attention))


def captions(model: Any, posts: Posts, encoding_name: str, objective: str) -> tuple[Any, Any]:
    """The batches of an objective over captions of an encoding, and the module that gives their loss."""
    from booru_pipeline.dataset.captions import CaptionChoice
    from booru_pipeline.dataset.collator import SequenceBatches, SetBatches
    from booru_pipeline.dataset.hiding import Hiding
    from booru_pipeline.dataset.masking import Masking
    from booru_pipeline.dataset.options import CaptionOptions, MaskingOptions
    from booru_pipeline.model.objective import SequenceObjective, SetObjective, answer_tokens
    from booru_pipeline.vocabulary.options import EncodingName

    vocabulary, encoding, masking = posts.vocabulary, EncodingName(encoding_name), MaskingOptions()
    special, first = vocabulary.special_tokens, vocabulary.first_token_id
    choice = CaptionChoice.of(vocabulary, CaptionOptions(encoding=encoding.value), posts.options.round)
    if objective == "set":
        hiding = Hiding(posts.options.round, masking.hidden_share_min, masking.hidden_share_max)
        tokens = {"first_token_id": first, "eos_token_id": special.eos, "pad_token_id": special.pad}
        return SetBatches(posts.train, hiding, **tokens, choice=choice), SetObjective(model, first, len(vocabulary))
    answers = answer_tokens(encoding, first, len(vocabulary), special)
    masked = Masking(choice, masking, special, posts.options.round)
    return SequenceBatches(posts.train, masked), SequenceObjective(model, answers)


def batches_of(cell: str, model: Any, posts: Posts, options: Namespace) -> tuple[list[Any], Any, int]:
    """So many batches on the host, the module that gives their loss, and the output rows of its softmax."""
    import torch

    from booru_pipeline.model.objective import SequenceObjective
    from booru_pipeline.training.sampler import LengthGroupedSampler

    if cell == "full":
        rows, size = model.config.vocab_size, options.batch if options.shape == "toy" else FULL[0]
        source, target = (torch.randint(2, rows, (size, tokens)) for tokens in FULL[1:])
        batch = {"input_ids": source, "attention_mask": torch.ones_like(source), "labels": target}
        return [batch], SequenceObjective(model, range(rows)), rows
    batches, objective = captions(model, posts, *cell.split("-"))
    order = list(LengthGroupedSampler(batches, options.batch, posts.options.round))
    whole = range(0, len(order) - options.batch + 1, options.batch)[: options.batches]
    rows = len(posts.vocabulary) if cell.endswith("set") else objective.answers
    return [batches.batch(order[start : start + options.batch]) for start in whole], objective, rows


def utilise(cell: str, world: Path, workspace: Path, options: Namespace) -> Outcome:
    """Train for a while on batches that are there, and count FLOPs."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    from booru_pipeline.training.optimizers import optimizer_for
    from booru_pipeline.training.options import PRETRAINED_PLAN

    device = torch.device("cpu" if options.shape == "toy" else "cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU. Try the program with --shape toy on the CPU.")
    posts = Posts(world, options)
    torch.manual_seed(posts.options.round)
    vocab_size = max(len(posts.tokenizer), 32_128)
    config = T5Config(vocab_size=vocab_size, dropout_rate=PRETRAINED_PLAN.dropout, **SHAPES[options.shape])
    config.decoder_start_token_id = config.pad_token_id
    model = T5ForConditionalGeneration._from_config(config, attn_implementation="sdpa").to(device)
    begin = time.perf_counter()
    batches, objective, rows = batches_of(cell, model, posts, options)
    making = (time.perf_counter() - begin) / len(batches)
    sizes = [(b["attention_mask"].sum(1), (b["labels"] != -100).sum(1) if "labels" in b else None) for b in batches]
    sizes = [(n.double(), torch.ones_like(n).double() if m is None else m.double()) for n, m in sizes]
    check_formula(model, objective, batches[0], step_flops(config, *(part[:1] for part in sizes[0]), rows))
    optimizer = optimizer_for(objective, PRETRAINED_PLAN)
    module = torch.compile(objective, dynamic=True) if options.compile else objective
    outcome, flops, done = Outcome(), 0.0, 0
    objective.train()
    for step in itertools.count(-WARM_UP):
        if step == 0:
            wait(device)
            begin = time.perf_counter()
        batch = {name: part.to(device, non_blocking=True) for name, part in batches[step % len(batches)].items()}
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = module(**batch)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= 0:
            n, m = sizes[step % len(batches)]
            outcome.count, done = outcome.count + len(n), step + 1
            flops += step_flops(config, n, m, rows)
            if step % 4 == 3:  # no further ahead of the device than this
                wait(device)
                if time.perf_counter() - begin > options.seconds:
                    break
    outcome.seconds = time.perf_counter() - begin
    tflops = flops / outcome.seconds / 1e12
    outcome.figures = {
        "TFLOP/s": tflops,
        "a step, ms": outcome.seconds / done * 1e3,
        "making a batch, ms": making * 1e3,
    }
    name = "" if device.type == "cpu" else torch.cuda.get_device_name(device)
    if peak := next((peak for known, peak in PEAKS.items() if known in name), 0):
        outcome.figures["MFU, %"] = 100 * tflops / peak
        outcome.figures["memory of the GPU, GiB"] = torch.cuda.max_memory_allocated(device) / 2**30
    return outcome


def check_formula(model: Any, objective: Any, batch: dict[str, Any], flops: float) -> None:
    """Compare the formula's FLOPs of a batch's first post with those that torch counts, attention in the open."""
    from torch.utils.flop_counter import FlopCounterMode

    post = {name: part[:1] for name, part in batch.items()}
    kept = {"labels": post["labels"][0] != -100} if "labels" in post else {}
    kept |= dict.fromkeys(("input_ids", "attention_mask"), post["attention_mask"][0].bool())
    post |= {name: post[name][:, places] for name, places in kept.items()}  # without padding
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        objective(**{name: part.to(model.device) for name, part in post.items()})["loss"].backward()
    model.set_attn_implementation("sdpa")
    model.zero_grad(set_to_none=True)
    if not 0.99 < flops / counter.get_total_flops() < 1.01:
        raise SystemExit(f"the formula gives {flops / counter.get_total_flops():.3f} times what torch counts")


def wait(device: Any) -> None:
    """Wait until the device has done all that it was told."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


BENCHMARK: Final = Benchmark(
    about=__doc__,
    unit="posts",
    prepare=prepare,
    contenders={
        cell: Contender(cell.replace("-", ", "), partial(utilise, cell))
        for cell in ("labels-set", "labels-sequence", "pieces-sequence", "full")
    },
    options={
        "--shape": {"choices": list(SHAPES), "default": "t5-small", "help": "of the model; toy runs on the CPU"},
        "--batch": {"type": int, "default": 256, "help": "posts of a step (default %(default)s)"},
        "--batches": {
            "type": int,
            "default": 50,
            "help": "that are made before and taken in turn (default %(default)s)",
        },
        "--seconds": {"type": float, "default": 15, "help": "of training (default %(default)s)"},
        "--compile": {"action": "store_true", "help": "torch.compile"},
        "--base": {"choices": ["tiny", "t5"], "default": "t5", "help": "whose pieces: 2,000 or T5's 32,000"},
    },
    packages=("torch", "transformers"),
)

if __name__ == "__main__":
    BENCHMARK.main()
