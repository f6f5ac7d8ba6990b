"""Fine-tuning from a job to a checkpoint folder, in a process that is one of those that share it."""

import json
import logging
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psutil
import torch
from torch import nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from booru_pipeline.dataset.build import DatasetSummary
from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.collator import PostBatches, SequenceBatches, SetBatches
from booru_pipeline.dataset.hiding import Hiding
from booru_pipeline.dataset.masking import Kind, Masking
from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.dataset.posts import Posts, load_posts, releases_of
from booru_pipeline.errors import BooruError
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.candidates import Candidates
from booru_pipeline.model.mixture import Mixture
from booru_pipeline.model.objective import PresentObjective, SequenceObjective, SetObjective, answer_tokens
from booru_pipeline.model.objective_name import ObjectiveName, objective_name
from booru_pipeline.model.pair_table import PairTable
from booru_pipeline.model.presence import Presence
from booru_pipeline.model.provenance import CARD_FILE, LOG_FILE, PROVENANCE_FILE, read_provenance
from booru_pipeline.model.ranking.torch_rankers import ranker_for
from booru_pipeline.model.start import (
    add_adapter,
    check_base,
    merge_adapter,
    pretrained_model,
    quiet_transformers,
    tiny_model,
)
from booru_pipeline.orphan import end_with_parent
from booru_pipeline.progress import step, told_to
from booru_pipeline.training.interruption import Interruption
from booru_pipeline.training.job import INTERRUPTED_PROBLEM, TrainingJob
from booru_pipeline.training.limits import disk_named, memory_named
from booru_pipeline.training.model_card import model_card
from booru_pipeline.training.options import Plan, TrainingOptions, resolve
from booru_pipeline.training.processes import Processes
from booru_pipeline.training.progress import Diverged, Progress
from booru_pipeline.training.sampler import LengthGroupedSampler
from booru_pipeline.training.states import States, newest_state, step_of
from booru_pipeline.training.tracking import Wandb, run_log, under_pipes
from booru_pipeline.training.trainer import Interrupted, Trained, posts_per_step, train, use_bf16
from booru_pipeline.training.validation import Validation
from booru_pipeline.training.warm_start import carry_over, carry_presence, with_replay
from booru_pipeline.training.watch import Surroundings
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE, Vocabulary

_MANY_LABELS: Final = 16_384  # above, the output layer is most of a step on a CPU
_DRAWN: Final = 2_048
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
            with told_to(log.info):
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


@dataclass(frozen=True)
class Data:
    """The data that a training learns from.

    Attributes:
        vocabulary: The labels.
        captions: How posts become captions.
        posts: Of the train split.
        releases: str [posts], the release of each.
        held_out: Posts that figures and calibration come from.
        is_held_out: Whether these are no train posts, so that counts of train posts can be weighed on them.
    """

    vocabulary: Vocabulary
    captions: CaptionOptions
    posts: Posts
    releases: npt.NDArray[np.str_]
    held_out: Posts
    is_held_out: bool

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """int64 [labels]: how many posts have each label."""
        return np.bincount(self.posts.rows, minlength=len(self.vocabulary))


