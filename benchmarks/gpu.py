"""What a GPU does: memory and speed by batch size, two trainings on one card, and a recipe of at most ten minutes.

    python -m benchmarks.gpu                                # memory and speed; two trainings
    python -m benchmarks.gpu --recipe --seeds 0 1 2         # a T5 of t5-small's shape, beside all baselines
    python -m benchmarks.gpu --recipe --set dropout=0.2     # another option; choose by the validation loss that it says

A cell is some seconds of the payload's training loop: posts a second are those after the first quarter, batches made on
the way; memory is the most that torch had allocated; fp32 is without TF32. The recipe's T5 has random weights, since
nothing is downloaded, and rows of labels from co-occurrence, as `tiny` has; training goes on from it as from a parent.
"""

import argparse
import gc
import itertools
import json
import logging
import multiprocessing
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

from benchmarks.corpus import SHARED
from benchmarks.frame import machine, show
from benchmarks.model import WORLDS, World, print_tables
from benchmarks.utilisation import SHAPES
from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.collator import SetBatches
from booru_pipeline.dataset.hiding import Hiding
from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.dataset.posts import Posts, load_posts
from booru_pipeline.model.objective import PresentObjective
from booru_pipeline.model.presence import Presence
from booru_pipeline.model.provenance import PROVENANCE_FILE
from booru_pipeline.model.start import quiet_transformers, tiny_model
from booru_pipeline.training import trainer
from booru_pipeline.training.finetune import finetune
from booru_pipeline.training.interruption import Interruption
from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.options import TINY_PLAN, TrainingOptions, resolve
from booru_pipeline.training.processes import Processes
from booru_pipeline.training.sampler import LengthGroupedSampler
from booru_pipeline.training.tracking import Wandb
from booru_pipeline.training.watch import Surroundings
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE, Vocabulary

BATCHES: Final = (64, 128, 256, 512, 1024, 2048)
FOR_TWO: Final = (("tiny", 64), ("t5-small", 256))  # shapes and batches of two trainings on one card
SECONDS: Final = 4.0  # of a cell; three times as long where two trainings share the card
DROPOUT: Final = 0.1
RECIPE: Final[dict[str, Any]] = {  # a guess, which no GPU has tried: `--set` is for choosing
    "max_steps": 12_000,
    "time_limit_s": 540,
    "epochs": 0,
    "batch_size": 256,
    "optimizer": "adamw_rms",
    "learning_rate": 0.01,
    "embedding_learning_rate_factor": 1,
    "dropout": DROPOUT,
}


