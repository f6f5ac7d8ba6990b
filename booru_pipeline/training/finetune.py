"""Fine-tuning from a job to a checkpoint folder, in a process that is one of those that share it."""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import torch
from torch import nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from booru_pipeline.dataset.build import read_summary
from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.collator import PostBatches, SequenceBatches, SetBatches
from booru_pipeline.dataset.hiding import Hiding
from booru_pipeline.dataset.masking import Kind, Masking
from booru_pipeline.dataset.options import CaptionOptions, MaskingOptions
from booru_pipeline.dataset.posts import Posts, load_posts, releases_of
from booru_pipeline.errors import BooruError
from booru_pipeline.model.objective import ObjectiveName, SequenceObjective, SetObjective, answer_tokens, objective_name
from booru_pipeline.model.provenance import PROVENANCE_FILE, read_provenance
from booru_pipeline.model.ranking import ranker_for
from booru_pipeline.model.start import check_base, pretrained_model, quiet_transformers, tiny_model
from booru_pipeline.orphan import end_with_parent
from booru_pipeline.training.interruption import Interruption
from booru_pipeline.training.job import INTERRUPTED_PROBLEM, TrainingJob
from booru_pipeline.training.limits import disk_named, memory_named
from booru_pipeline.training.model_card import model_card
from booru_pipeline.training.options import Plan, TrainingOptions, resolve
from booru_pipeline.training.processes import Processes
from booru_pipeline.training.progress import Diverged, StateProgress
from booru_pipeline.training.sampler import LengthGroupedSampler
from booru_pipeline.training.states import States, newest_state, step_of
from booru_pipeline.training.tracking import Wandb, run_log, under_pipes
from booru_pipeline.training.trainer import Interrupted, posts_per_step, train, use_bf16
from booru_pipeline.training.validation import Validation
from booru_pipeline.training.warm_start import carry_over, with_replay
from booru_pipeline.training.watch import Surroundings
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE, Vocabulary

LOG_FILE: Final = "training_log.json"
CARD_FILE: Final = "README.md"
_VALIDATION_SEED: Final = 20210101  # other labels are hidden than in any training run


def finetune(path: Path, interruption: Interruption) -> int:
    """Run the job in a file; gives the exit status, and says what is wrong if it is not 0."""
    processes = Processes()
    if under_pipes():
        end_with_parent()
    with run_log(main_process=processes.is_main) as log:
        job = None
        try:
            interruption.raised()
            job = TrainingJob.read(path)
            run(job, log, processes, interruption)
        except (BooruError, KeyboardInterrupt) as error:
            problem = str(error) or _interrupted(job)
            alike = isinstance(error, Interrupted | Diverged)
            if processes.is_main or not alike:
                log.error(problem)
                _tell(job, problem)
            # What all processes meet alike ends the training when the main one has said so.
            return 1 if processes.is_main or not alike else 0
    return 0


