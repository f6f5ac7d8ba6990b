"""What helps with a larger base: LoRA, bf16, accumulated gradients, torch.compile, checkpointed activations.

    python -m benchmarks.bases                                  # t5-small's shape on the CPU: a quarter of an hour
    python -m benchmarks.bases --steps 30 --batch 256           # where there is a GPU

Each contender trains the same base, of t5-small's shape and random weights with T5's own pieces, on the same posts for
the same steps of as many posts each; the first one as a plain run does. What torch.compile takes to compile is in its
seconds; `posts/s at last` are those of the last steps. Peak memory holds the posts and the libraries too.
"""

import json
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import SHARED, record
from benchmarks.frame import Benchmark, Contender, Outcome
from benchmarks.utilisation import SHAPES

POSTS: Final = 1_000


def prepare(world: Path, options: Namespace) -> None:
    """Make `base`, `vocabulary` and `dataset`."""
    import torch
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    from benchmarks.corpus import make_shards
    from booru_pipeline.dataset.build import build_dataset
    from booru_pipeline.dataset.options import DatasetOptions
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.sample import generate
    from booru_pipeline.vocabulary.base_model import BaseModel
    from booru_pipeline.vocabulary.build import build_vocabulary
    from booru_pipeline.vocabulary.options import VocabularyOptions

    if not (SHARED / "t5").is_dir():
        raise SystemExit("T5's own pieces are not here: shared/t5 beside the checkout")
    torch.manual_seed(0)
    config = T5Config(**SHAPES["t5-small"], vocab_size=32128, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(world / "base")
    AutoTokenizer.from_pretrained(SHARED / "t5").save_pretrained(world / "base")
    generate(world / "raw", posts=POSTS)
    lake = Lake(world / "home")
    shards = make_shards(world / "raw", lake)
    base, made = BaseModel("base", str(world / "base")), record(max(shards))
    known = build_vocabulary(shards, base, world / "vocabulary", lake.staging, VocabularyOptions(), made)
    build_dataset(shards, known, world / "dataset", lake.staging, DatasetOptions(), made)


def trained(chosen: dict[str, Any], world: Path, workspace: Path, options: Namespace) -> Outcome:
    """The training program with some options."""
    from booru_pipeline.training.finetune import finetune
    from booru_pipeline.training.interruption import Interruption
    from booru_pipeline.training.job import TrainingJob
    from booru_pipeline.training.options import TrainingOptions

    accumulated = chosen.get("gradient_accumulation", 1)
    job = TrainingJob(
        dataset=world / "dataset",
        vocabulary=world / "vocabulary",
        output=workspace / "checkpoint",
        base_name="base",
        base_source=str(world / "base"),
        options=TrainingOptions(
            max_steps=options.steps,
            batch_size=options.batch // accumulated,
            epochs=0,
            dropout=0.0,  # what it drops is drawn anew for each way to share a step out
            seed=options.round,
            precision=chosen.get("precision", "fp32"),
            evaluations=1,
            log_interval_steps=max(1, options.steps // 3),
            states_kept=0,
            wandb_project="",
            **{name: value for name, value in chosen.items() if name != "precision"},
        ),
    )
    if finetune(job.write(workspace / "job.json"), Interruption()):
        raise SystemExit("the training failed")
    training = json.loads((job.output / "provenance.json").read_text())["training"]
    last = [entry for entry in json.loads((job.output / "training_log.json").read_text()) if "posts_per_s" in entry][-1]
    figures = {"posts/s at last": last["posts_per_s"], "loss": last["loss"]}
    return Outcome(training["seconds"], training["steps"] * training["posts_per_step"], figures)


BENCHMARK: Final = Benchmark(
    about=__doc__,
    unit="posts",
    prepare=prepare,
    contenders={
        "plain": Contender("all weights, fp32", partial(trained, {})),
        "lora": Contender("LoRA of rank 16", partial(trained, {"adapter": "lora"})),
        "bf16": Contender("bf16", partial(trained, {"precision": "bf16"})),
        "accumulated": Contender("gradients of 4 small batches", partial(trained, {"gradient_accumulation": 4})),
        "compiled": Contender("torch.compile", partial(trained, {"compile": True})),
        "checkpointed": Contender("activations twice", partial(trained, {"gradient_checkpointing": True})),
    },
    options={
        "--steps": {"type": int, "default": 12, "help": "of each training (default %(default)s)"},
        "--batch": {"type": int, "default": 64, "help": "posts of a step (default %(default)s)"},
    },
    packages=("torch", "transformers", "peft"),
)

if __name__ == "__main__":
    BENCHMARK.main()