def run(job: TrainingJob, log: logging.Logger, processes: Processes, interruption: Interruption) -> None:
    """Train and write the checkpoint folder.

    Raises:
        BooruError: The dataset, the vocabulary or the base model is not there or not what it should be, memory or disk
            are full, training diverged, or was asked to end.
    """
    begun, options = time.monotonic(), job.options
    quiet_transformers()
    torch.set_num_threads(max(1, (options.threads or idle_cores()) // processes.on_this_machine))
    plan = resolve(options, pretrained=job.base_source is not None)
    states = States(job.states, job.key, options.states_kept, processes) if job.states and options.states_kept else None
    with step("reading the posts"):
        data = _read(job, log)
    tokenizer = AutoTokenizer.from_pretrained(data.vocabulary.tokenizer_folder)
    name = objective_name(options.objective, data.captions.encoding_name)
    model = _start(job, plan, tokenizer, data)
    presence = Presence.of_counts(data.counts, len(data.posts)) if name is ObjectiveName.PRESENT else None
    if job.parent is not None:
        data = _go_on_from(job.parent, job, model, presence, tokenizer, data, log)
    if options.adapter == "lora":
        add_adapter(model, options.adapter_rank)
    candidates = _candidates(job, plan, data, processes)
    objective = _objective(name, model, presence, candidates, data, checkpointing=options.gradient_checkpointing)
    validation = Validation(
        data.held_out,
        Hiding.of(options, _VALIDATION_SEED),
        ranker_for(model, data.vocabulary, data.captions.encoding_name, name, presence),
        lambda posts: _batches(name, options, data, posts, _VALIDATION_SEED),
    )
    log.info(f"{_summary(job, name, model, data, processes)}; ready after {time.monotonic() - begun:.0f} s")
    with _wandb(job, plan, states, processes, log) as wandb:
        with memory_named(options, plan):
            batches = _batches(name, options, data, data.posts, options.seed)
            sampler = LengthGroupedSampler(batches, posts_per_step(plan, options, processes.count), options.seed)
            around = Surroundings(processes, log, wandb, states, interruption)
            loss = (lambda: validation.loss(objective)) if processes.is_main else None
            trained = train(objective, batches, sampler, plan, options, around, loss)
            processes.leave()
            if not processes.is_main:
                return
            with step("measuring on validation posts"):
                metrics = validation.metrics(objective, data.counts)
                calibration = validation.calibrate(objective, len(data.vocabulary), lifts=presence is None)
            counting = _count(data, objective, validation, calibration, log)
        if options.adapter == "lora":
            merge_adapter(model)
        log.info(
            f"recall@10 with half of the labels hidden: {metrics.recall_at_10:.3f}, "
            f"the most frequent labels {metrics.popularity_recall_at_10:.3f} ({metrics.posts} validation posts)"
        )
        provenance = _provenance(job, plan, name, model, data, trained, processes)
        provenance |= {"metrics": asdict(metrics), "calibration": calibration.model_dump(), "counts": bool(counting)}
        provenance |= {"wandb": str(wandb.folder) if wandb.folder else None}
        with disk_named(job.output, state_stays=states is not None):
            job.output.mkdir(parents=True, exist_ok=True)
            model.save_pretrained(job.output)
            tokenizer.save_pretrained(job.output)
            for part in (calibration, presence, *counting):
                if part is not None:
                    part.write(job.output)
            _write_papers(job, data.vocabulary, trained, provenance)
        wandb.finish(asdict(metrics), job.output if options.wandb_artifact else None)


def _count(
    data: Data, objective: nn.Module, validation: Validation, calibration: Calibration, log: logging.Logger
) -> tuple[PairTable, Mixture] | tuple[()]:
    """The counts that the answer mixes with the T5; none without held-out posts to weigh them on."""
    if not data.is_held_out:
        log.warning("without validation posts nothing says how to mix the T5 with counts: the T5 answers alone")
        return ()
    begun = time.monotonic()
    with step("making the table of counts"):
        table = PairTable.of(data.posts.matrix(len(data.vocabulary)))
    counted = time.monotonic()
    with step("weighing T5 and counts on validation posts"):
        mixture = validation.mix(objective, calibration, table)
    log.info(f"pairs counted in {counted - begun:.1f} s, mixed with the T5 in {time.monotonic() - counted:.1f} s")
    return table, mixture


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
    """The message about a signal that came before or after the steps."""
    state = newest_state(job.states, job.key) if job and job.states else None
    if state is None:
        return f"{INTERRUPTED_PROBLEM} before there was a training state; the next materialization begins anew."
    return f"{INTERRUPTED_PROBLEM}; the next materialization goes on from step {step_of(state)}."


def _tell(job: TrainingJob | None, problem: str) -> None:
    """Leave the problem where the job wants it, unless another process has: the first one is the cause."""
    if job and job.problem:
        with suppress(OSError), job.problem.open("x", encoding="utf-8") as file:
            file.write(problem)


def _read(job: TrainingJob, log: logging.Logger) -> Data:
    posts, held_out = load_posts(job.dataset, "train"), load_posts(job.dataset, "validation")
    if not len(posts):
        raise BooruError(
            f"no post in the train split of {job.dataset} has two labels, so there is nothing to learn. Add a larger "
            "release, or lower the vocabulary's thresholds, and run again."
        )
    if not len(held_out):
        log.warning("the validation split is empty: figures and calibration come from the train split")
    return Data(
        vocabulary=Vocabulary.load(job.vocabulary),
        captions=DatasetSummary.read(job.dataset).captions,
        posts=posts,
        releases=releases_of(job.dataset, "train"),
        held_out=held_out if len(held_out) else posts,
        is_held_out=bool(len(held_out)),
    )


def _start(job: TrainingJob, plan: Plan, tokenizer: PreTrainedTokenizerBase, data: Data) -> Any:
    seed = job.options.seed
    if job.base_source is None:
        return tiny_model(tokenizer, data.vocabulary, data.posts, dropout=plan.dropout, seed=seed, width=plan.width)
    torch.manual_seed(seed)
    check_base(job.base_source, data.vocabulary.special_tokens)
    return pretrained_model(job.base_source, tokenizer, data.vocabulary, dropout=plan.dropout)


def _go_on_from(
    parent: Path,
    job: TrainingJob,
    model: Any,
    presence: Presence | None,
    tokenizer: PreTrainedTokenizerBase,
    data: Data,
    log: logging.Logger,
) -> Data:
    """Give the model the parent's weights; the posts that it is to learn from then."""
    carried = carry_over(model, tokenizer, data.vocabulary, parent)
    if presence is not None:
        carry_presence(presence, data.vocabulary, parent)
    known = read_provenance(parent)["releases"]
    chosen = with_replay(data.releases, data.posts.keys, known, job.options.replay_share, job.options.seed)
    data = replace(data, posts=data.posts.take(chosen), releases=data.releases[chosen])
    log.info(
        f"going on from {parent.name}: {carried.tokens:,} tokens carried over, {carried.new_labels:,} labels "
        f"are new; {int((~np.isin(data.releases, list(known))).sum()):,} posts are new, the others replayed"
    )
    return data


def _candidates(job: TrainingJob, plan: Plan, data: Data, processes: Processes) -> Candidates | None:
    """What stands for all labels in a step, if something does."""
    drawn = job.options.candidates
    if drawn is None:
        drawn = _DRAWN if len(data.vocabulary) > _MANY_LABELS and not torch.cuda.is_available() else 0
    if not drawn or drawn >= len(data.vocabulary) or plan.optimizer != "adamw_rms" or processes.count > 1:
        return None
    return Candidates.of_counts(data.counts, drawn)


def _objective(
    name: ObjectiveName,
    model: Any,
    presence: Presence | None,
    candidates: Candidates | None,
    data: Data,
    *,
    checkpointing: bool,
) -> nn.Module:
    if checkpointing:
        # Not the reentrant kind: under DDP a weight would be ready twice.
        model.activation_checkpointing_enable({"use_reentrant": False})
    first, labels = data.vocabulary.first_token_id, len(data.vocabulary)
    if presence is not None:
        return PresentObjective(model, presence, first, labels, candidates=candidates)
    if name is ObjectiveName.SET:
        return SetObjective(model, first, labels)
    tokens = answer_tokens(data.captions.encoding_name, first, labels, data.vocabulary.special_tokens)
    return SequenceObjective(model, tokens)


def _batches(name: ObjectiveName, options: TrainingOptions, data: Data, posts: Posts, seed: int) -> PostBatches:
    """The objective's batches of some posts."""
    special = data.vocabulary.special_tokens
    choice = CaptionChoice.of(data.vocabulary, data.captions, seed)
    if name.names_labels_at_once:
        return SetBatches(
            posts,
            Hiding.of(options, seed),
            first_token_id=data.vocabulary.first_token_id,
            eos_token_id=special.eos,
            pad_token_id=special.pad,
            choice=choice,
        )
    kind = Kind.SPAN_CORRUPTION if name is ObjectiveName.SPAN else None
    return SequenceBatches(posts, Masking(choice, options, special, seed), kind)


def _summary(job: TrainingJob, name: ObjectiveName, model: Any, data: Data, processes: Processes) -> str:
    shared_by = f"{processes.count} processes of " if processes.count > 1 else ""
    threads = torch.get_num_threads()
    few = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    trained = "" if few == model.num_parameters() else f" of which {few:,} are trained"
    return (
        f"{job.base_name}: {model.num_parameters():,} weights{trained}, {len(data.vocabulary):,} labels, "
        f"{len(data.posts):,} posts to learn from ({name.value}, {data.captions.encoding}), "
        f"{shared_by}{threads} thread{'s' if threads > 1 else ''}"
    )


def _wandb(job: TrainingJob, plan: Plan, states: States | None, processes: Processes, log: logging.Logger) -> Wandb:
    state = states.newest() if states else None
    return Wandb(
        log,
        folder=job.wandb_folder if processes.is_main else None,
        project=job.options.wandb_project,
        name=job.name,
        config={**job.provenance, "base": job.base_name, **job.options.model_dump(), **asdict(plan)},
        run_id=Progress.read(state).wandb if state else None,
    )


def _provenance(
    job: TrainingJob, plan: Plan, name: ObjectiveName, model: Any, data: Data, trained: Trained, processes: Processes
) -> dict[str, Any]:
    """The provenance as far as it is known when training has ended: all but how good the model is."""
    on_gpu = model.device.type == "cuda"
    return {
        **job.provenance,
        "base_model": {"name": job.base_name, "source": job.base_source},
        "encoding": data.captions.encoding,
        "trained_on": {
            str(release): int(posts)
            for release, posts in zip(*np.unique(data.releases, return_counts=True), strict=True)
        },
        "objective": name.value,
        "options": job.options.model_dump(),
        "plan": asdict(plan),
        "training": {
            "labels": len(data.vocabulary),
            "first": data.vocabulary.first_token_id,
            "posts": len(data.posts),
            "weights": model.num_parameters(),
            "steps": trained.steps,
            "posts_per_step": posts_per_step(plan, job.options, processes.count),
            "seconds": trained.seconds,
            "device": torch.cuda.get_device_name(model.device) if on_gpu else f"{torch.get_num_threads()} CPU threads",
            "processes": processes.count,
            "precision": "bf16" if use_bf16(job.options.precision) else "fp32",
        },
        "versions": {package: version(package) for package in ("torch", "transformers", "datasets", "booru-pipeline")},
    }


def _write_papers(job: TrainingJob, vocabulary: Vocabulary, trained: Trained, provenance: dict[str, Any]) -> None:
    """Write what goes with the model: its labels, the training log, where it comes from, and the card."""
    shutil.copyfile(vocabulary.folder / LABELS_FILE, job.output / LABELS_FILE)
    for file, content in ((LOG_FILE, trained.entries), (PROVENANCE_FILE, provenance)):
        (job.output / file).write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
    (job.output / CARD_FILE).write_text(model_card(job.name, provenance), encoding="utf-8")