def run(job: TrainingJob, log: logging.Logger, processes: Processes, interruption: Interruption) -> None:
    """Train and write the checkpoint folder.

    Raises:
        BooruError: The dataset, the vocabulary or the base model is not there or not what it should be, memory or disk
            are full, training diverged, or was asked to end.
    """
    begun = time.monotonic()
    quiet_transformers()
    torch.set_num_threads(max(1, (job.options.threads or idle_cores()) // processes.on_this_machine))
    pretrained = job.base_source is not None
    try:
        plan = resolve(job.options, pretrained=pretrained)
    except ValueError as error:
        raise BooruError(f"{error}.") from error
    states = None
    if job.states is not None and job.options.states_kept:
        states = States(job.states, job.key, job.options.states_kept, processes)
    vocabulary = Vocabulary.load(job.vocabulary)
    posts = load_posts(job.dataset, "train")
    held_out = load_posts(job.dataset, "validation")
    if not len(posts):
        raise BooruError(f"no post in the train split of {job.dataset} has two labels, so there is nothing to learn.")
    if not len(held_out):
        log.warning("the validation split is empty: figures and calibration come from the train split")
        held_out = posts
    tokenizer = AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder)
    model = _start(job, plan, tokenizer, vocabulary, posts)
    releases = releases_of(job.dataset, "train")
    if job.parent is not None:
        carried = carry_over(model, tokenizer, vocabulary, job.parent)
        known = read_provenance(job.parent)["releases"]
        chosen = with_replay(releases, posts.keys, known, job.options.replay_share, job.options.seed)
        posts, releases = posts.take(chosen), releases[chosen]
        log.info(
            f"going on from {job.parent.name}: {carried.tokens:,} tokens carried over, {carried.new_labels:,} labels "
            f"are new; {int((~np.isin(releases, list(known))).sum()):,} posts are new, the others replayed"
        )
    if job.options.gradient_checkpointing:
        # Not the reentrant kind: under DDP a weight would be ready twice.
        model.activation_checkpointing_enable({"use_reentrant": False})
    captions = read_summary(job.dataset).captions
    name = objective_name(job.options.objective, captions.encoding_name)
    objective = _objective(name, captions.encoding_name, model, vocabulary)
    batches_of = _batches(name, job.options, captions, vocabulary)
    batches = batches_of(posts, job.options.seed)
    validation = Validation(
        held_out,
        Hiding.of(job.options, _VALIDATION_SEED),
        ranker_for(model, vocabulary, captions.encoding_name, name),
        lambda some: batches_of(some, _VALIDATION_SEED),
    )
    weights = sum(weight.numel() for weight in model.parameters())
    shared_by = f"{processes.count} processes of " if processes.count > 1 else ""
    log.info(
        f"{job.base_name}: {weights:,} weights, {len(vocabulary):,} labels, {len(posts):,} posts to learn from "
        f"({name.value}, {captions.encoding}), "
        f"{shared_by}{torch.get_num_threads()} threads; ready after {time.monotonic() - begun:.0f} s"
    )
    state = states.newest() if states else None
    wandb = Wandb(
        log,
        folder=job.wandb_folder if processes.is_main else None,
        project=job.options.wandb_project,
        name=str(job.provenance.get("release", job.output.name)),
        config={**job.provenance, "base": job.base_name, **job.options.model_dump(), **asdict(plan)},
        run_id=StateProgress.read(state).wandb if state else None,
    )
    try:
        with memory_named(job.options, plan):
            trained = train(
                objective,
                batches,
                LengthGroupedSampler(batches, posts_per_step(plan, job.options, processes.count), job.options.seed),
                plan,
                job.options,
                Surroundings(processes, log, wandb, states, interruption),
                (lambda: validation.loss(objective)) if processes.is_main else None,
            )
            processes.leave()
            if not processes.is_main:
                return
            metrics = validation.metrics(objective, np.bincount(posts.rows, minlength=len(vocabulary)))
            calibration = validation.calibrate(objective, len(vocabulary))
    except BaseException:
        wandb.abandon()
        raise
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
        "steps": trained.steps,
        "posts_per_step": posts_per_step(plan, job.options, processes.count),
        "seconds": trained.seconds,
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{torch.get_num_threads()} CPU threads",
        "processes": processes.count,
        "precision": "bf16" if use_bf16(job.options.precision) else "fp32",
    }
    provenance = {
        **job.provenance,
        "base_model": {"name": job.base_name, "source": job.base_source},
        "encoding": captions.encoding,
        "trained_on": {
            str(name): int(number) for name, number in zip(*np.unique(releases, return_counts=True), strict=True)
        },
        "objective": name.value,
        "options": job.options.model_dump(),
        "plan": asdict(plan),
        "training": facts,
        "metrics": metrics.as_dict(),
        "calibration": calibration.model_dump(),
        "wandb": str(wandb.folder) if wandb.folder else None,
        "versions": {name: version(name) for name in ("torch", "transformers", "datasets", "booru-pipeline")},
    }
    with disk_named(job.output, state_stays=states is not None):
        output = job.output
        output.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(output)
        tokenizer.save_pretrained(output)
        shutil.copyfile(vocabulary.folder / LABELS_FILE, output / LABELS_FILE)
        calibration.write(output)
        _write_json(output / LOG_FILE, trained.entries)
        _write_json(output / PROVENANCE_FILE, provenance)
        card = model_card(job, plan, metrics, {**facts, "example": _example(vocabulary)})
        (output / CARD_FILE).write_text(card, encoding="utf-8")
    wandb.finish(metrics.as_dict(), job.output if job.options.wandb_artifact else None)
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


def _interrupted(job: TrainingJob | None) -> str:
    """What to say of a signal that came before or after the steps."""
    state = newest_state(job.states, job.key) if job and job.states else None
    if state is None:
        return f"{INTERRUPTED_PROBLEM} before there was a training state; the next materialization begins anew."
    return f"{INTERRUPTED_PROBLEM}; the next materialization goes on from step {step_of(state)}."


def _tell(job: TrainingJob | None, problem: str) -> None:
    """Leave the problem where the job wants it, unless another process has: the first one is the cause."""
    if job and job.problem:
        with suppress(OSError), job.problem.open("x", encoding="utf-8") as file:
            file.write(problem)


def _start(
    job: TrainingJob, plan: Plan, tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary, posts: Posts
) -> Any:
    if job.base_source is None:
        return tiny_model(tokenizer, vocabulary, posts, dropout=plan.dropout, seed=job.options.seed, width=plan.width)
    torch.manual_seed(job.options.seed)
    check_base(job.base_source, vocabulary.special_tokens)
    return pretrained_model(job.base_source, tokenizer, vocabulary, dropout=plan.dropout)


def _objective(name: ObjectiveName, encoding: EncodingName, model: Any, vocabulary: Vocabulary) -> nn.Module:
    first, labels = vocabulary.first_token_id, len(vocabulary)
    if name is ObjectiveName.SET:
        return SetObjective(model, first, labels)
    return SequenceObjective(model, answer_tokens(encoding, first, labels, vocabulary.special_tokens))


def _batches(
    name: ObjectiveName, options: TrainingOptions, captions: CaptionOptions, vocabulary: Vocabulary
) -> Callable[[Posts, int], PostBatches]:
    """What makes the objective's batches of posts, given a seed."""
    special = vocabulary.special_tokens

    def make(posts: Posts, seed: int) -> PostBatches:
        choice = CaptionChoice.of(vocabulary, captions, seed)
        if name is ObjectiveName.SET:
            return SetBatches(
                posts,
                Hiding.of(options, seed),
                first_token_id=vocabulary.first_token_id,
                eos_token_id=special.eos,
                pad_token_id=special.pad,
                choice=choice,
            )
        masking = MaskingOptions(**{field: getattr(options, field) for field in MaskingOptions.model_fields})
        kind = Kind.SPAN_CORRUPTION if name is ObjectiveName.SPAN else None
        return SequenceBatches(posts, Masking(choice, masking, special, seed), kind)

    return make


def _example(vocabulary: Vocabulary) -> str:
    """A character if there is one: a label that implies others."""
    return next(
        (label for label, kind in zip(vocabulary.labels, vocabulary.categories, strict=True) if kind == 4),
        vocabulary.labels[0],
    )


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
