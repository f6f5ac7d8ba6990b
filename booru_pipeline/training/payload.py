"""The training program: ``python -m booru_pipeline.training.payload JOB.json``.

Runs alone, under Dagster Pipes, or under `accelerate launch`, and leaves a complete checkpoint folder at the job's
output. Exit status 1 with a message of one or two lines if something the user can mend is wrong.
"""

import json
import logging
import os
import shutil
import sys
import threading
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from booru_pipeline.errors import BooruError
from booru_pipeline.labels.hiding import Hiding
from booru_pipeline.labels.posts import Posts, load_posts
from booru_pipeline.labels.vocabulary import LABELS_FILE, Vocabulary
from booru_pipeline.training.collator import SetBatches
from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.model import pretrained_model, quiet_transformers, tiny_model
from booru_pipeline.training.model_card import model_card
from booru_pipeline.training.objective import SetObjective
from booru_pipeline.training.options import Plan, resolve
from booru_pipeline.training.tracking import Wandb, run_log, under_pipes
from booru_pipeline.training.trainer import train, use_bf16
from booru_pipeline.training.validation import Validation

PROVENANCE_FILE: Final = "provenance.json"
LOG_FILE: Final = "training_log.json"
CARD_FILE: Final = "README.md"
_ORPHAN_CHECK_S: Final = 0.5
_VALIDATION_SEED: Final = 20210101  # other labels are hidden than in any training run


def main(arguments: list[str]) -> int:
    """Run the job whose file is the only argument; gives the exit status."""
    if len(arguments) != 1:
        print("usage: python -m booru_pipeline.training.payload JOB.json", file=sys.stderr)
        return 2
    main_process = int(os.environ.get("RANK", "0")) == 0
    if under_pipes():
        _end_with_parent()
    with run_log(main_process=main_process) as log:
        try:
            run(TrainingJob.read(Path(arguments[0])), log, main_process=main_process)
        except BooruError as error:
            log.error(str(error))
            return 1
    return 0


def run(job: TrainingJob, log: logging.Logger, *, main_process: bool = True) -> None:
    """Train and write the checkpoint folder.

    Raises:
        BooruError: The dataset, the vocabulary or the base model is not there, or training diverged.
    """
    begun = time.monotonic()
    quiet_transformers()
    torch.set_num_threads(job.options.threads or idle_cores())
    pretrained = job.base_source is not None
    try:
        plan = resolve(job.options, pretrained=pretrained)
    except ValueError as error:
        raise BooruError(f"{error}.") from error
    vocabulary = Vocabulary.load(job.vocabulary)
    posts = load_posts(job.dataset, "train", vocabulary.first_token_id)
    held_out = load_posts(job.dataset, "validation", vocabulary.first_token_id)
    if not len(posts):
        raise BooruError(f"no post in the train split of {job.dataset} has two labels, so there is nothing to learn.")
    if not len(held_out):
        log.warning("the validation split is empty: figures and calibration come from the train split")
        held_out = posts
    tokenizer = AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder)
    model = _start(job, plan, tokenizer, vocabulary, posts)
    objective = SetObjective(model, vocabulary.first_token_id, len(vocabulary))
    tokens = {
        "first_token_id": vocabulary.first_token_id,
        "eos_token_id": model.config.eos_token_id,
        "pad_token_id": model.config.pad_token_id,
    }
    share = (job.options.hidden_share_min, job.options.hidden_share_max)
    batches = SetBatches(posts, Hiding(job.options.seed, *share), **tokens)
    validation = Validation(held_out, tokens, Hiding(_VALIDATION_SEED, *share))
    weights = sum(weight.numel() for weight in model.parameters())
    log.info(
        f"{job.base_name}: {weights:,} weights, {len(vocabulary):,} labels, {len(posts):,} posts to learn from, "
        f"{torch.get_num_threads()} threads; ready after {time.monotonic() - begun:.0f} s"
    )
    wandb = Wandb(
        log,
        folder=job.wandb_folder if main_process else None,
        project=job.options.wandb_project,
        name=str(job.provenance.get("release", job.output.name)),
        config={**job.provenance, "base": job.base_name, **job.options.model_dump(), **asdict(plan)},
    )
    entries, steps, seconds = train(
        objective,
        batches,
        plan,
        job.options,
        log,
        wandb,
        (lambda: validation.loss(objective)) if main_process else None,
    )
    if not main_process:
        return
    metrics = validation.metrics(objective, np.bincount(posts.rows, minlength=len(vocabulary)))
    calibration = validation.calibrate(objective)
    wandb.finish(metrics.as_dict())
    log.info(
        f"recall@10 with half of the labels hidden: {metrics.recall_at_10:.3f}, "
        f"the most frequent labels {metrics.popularity_recall_at_10:.3f} ({metrics.posts} validation posts)"
    )
    device = next(model.parameters()).device
    facts = {
        "labels": len(vocabulary),
        "first": vocabulary.first_token_id,
        "posts": len(posts),
        "weights": weights,
        "steps": steps,
        "seconds": seconds,
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{torch.get_num_threads()} CPU threads",
        "precision": "bf16" if use_bf16(job.options.precision) else "fp32",
    }
    output = job.output
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    shutil.copyfile(vocabulary.folder / LABELS_FILE, output / LABELS_FILE)
    calibration.write(output)
    _write_json(output / LOG_FILE, entries)
    provenance = {
        **job.provenance,
        "base_model": {"name": job.base_name, "source": job.base_source},
        "options": job.options.model_dump(),
        "plan": asdict(plan),
        "training": facts,
        "metrics": metrics.as_dict(),
        "calibration": asdict(calibration),
        "wandb": str(wandb.folder) if wandb.folder else None,
        "versions": {name: version(name) for name in ("torch", "transformers", "datasets", "booru-pipeline")},
    }
    _write_json(output / PROVENANCE_FILE, provenance)
    card = model_card(job, plan, metrics, {**facts, "example": _example(vocabulary)})
    (output / CARD_FILE).write_text(card, encoding="utf-8")
    log.info(f"checkpoint written after {time.monotonic() - begun:.0f} s in all")


def idle_cores() -> int:
    """How many cores nobody else is using now, at least 1.

    A second thread nearly doubles the speed on two idle cores (2,100 to 4,200 posts/s), but on busy ones each parallel
    region waits for the thread that has no core, and the speed was seen to fall to 80 posts/s.
    """
    cores = (
        len(psutil.Process().cpu_affinity() or [0]) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1
    )
    busy = psutil.cpu_percent(interval=0.3) / 100 * (psutil.cpu_count() or 1)
    return max(1, cores - round(busy))


def _start(
    job: TrainingJob, plan: Plan, tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary, posts: Posts
) -> Any:
    if job.base_source is None:
        return tiny_model(tokenizer, vocabulary, posts, dropout=plan.dropout, seed=job.options.seed)
    torch.manual_seed(job.options.seed)
    return pretrained_model(job.base_source, tokenizer, vocabulary, dropout=plan.dropout)


def _example(vocabulary: Vocabulary) -> str:
    """A character if there is one: a label that implies others."""
    return next(
        (label for label, kind in zip(vocabulary.labels, vocabulary.categories, strict=True) if kind == 4),
        vocabulary.labels[0],
    )


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: a killed run must not go on training unseen."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_ORPHAN_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