def main() -> None:
    """Measure or train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, default="shared" if SHARED.is_dir() else "sample")
    parser.add_argument("--recipe", action="store_true", help="train and evaluate, in place of the cells")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the recipe")
    parser.add_argument("--set", nargs="+", default=[], metavar="OPTION=VALUE", help="training options of the recipe")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("torch sees no GPU, so there is nothing to measure.")
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    print(f"{machine('torch', 'transformers')} {torch.cuda.get_device_name()}\n", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        world = World(folder, options.world)
        if not options.recipe:
            by_batch(world)
            by_trainings(world)
            return
        recipe = {**RECIPE, **dict(pair.split("=", 1) for pair in options.set)}
        made = [train(world, folder / f"t5-small-{seed}", recipe, seed) for seed in options.seeds]
        found = [world.evaluate(checkpoint, folder / f"{checkpoint.name}-report") for checkpoint in made]
        print_tables("present, the shape of t5-small", made, found)


def by_batch(world: World) -> None:
    """Memory and speed of each shape and precision by batch size."""
    cells, rows = list(itertools.product(("tiny", "t5-small"), ("fp32", "bf16"))), []
    for batch in BATCHES:
        found = [measure(world, shape, batch, precision, SECONDS) for shape, precision in cells]
        rows.append([f"{batch:,}", *(f"{memory:.2f} GiB, {speed:,.0f}" for speed, memory in found)])
    print("Peak memory, and posts a second, by batch size:\n")
    show(["batch", *(f"{shape}, {precision}" for shape, precision in cells)], rows)


def by_trainings(world: World) -> None:
    """The speed of one training, and of two at once that know nothing of each other."""
    rows = []
    for shape, batch in FOR_TWO:
        speeds = []
        for count in (1, 2):
            with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
                runs = [pool.submit(measure, world, shape, batch, "bf16", 3 * SECONDS) for _ in range(count)]
                speeds.append(sum(run.result()[0] for run in runs))
        rows.append([f"{shape}, {batch}", *(f"{speed:,.0f}" for speed in speeds), f"{speeds[1] / speeds[0]:.2f}"])
    print("\nPosts a second of one training, and of two at once on the same card, both together (bf16):\n")
    show(["shape, batch", "one", "two", "ratio"], rows)


def measure(world: World, shape: str, batch: int, precision: str, seconds: float) -> tuple[float, float]:
    """Posts a second and GiB of the training loop."""
    limits = {"time_limit_s": seconds, "epochs": 0, "log_interval_s": seconds / 4}
    options = TrainingOptions(batch_size=batch, precision=precision, dropout=DROPOUT, **limits)
    plan, log = resolve(options, pretrained=False), logging.Logger("problems only", logging.WARNING)
    posts, vocabulary = load_posts(world.dataset, "train"), Vocabulary.load(world.vocabulary)
    special, first = vocabulary.special_tokens, vocabulary.first_token_id
    tokens = {"first_token_id": first, "eos_token_id": special.eos, "pad_token_id": special.pad}
    batches = SetBatches(posts, Hiding.of(options, 0), choice=CaptionChoice.of(vocabulary, CaptionOptions()), **tokens)
    model = start(shape, vocabulary, posts.take(range(100)), 0)  # what it starts from is of no matter here
    objective = PresentObjective(model, Presence(torch.zeros(len(vocabulary))), first, len(vocabulary))
    no_wandb = Wandb(log, folder=None, project="", name="", config={})
    around = Surroundings(Processes(), log, no_wandb, None, Interruption())
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    order = LengthGroupedSampler(batches, batch, 0)
    begin, *_, end = trainer.train(objective, batches, order, plan, options, around, None).entries
    speed = (end["step"] - begin["step"]) * batch / (end["seconds"] - begin["seconds"])
    return speed, torch.cuda.max_memory_allocated() / 2**30


def train(world: World, output: Path, recipe: Mapping[str, Any], seed: int) -> Path:
    """Train the T5 of t5-small's shape with these options; gives the checkpoint's folder."""
    posts, vocabulary = load_posts(world.dataset, "train"), Vocabulary.load(world.vocabulary)
    begin = output.with_name(f"{output.name}-start")
    start("t5-small", vocabulary, posts, seed).save_pretrained(begin)
    shutil.copytree(vocabulary.tokenizer_folder, begin, dirs_exist_ok=True)
    shutil.copy(vocabulary.folder / LABELS_FILE, begin)
    Presence.of_counts(np.bincount(posts.rows, minlength=len(vocabulary)), len(posts)).write(begin)
    (begin / PROVENANCE_FILE).write_text(json.dumps({"releases": {}}))
    named = {"base_name": "random weights, the shape of t5-small", "base_source": str(begin), "parent": begin}
    options = TrainingOptions(seed=seed, states_kept=0, wandb_project="", log_interval_s=60, **recipe)
    folders = {"dataset": world.dataset, "vocabulary": world.vocabulary, "output": output}
    job = TrainingJob(options=options, provenance={"release": world.key}, **folders, **named)
    if finetune(job.write(output.with_suffix(".json")), Interruption()):
        raise SystemExit("the training failed")
    return output


def start(shape: str, vocabulary: Vocabulary, posts: Posts, seed: int) -> Any:
    """`tiny`; or random weights of another shape, with the rows of a `tiny` of that width."""
    quiet_transformers()
    tokenizer = AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder)
    width = TINY_PLAN.width if shape == "tiny" else SHAPES[shape]["d_model"]
    tiny = tiny_model(tokenizer, vocabulary, posts, dropout=DROPOUT, seed=seed, width=width)
    if shape == "tiny":
        return tiny
    same = ("vocab_size", "dropout_rate", "pad_token_id", "eos_token_id", "decoder_start_token_id")
    model = T5ForConditionalGeneration(T5Config(**{name: getattr(tiny.config, name) for name in same}, **SHAPES[shape]))
    model.shared.load_state_dict(tiny.shared.state_dict())
    return model


if __name__ == "__main__":
    main()
