"""Training side by side: the plain Hugging Face recipe, the origin's data path, and ours with each objective.

    python benchmarks/training.py                            # every contender for 60 s, 3 times: about an hour
    python benchmarks/training.py --seconds 20 --runs 1      # a quick look
    python benchmarks/training.py --only hf sql labels-set   # some of them
    python benchmarks/training.py --gpu                      # utilisation of a GPU; anyway if there is one
    python benchmarks/training.py --gpu --toy                # the same program with a toy shape on the CPU

The posts are those of the releases in `shared/` beside the checkout, or of the sample world where there is no such
folder. Each contender runs in a process of its own, so that its peak memory is its own, and they take turns.

What is the same for all: the posts, the labels, the text of a label and its pieces, the shape of the model (that of the
`tiny` preset), the batch of 64, AdamW with the preset's learning rates, which fall to 0 with the time, the seconds of
training after a warm-up, the threads. What differs is the way from posts to batches, the objective, and, where the
table says so, the start. (a) and (b) have no rows for labels in their embedding, since text needs none.

(a) rows of caption text in a `datasets.Dataset`; the collator hides half of the labels of each and calls the fast
    tokenizer on the batch, padded to 128; `Seq2SeqTrainer`.
(b) a post is one SQL query to the origin's SQLite database (`booru export sqlite`); caption text is put together and
    tokenized post by post, and padded to the longest of the batch; `Seq2SeqTrainer`.
(c) the library's batches, objectives and `train`, as the payload calls them. Pieces have captions of 32 tokens at most,
    labels of 64, the library's defaults.

The yardstick is one for all: half of the labels of the same validation posts are hidden; the loss is minus the log of
the probability of a hidden label to be the first answer, over all labels that are not visible, in nats, mean over a
post's hidden labels, then over posts. Of a model that writes pieces it is exact (`booru_pipeline.model.ranking`).

Utilisation (MFU) is the FLOPs that the model's own arithmetic needs, over those that the device could have done in the
same time at its dense bf16 peak (Chowdhery et al. 2022, "PaLM", appendix B). Of a post of n source and m target tokens,
padding not counted, in a T5 of width d, inner width i = heads x d_kv, feed-forward width f (w matrices: 2, or 3 if
gated), E encoder and D decoder layers, and r output rows over which t places take a softmax:

    forward = 2 n E (4 d i + w d f)                     encoder layers
            + 2 m D (4 d i + 2 d i + w d f)             decoder layers: of cross-attention, query and output
            + 2 n D (2 d i)                             cross-attention's keys and values
            + 4 i (E n^2 + D m^2 + D m n)               attention scores and sums, causal ones in full, as PaLM has it
            + 2 t r d                                   output layer
    training step = 3 x forward

which is PaLM's 6 N tokens + 12 L H Q T with the encoder, the decoder and the output layer counted by the tokens that
each of them sees. Looking rows up, norms, softmax, dropout and the optimizer count as nothing. Before a measurement the
formula is compared with torch's own counter on a batch without padding. The anchor is nanoT5's 34 % (Nawrot 2023; T5
v1.1 base on one A100, 128 sequences of 512 tokens): the rows `full` have that size, with random tokens.
"""

import argparse
import datetime
import itertools
import json
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve()
SHARED: Final = HERE.parents[2] / "shared"
MIB: Final = 1 << 20
WARM_UP_S: Final = 3.0
PADDED_TO: Final = 128  # of (a)
HELD_OUT_SEED: Final = 20210101  # no training hides by it
_OUTCOME: Final = "outcome.json"


# --- The data --------------------------------------------------------------------------------------------------------


def make_shards(raw: Path, lake: Any) -> dict[str, Path]:
    """Load every release of a folder and cut its training shards; gives their folders by release."""
    from booru_pipeline.lake.record import Record
    from booru_pipeline.release.find import find_releases
    from booru_pipeline.tag_table.load import load_release
    from booru_pipeline.tag_table.options import TagTableOptions
    from booru_pipeline.training_shards.options import ShardOptions
    from booru_pipeline.training_shards.shards import build_shards

    shards = {}
    for release in find_releases(raw).releases:
        record = Record(stage="made for a benchmark", release=release.key, key="")
        table, folder = lake.tag_table(release.key), lake.training_shards(release.key)
        load_release(release, table, lake.staging, TagTableOptions(max_reject_share=1), record)
        build_shards(table, folder, lake.staging, ShardOptions(), record)
        shards[release.key] = folder
    return shards


def prepare(world: Path, base_name: str, posts: int) -> None:
    """Make `world/home` (a lake), `world/vocabulary`, `world/dataset` and `world/origin.db`.

    Args:
        world: A new folder.
        base_name: `t5` for T5's own pieces, `tiny` for 2,000 pieces of a SentencePiece model of the labels.
        posts: Posts of the sample world, where there are no shared releases.
    """
    from booru_pipeline.dataset.build import build_dataset
    from booru_pipeline.dataset.options import DatasetOptions
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.lake.record import Record
    from booru_pipeline.sample import generate
    from booru_pipeline.tag_table.export import export_sqlite
    from booru_pipeline.vocabulary.base_model import BaseModel
    from booru_pipeline.vocabulary.build import build_vocabulary
    from booru_pipeline.vocabulary.options import VocabularyOptions

    raw = SHARED / "data" / "releases"
    if not raw.is_dir():
        raw = world / "raw"
        generate(raw, posts=min(posts or 20_000, 20_000))
    base = BaseModel("t5", str(SHARED / "t5")) if base_name == "t5" else BaseModel("tiny", None)
    lake = Lake(world / "home")
    shards = make_shards(raw, lake)
    record = Record(stage="made for a benchmark", release="all", key="")
    known = build_vocabulary(shards, base, world / "vocabulary", lake.staging, VocabularyOptions(), record)
    build_dataset(shards, known, world / "dataset", lake.staging, DatasetOptions(), record)
    export_sqlite(lake, world / "origin.db")


@dataclass(frozen=True)
class World:
    """What `prepare` made, as far as a contender needs it.

    Attributes:
        vocabulary: Labels and their tokens.
        tokenizer: Of the vocabulary, with a token for each label.
        train: Posts to learn from.
        names: Booru and fid of each of them.
        held_out: Posts of the yardstick.
    """

    vocabulary: Any
    tokenizer: Any
    train: Any
    names: list[tuple[str, int]]
    held_out: Any

    @classmethod
    def load(cls, folder: Path, posts: int = 0, held_out: int = 300) -> "World":
        """Read it, with `posts` of the posts to learn from (0 = all) and `held_out` of the others."""
        import numpy as np
        from transformers import AutoTokenizer

        from booru_pipeline.dataset.posts import load_posts, open_splits
        from booru_pipeline.model.start import quiet_transformers
        from booru_pipeline.vocabulary.vocabulary import Vocabulary

        quiet_transformers()
        vocabulary = Vocabulary.load(folder / "vocabulary")
        rows = open_splits(folder / "dataset")["train"]
        train, others = load_posts(folder / "dataset", "train"), load_posts(folder / "dataset", "validation")
        some = np.arange(min(posts or len(train), len(train)))
        names = list(zip(rows["booru"], rows["fid"], strict=True))[: len(some)]
        return cls(
            vocabulary,
            AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder),
            train.take(some),
            names,
            others.take(np.arange(min(held_out, len(others)))),
        )


# --- What the contenders have in common ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """What a contender is to do.

    Attributes:
        contender: One of `CONTENDERS`.
        world: What `prepare` made.
        posts: Posts to learn from; 0 = all.
        seconds: Of training, after the warm-up.
        threads: Of torch.
        seed: Of weights, order and what is hidden.
        held_out: Posts of the yardstick.
        held_out_few: The first so many of them are those that a model of pieces, which takes seconds a post, ranks.
    """

    contender: str
    world: str
    posts: int
    seconds: float
    threads: int
    seed: int
    held_out: int
    held_out_few: int


class Meter:
    """Counts what goes into the model, and the time that it takes to put it together."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.posts = self.tokens = self.places = 0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time taken."""

        def run(*args: Any) -> Any:
            begin = time.perf_counter()
            result = function(*args)
            self.seconds += time.perf_counter() - begin
            return result

        return run

    def count(self, batch: Any) -> Any:
        """Count a batch's tokens and places, padding included; a `set` batch has one target place a post."""
        source = batch["input_ids"]
        target = batch["labels"] if "labels" in batch else source[:, :0]
        answers = 0 if "labels" in batch else len(source)
        self.posts += len(source)
        self.tokens += int(batch["attention_mask"].sum()) + int((target != -100).sum()) + answers
        self.places += source.numel() + target.numel() + answers
        return batch


class Metered:
    """A dataset whose rows and batches are timed by a meter."""

    def __init__(self, dataset: Any, meter: Meter, *, whole_batches: bool) -> None:
        self._dataset = dataset
        fetch = getattr(dataset, "__getitems__", lambda index: [dataset[row] for row in index])
        self._fetch = meter.timed(fetch)
        self._seen = meter.count if whole_batches else lambda rows: rows

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])

    def __getitems__(self, index: Sequence[int]) -> Any:
        return self._seen(self._fetch(list(index)))

    def set_epoch(self, epoch: int) -> None:
        """Hide other labels from now on, if the dataset is what hides them."""
        if hasattr(self._dataset, "set_epoch"):
            self._dataset.set_epoch(epoch)


def plan_for(seconds: float) -> Any:
    """The `tiny` preset's plan for so many seconds.

    It suits text too: after 120 steps the recipes' training loss is 3.24, with embeddings that learn no faster than the
    rest 4.07, and 3.22 if then all learn at 0.01.
    """
    from booru_pipeline.training.options import TINY_PLAN

    return replace(TINY_PLAN, time_limit_s=seconds, epochs=0)


def model_of(world: World, seed: int, *, start: str, text: bool) -> Any:
    """A model of the `tiny` preset's shape.

    Args:
        world: For its labels and posts.
        seed: Of the random weights.
        start: `own` begins label rows with what co-occurrence shows, as the preset does; `random` does not.
        text: Whether there are no rows for labels.
    """
    import torch

    from booru_pipeline.model.start import tiny_model
    from booru_pipeline.training.options import TINY_PLAN

    # Without their own start, few posts are enough for what is thrown away.
    posts = world.train if start == "own" else world.train.take(range(min(100, len(world.train))))
    model = tiny_model(world.tokenizer, world.vocabulary, posts, dropout=0.0, seed=seed, width=TINY_PLAN.width)
    if start == "own":
        return model
    config = model.config
    config.vocab_size = world.vocabulary.first_token_id if text else config.vocab_size
    torch.manual_seed(seed)
    return type(model)(config)


def yardstick(model: Any, world: World, encoding: Any, objective: Any, few: int) -> dict[str, list[float]]:
    """Loss and recall@10 by number of posts."""
    from booru_pipeline.model.ranking import ranker_for

    model.eval()
    ranker = ranker_for(model, world.vocabulary, encoding, objective)
    return _figures(world, ranker.log_probabilities, [few] if ranker.few else [few, len(world.held_out)])


def _figures(world: World, log_probabilities: Callable[[Any], Any], sizes: list[int]) -> dict[str, list[float]]:
    import numpy as np

    from booru_pipeline.dataset.hiding import Hiding

    posts = world.held_out.take(np.arange(min(max(sizes), len(world.held_out))))
    visible, hidden = Hiding(HELD_OUT_SEED, 0.5, 0.5).split(posts, 0)
    losses, recalls = [], []
    for post in range(len(posts)):
        scores = log_probabilities(visible.take([post]))[0]
        asked = hidden.take([post]).rows
        losses.append(-float(scores[asked].mean()))
        best = np.argpartition(-scores, 9)[:10]
        recalls.append(float(np.isin(best, asked).sum() / min(len(asked), 10)))
    return {
        str(size): [statistics.fmean(losses[:size]), statistics.fmean(recalls[:size])]
        for size in (min(size, len(posts)) for size in sizes)
    }


def popularity(task: Task) -> dict[str, list[float]]:
    """The yardstick of always guessing the most frequent labels."""
    import numpy as np

    world = World.load(Path(task.world), task.posts, task.held_out)
    frequency = np.bincount(world.train.rows, minlength=len(world.vocabulary)) + 0.5

    def log_probabilities(visible: Any) -> Any:
        scores = np.tile(np.log(frequency), (len(visible), 1))
        scores[visible.owner, visible.rows] = -np.inf
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    return _figures(world, log_probabilities, [task.held_out_few, len(world.held_out)])


# --- The contenders, each in a process of its own --------------------------------------------------------------------


def run_text(task: Task, world: World) -> dict[str, Any]:
    """(a) and (b): caption text, `Seq2SeqTrainer`."""
    import copy

    from booru_pipeline.model.objective import ObjectiveName
    from booru_pipeline.vocabulary.options import EncodingName

    rows = _text_rows(task, world)
    model = model_of(world, task.seed, start="random", text=True)
    _fit_text(copy.deepcopy(model), world, task, WARM_UP_S, *rows(Meter()))
    meter = Meter()
    steps, seconds = _fit_text(model, world, task, task.seconds, *rows(meter))
    trained = _outcome(meter, steps, seconds)
    return {
        **trained,
        "figures": yardstick(model, world, EncodingName.PIECES, ObjectiveName.SEQUENCE, task.held_out_few),
    }


def _text_rows(task: Task, world: World) -> Callable[[Meter], tuple[Any, Any]]:
    """What makes a dataset and a collator, timed and counted by a meter."""
    import datasets
    from transformers import DataCollatorForSeq2Seq

    from booru_pipeline.vocabulary.text import SEPARATOR, label_text

    tokenizer, chance = world.tokenizer, random.Random(task.seed)
    text_of = {label: label_text(label) for label in world.vocabulary.labels}

    def halves(texts: list[str]) -> tuple[str, str]:
        """The visible and the hidden half of a caption, each in random order."""
        chance.shuffle(texts)
        middle = len(texts) - len(texts) // 2
        return SEPARATOR.join(texts[:middle]), SEPARATOR.join(texts[middle:])

    def padded(rows: list[dict[str, str]]) -> dict[str, Any]:
        sources, targets = zip(*(halves(row["text"].split(SEPARATOR)) for row in rows), strict=True)
        settings: dict[str, Any] = {"max_length": PADDED_TO, "truncation": True, "return_tensors": "pt"}
        batch = dict(tokenizer(list(sources), padding="max_length", **settings))
        labels = tokenizer(text_target=list(targets), padding="max_length", **settings)["input_ids"]
        return {**batch, "labels": labels.masked_fill(labels == tokenizer.pad_token_id, -100)}

    class Queries:
        """A post is one query to the origin's database."""

        def __init__(self) -> None:
            self._database = sqlite3.connect(f"file:{Path(task.world) / 'origin.db'}?mode=ro", uri=True)

        def __len__(self) -> int:
            return len(world.names)

        def __getitem__(self, index: int) -> dict[str, Any]:
            found = self._database.execute("SELECT tag FROM tags WHERE booru = ? AND fid = ?", world.names[index])
            source, target = halves([text_of[tag] for (tag,) in found if tag in text_of])
            row = dict(tokenizer(source, max_length=PADDED_TO, truncation=True))
            return {**row, "labels": tokenizer(text_target=target, max_length=PADDED_TO, truncation=True)["input_ids"]}

    if task.contender == "hf":
        texts, ends = [text_of[world.vocabulary.labels[row]] for row in world.train.rows], world.train.offsets
        captions = [SEPARATOR.join(texts[begin:end]) for begin, end in itertools.pairwise(ends)]
        dataset: Any = datasets.Dataset.from_dict({"text": captions})
        collator: Callable[[Any], Any] = padded
    else:
        dataset, collator = Queries(), DataCollatorForSeq2Seq(tokenizer)
    return lambda meter: (
        Metered(dataset, meter, whole_batches=False),
        lambda rows: meter.count(meter.timed(collator)(rows)),
    )


def _fit_text(model: Any, world: World, task: Task, seconds: float, dataset: Any, collator: Any) -> tuple[int, float]:
    """Train for so long; gives steps and seconds."""
    from transformers import PrinterCallback, Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback

    from booru_pipeline.training.optimizers import optimizer_for, schedule_for

    class Clock(TrainerCallback):
        begin = taken = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.begin = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.taken = time.perf_counter() - self.begin
            control.should_training_stop = self.taken >= seconds

    plan, clock = plan_for(seconds), Clock()
    optimizer = optimizer_for(model, plan)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = Seq2SeqTrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=plan.batch_size,
            max_steps=2**31,
            max_grad_norm=1.0,
            seed=task.seed,
            use_cpu=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        schedule: Any = schedule_for(optimizer, plan, lambda: min(clock.taken / seconds, 1.0))
        trainer = Seq2SeqTrainer(
            model=model,
            args=arguments,
            train_dataset=dataset,
            data_collator=collator,
            optimizers=(optimizer, schedule),
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return int(trainer.state.global_step), clock.taken


def run_ours(task: Task, world: World) -> dict[str, Any]:
    """(c): the library's batches, objective and trainer."""
    import copy

    from booru_pipeline.model.objective import ObjectiveName
    from booru_pipeline.vocabulary.options import EncodingName

    encoding_name, objective_name, start = CONTENDERS[task.contender][1:]
    encoding, objective = EncodingName(encoding_name), ObjectiveName(objective_name)
    model = model_of(world, task.seed, start=start, text=False)
    _fit_ours(copy.deepcopy(model), world, task, WARM_UP_S, encoding, objective, Meter())
    meter = Meter()
    trained = _fit_ours(model, world, task, task.seconds, encoding, objective, meter)
    outcome = _outcome(meter, trained.steps, trained.seconds)
    return {**outcome, "figures": yardstick(model, world, encoding, objective, task.held_out_few)}


def _fit_ours(model: Any, world: World, task: Task, seconds: float, encoding: Any, objective: Any, meter: Meter) -> Any:
    import logging

    from booru_pipeline.training.interruption import Interruption
    from booru_pipeline.training.options import TrainingOptions
    from booru_pipeline.training.processes import Processes
    from booru_pipeline.training.sampler import LengthGroupedSampler
    from booru_pipeline.training.tracking import Wandb
    from booru_pipeline.training.trainer import train
    from booru_pipeline.training.watch import Surroundings

    log = logging.getLogger("benchmark")  # says nothing below a warning
    plan, options = plan_for(seconds), TrainingOptions(seed=task.seed)
    batches, module = ours(model, world.vocabulary, world.train, encoding, objective, task.seed)
    around = Surroundings(
        Processes(), log, Wandb(log, folder=None, project="", name="", config={}), None, Interruption()
    )
    sampler = LengthGroupedSampler(batches, plan.batch_size, task.seed)
    metered: Any = Metered(batches, meter, whole_batches=True)
    return train(module, metered, sampler, plan, options, around, None)


def ours(model: Any, vocabulary: Any, posts: Any, encoding: Any, objective: Any, seed: int) -> tuple[Any, Any]:
    """The batches of an objective over captions of an encoding, and the module that gives their loss."""
    from booru_pipeline.dataset.captions import CaptionChoice
    from booru_pipeline.dataset.collator import SequenceBatches, SetBatches
    from booru_pipeline.dataset.hiding import Hiding
    from booru_pipeline.dataset.masking import Kind, Masking
    from booru_pipeline.dataset.options import CaptionOptions, MaskingOptions
    from booru_pipeline.model.objective import ObjectiveName, SequenceObjective, SetObjective, answer_tokens

    special, masking = vocabulary.special_tokens, MaskingOptions()
    choice = CaptionChoice.of(vocabulary, CaptionOptions(encoding=encoding.value), seed)
    if objective is ObjectiveName.SET:
        sets = SetBatches(
            posts,
            Hiding(seed, masking.hidden_share_min, masking.hidden_share_max),
            first_token_id=vocabulary.first_token_id,
            eos_token_id=special.eos,
            pad_token_id=special.pad,
            choice=choice,
        )
        return sets, SetObjective(model, vocabulary.first_token_id, len(vocabulary))
    kind = Kind.SPAN_CORRUPTION if objective is ObjectiveName.SPAN else None
    answers = answer_tokens(encoding, vocabulary.first_token_id, len(vocabulary), special)
    return SequenceBatches(posts, Masking(choice, masking, special, seed), kind), SequenceObjective(model, answers)


def _outcome(meter: Meter, steps: int, seconds: float) -> dict[str, Any]:
    import resource

    posts = steps * plan_for(seconds).batch_size
    return {
        "seconds": seconds,
        "posts": posts,
        "tokens": meter.tokens * posts / meter.posts,  # a batch more may have been made than was learned from
        "padding": 1 - meter.tokens / meter.places,
        "batches": meter.seconds / seconds,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
    }


# Name, and for ours encoding, objective and start.
CONTENDERS: Final[dict[str, tuple[str, ...]]] = {
    "hf": ("(a) plain Hugging Face recipe: text padded to 128",),
    "sql": ("(b) the origin's data path: a query a post",),
    "labels-set": ("(c) labels, set", "labels", "set", "own"),
    "labels-set-random": ("(c) labels, set, random start", "labels", "set", "random"),
    "labels-sequence": ("(c) labels, sequence", "labels", "sequence", "own"),
    "labels-sequence-random": ("(c) labels, sequence, random start", "labels", "sequence", "random"),
    "labels-span": ("(c) labels, span", "labels", "span", "own"),
    "labels-span-random": ("(c) labels, span, random start", "labels", "span", "random"),
    "pieces-sequence": ("(c) pieces, sequence, random start", "pieces", "sequence", "random"),
    "pieces-span": ("(c) pieces, span, random start", "pieces", "span", "random"),
}
TEXT: Final = ("hf", "sql")


def run(task: Task) -> dict[str, Any]:
    """Train one contender and measure it."""
    import torch

    torch.set_num_threads(task.threads)
    if task.contender == "popularity":
        return {"figures": popularity(task)}
    world = World.load(Path(task.world), task.posts, task.held_out)
    return (run_text if task.contender in TEXT else run_ours)(task, world)


# --- Utilisation of a GPU --------------------------------------------------------------------------------------------

# Dense bf16 TFLOP/s by NVIDIA's data sheets; the first name that the device's contains.
PEAKS: Final = {
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "H200": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L40": 181.0,
    "L4": 121.0,
}

SHAPES: Final[dict[str, dict[str, Any]]] = {
    "t5-small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_decoder_layers": 6, "num_heads": 8},
    "t5-base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12},
    "toy": {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4},
}
FULL: Final = (512, 114)  # source and target tokens of nanoT5's span corruption
CELLS: Final = ("labels-set", "labels-sequence", "pieces-sequence", "full")


@dataclass(frozen=True)
class Load:
    """What a GPU is to be kept busy with.

    Attributes:
        world: What `prepare` made, with T5's pieces where they can be had.
        shape: One of `SHAPES`.
        cell: Encoding and objective, or `full`.
        batch: Posts of a step.
        workers: Processes that make batches; 0 = the training process itself does.
        seconds: Of measuring, after `warm_up` steps.
        warm_up: Steps before.
        compile: Whether through torch.compile.
        peak_tflops: Of the device; 0 = by its name.
        toy: Whether on the CPU.
    """

    world: str
    shape: str
    cell: str
    batch: int
    workers: int
    seconds: float
    warm_up: int
    compile: bool
    peak_tflops: float
    toy: bool


def step_flops(config: Any, n: Any, m: Any, *, rows: int) -> float:
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


class Stream:
    """Batches by (epoch, positions), so that workers live on from epoch to epoch, each with what was counted in it."""

    def __init__(self, batches: Any, count: Callable[[Any], list[float]]) -> None:
        self._batches = batches
        self._count = count

    def __getitem__(self, item: tuple[int, Any]) -> tuple[Any, list[float]]:
        epoch, positions = item
        self._batches.set_epoch(epoch)
        batch = self._batches.batch(positions)
        return batch, self._count(batch)


class FullBatches:
    """Random tokens in nanoT5's size."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return 1 << 20

    def set_epoch(self, epoch: int) -> None:
        """Nothing depends on it."""

    def batch(self, positions: Sequence[int]) -> dict[str, Any]:
        """Posts without any padding."""
        import torch

        source = torch.randint(2, self._rows, (len(positions), FULL[0]))
        target = torch.randint(2, self._rows, (len(positions), FULL[1]))
        return {"input_ids": source, "attention_mask": torch.ones_like(source), "labels": target}


class EndlessBatches:
    """Positions of a step's posts with their epoch, epoch after epoch."""

    def __init__(self, batches: Any, size: int) -> None:
        self._batches = batches
        self._size = size

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        from booru_pipeline.training.sampler import LengthGroupedSampler

        for epoch in itertools.count():
            if isinstance(self._batches, FullBatches):
                yield epoch, range(self._size)
                continue
            self._batches.set_epoch(epoch)
            order = list(LengthGroupedSampler(self._batches, self._size, 0))
            for start in range(0, len(order) // self._size * self._size, self._size):
                yield epoch, order[start : start + self._size]


def utilise(load: Load) -> dict[str, Any]:
    """Train for a while and count FLOPs."""
    import torch
    from torch.utils.data import DataLoader
    from transformers import T5Config, T5ForConditionalGeneration

    from booru_pipeline.model.objective import ObjectiveName, SequenceObjective
    from booru_pipeline.training.optimizers import optimizer_for
    from booru_pipeline.training.options import PRETRAINED_PLAN
    from booru_pipeline.vocabulary.options import EncodingName

    device = torch.device("cpu" if load.toy else "cuda")
    world = World.load(Path(load.world))
    rows = max(len(world.tokenizer), 32_128)
    torch.manual_seed(0)
    config = T5Config(vocab_size=rows, dropout_rate=PRETRAINED_PLAN.dropout, **SHAPES[load.shape])
    config.decoder_start_token_id = config.pad_token_id
    model = T5ForConditionalGeneration._from_config(config, attn_implementation="sdpa").to(device)
    if load.cell == "full":
        batches: Any = FullBatches(rows)
        objective: Any = SequenceObjective(model, range(rows))
        softmax_rows = rows
    else:
        encoding, name = load.cell.split("-")
        batches, objective = ours(
            model, world.vocabulary, world.train, EncodingName(encoding), ObjectiveName(name), seed=0
        )
        softmax_rows = len(world.vocabulary) if name == "set" else objective.answers

    def count(batch: Any) -> list[float]:
        """Posts, tokens, and FLOPs without and with padding."""
        n = batch["attention_mask"].sum(1).double()
        m = (batch["labels"] != -100).sum(1).double() if "labels" in batch else torch.ones_like(n)
        widest = torch.full_like(n, batch["input_ids"].shape[1]), torch.full_like(m, float(m.max()))
        flops = [step_flops(config, *sizes, rows=softmax_rows) for sizes in ((n, m), widest)]
        return [len(n), float(n.sum() + m.sum()), *flops]

    checked = _formula_over_torch(model, objective, count, batches.batch([0]), device)
    if not 0.99 < checked < 1.01:
        raise SystemExit(f"the formula gives {checked:.3f} times the FLOPs that torch counts for {load}")
    optimizer = optimizer_for(objective, PRETRAINED_PLAN)
    if load.compile:
        objective.compile(dynamic=True)
    prefetch: dict[str, Any] = {"prefetch_factor": 8} if load.workers else {}
    loader: Any = DataLoader(
        Stream(batches, count),  # type: ignore[arg-type]
        sampler=EndlessBatches(batches, load.batch),
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=load.workers,
        pin_memory=not load.toy,
        **prefetch,
    )
    try:
        measured = _drive(objective, optimizer, iter(loader), load, device)
    except torch.cuda.OutOfMemoryError:
        return {"problem": "out of memory"}
    peak = load.peak_tflops or peak_of(device)
    seconds, (posts, tokens, flops, padded) = measured["seconds"], measured["counted"]
    return {
        "device": "CPU" if load.toy else torch.cuda.get_device_name(device),
        "peak": peak,
        "weights": sum(weight.numel() for weight in model.parameters()),
        "checked": checked,
        "posts": posts / seconds,
        "tokens": tokens / seconds,
        "tokens_a_post": tokens / posts,
        "tflops": flops / seconds / 1e12,
        "mfu": flops / seconds / 1e12 / peak if peak else None,
        "with_padding": padded / seconds / 1e12 / peak if peak else None,
        "device_waits": measured["device_waits"],
        "host_waits": measured["host_waits"],
        "step_ms": seconds / measured["steps"] * 1e3,
        "memory": 0 if load.toy else torch.cuda.max_memory_allocated(device),
    }


def _as_it_is(item: Any) -> Any:
    return item


def _formula_over_torch(model: Any, objective: Any, count: Any, batch: Any, device: Any) -> float:
    """The formula's FLOPs of one post over those that torch counts while they are done, attention in the open."""
    from torch.utils.flop_counter import FlopCounterMode

    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        objective(**{name: part.to(device) for name, part in batch.items()})["loss"].backward()
    model.set_attn_implementation("sdpa")
    model.zero_grad(set_to_none=True)
    return float(count(batch)[2] / counter.get_total_flops())


def _drive(objective: Any, optimizer: Any, loader: Iterator[Any], load: Load, device: Any) -> dict[str, Any]:
    """Steps until the time is up.

    The device waits for data from the end of a step's last kernel to the moment that it is told to begin with the next
    batch, as its own clock has it: a host that is ahead of the device makes it 0.
    """
    import torch

    def now() -> Any:
        if load.toy:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(first: Any, second: Any) -> float:
        return float(second - first) if load.toy else float(first.elapsed_time(second)) / 1e3

    def step() -> tuple[Any, Any, list[float], float]:
        asked = time.perf_counter()
        batch, counted = next(loader)
        blocked = time.perf_counter() - asked
        begun = now()
        moved = {name: part.to(device, non_blocking=True) for name, part in batch.items()}
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = objective(**moved)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return begun, now(), counted, blocked

    objective.train()
    for _ in range(load.warm_up):
        step()
    if not load.toy:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    first = now()
    steps = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < load.seconds:
        steps.append(step())
        if not load.toy and len(steps) > 2:
            steps[-3][1].synchronize()  # no further ahead than this, or the time would be up long before the work
    if not load.toy:
        torch.cuda.synchronize()
    seconds = between(first, steps[-1][1])
    ends = [first, *(end for _, end, _, _ in steps)]
    waits = sum(between(end, begun) for end, (begun, *_) in zip(ends, steps, strict=False))
    return {
        "seconds": seconds,
        "steps": len(steps),
        "counted": [sum(column) for column in zip(*(counted for *_, counted, _ in steps), strict=True)],
        "device_waits": waits / seconds,
        "host_waits": sum(blocked for *_, blocked in steps) / seconds,
    }


def peak_of(device: Any) -> float:
    """Dense bf16 TFLOP/s of a device, 0 if it is not known."""
    import torch

    name = "" if device.type == "cpu" else torch.cuda.get_device_name(device)
    return next((peak for known, peak in PEAKS.items() if known in name), 0.0)


# --- Measuring -------------------------------------------------------------------------------------------------------


def measure(kind: str, what: Task | Load, environment: dict[str, str]) -> dict[str, Any]:
    """Do it in a fresh process."""
    with tempfile.TemporaryDirectory() as workspace:
        outcome = Path(workspace) / _OUTCOME
        command = [sys.executable, str(HERE), "--child", kind, json.dumps(asdict(what)), str(outcome)]
        done = subprocess.run(command, env={**os.environ, **environment}, check=False)
        if done.returncode:
            raise SystemExit(f"{what} failed with exit status {done.returncode}")
        return dict(json.loads(outcome.read_text()))


def child(kind: str, content: str, outcome: str) -> None:
    """What such a process does."""
    values = json.loads(content)
    if kind == "prepare":
        prepare(Path(outcome), values["base"], values["posts"])
        return
    result = run(Task(**values)) if kind == "train" else utilise(Load(**values))
    Path(outcome).write_text(json.dumps(result))


def make_world(folder: Path, base: str, posts: int) -> Path:
    """Call `prepare` in a process of its own."""
    folder.mkdir()
    content = json.dumps({"base": base, "posts": posts})
    subprocess.run([sys.executable, str(HERE), "--child", "prepare", content, str(folder)], check=True)
    return folder


def compare(world: Path, arguments: argparse.Namespace) -> None:
    """The contenders in turn."""
    # A GPU is not for this part, and the tokenizer's threads are as many as torch's.
    threads = str(arguments.threads)
    environment = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}
    chosen = arguments.only or list(CONTENDERS)
    outcomes: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    common = (str(world), arguments.posts, arguments.seconds, arguments.threads)
    sizes = (arguments.held_out, arguments.held_out_few)
    for seed in range(arguments.runs):
        for contender, done in outcomes.items():
            done.append(measure("train", Task(contender, *common, seed, *sizes), environment))
            rate = done[-1]["posts"] / done[-1]["seconds"]
            print(f"run {seed + 1}, {contender}: {rate:,.0f} posts/s, {done[-1]['figures']}", file=sys.stderr)
    rates = {name: statistics.median(run["posts"] / run["seconds"] for run in done) for name, done in outcomes.items()}

    print(
        "| | posts a second, median | all | (a) times | (b) times | tokens a second | padding | making batches "
        "| peak memory, MiB |\n|---|--:|---|--:|--:|--:|--:|--:|--:|"
    )
    for name, done in outcomes.items():
        every = " ".join(f"{run['posts'] / run['seconds']:,.0f}" for run in done)
        ratios = " | ".join(f"{rates[name] / rates[peer]:.1f}" if peer in rates else "" for peer in TEXT)
        tokens = statistics.median(run["tokens"] / run["seconds"] for run in done)
        padding, batches = (statistics.median(run[what] for run in done) for what in ("padding", "batches"))
        peak = max(run["peak"] for run in done) / MIB
        print(
            f"| {CONTENDERS[name][0]} | {rates[name]:,.0f} | {every} | {ratios} | {tokens:,.0f} | {padding:.0%} "
            f"| {batches:.0%} | {peak:,.0f} |"
        )

    baseline = measure("train", Task("popularity", *common, 0, *sizes), environment)
    few, many = map(str, sorted({min(map(int, baseline["figures"])), max(map(int, baseline["figures"]))}))
    print(f"\nAfter {arguments.seconds:g} s each, medians; lower loss is better, higher recall@10 is.\n")
    print(f"| | loss, {few} posts | all | recall@10, {few} posts | loss, {many} posts | recall@10, {many} posts |")
    print("|---|--:|---|--:|--:|--:|")
    print(_quality("popularity, untrained", [baseline], few, many))
    for name, done in outcomes.items():
        print(_quality(CONTENDERS[name][0], done, few, many))

    print("\n| goal | measured | |\n|---|--:|---|")
    for name in (name for name in chosen if name not in TEXT):
        for peer in (peer for peer in TEXT if peer in rates):
            ratio = rates[name] / rates[peer]
            lower = all(
                ours["figures"][few][0] < theirs["figures"][few][0]
                for ours, theirs in zip(outcomes[name], outcomes[peer], strict=True)
            )
            print(
                f"| {CONTENDERS[name][0]} against ({'ab'[TEXT.index(peer)]}): at least 8 times the posts a second, and "
                f"below in loss | {ratio:.1f} times, {'below' if lower else 'not below'} in "
                f"{'every run' if lower else 'some run'} | {'met' if ratio >= 8 and lower else 'missed'} |"
            )


def _quality(name: str, runs: list[dict[str, Any]], few: str, many: str) -> str:
    def median(size: str, which: int) -> str:
        values = [run["figures"][size][which] for run in runs if size in run["figures"]]
        return f"{statistics.median(values):.3f}" if values else ""

    every = " ".join(f"{run['figures'][few][0]:.2f}" for run in runs)
    return f"| {name} | {median(few, 0)} | {every} | {median(few, 1)} | {median(many, 0)} | {median(many, 1)} |"


def report_gpu(folder: Path, arguments: argparse.Namespace) -> None:
    """Utilisation by shape, captions and batch."""
    has_t5 = (SHARED / "t5").is_dir()
    world = make_world(folder, "t5" if has_t5 else "tiny", arguments.posts)
    if not has_t5:
        print("T5's pieces are not there: captions of pieces are cut by a model of 2,000 pieces, and are longer.\n")
    toy = arguments.toy
    shapes = ["toy"] if toy else arguments.shapes
    sizes = [16] if toy else arguments.batch
    print(
        "| shape | captions | batch | workers | tokens a post | posts a second | tokens a second | TFLOP/s | MFU "
        "| with padding | step, ms | device waits for data | host waits for data | memory, GiB |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    found: list[tuple[Load, dict[str, Any]]] = []
    for shape in shapes:
        for cell in arguments.cells:
            for size in sizes if cell != "full" else [4 if toy else 128]:
                for workers in arguments.workers:
                    seconds, warm_up = (2.0, 2) if toy else (arguments.gpu_seconds, 30 if arguments.compile else 10)
                    load = Load(
                        str(world), shape, cell, size, workers, seconds, warm_up, arguments.compile,
                        arguments.peak_tflops, toy,
                    )  # fmt: skip
                    outcome = measure("utilise", load, {})
                    found.append((load, outcome))
                    print(_gpu_row(load, outcome), flush=True)
    good = [(load, outcome) for load, outcome in found if "problem" not in outcome]
    if not good:
        return
    first = good[0][1]
    known = f"{first['peak']:,g} TFLOP/s" if first["peak"] else "not known: give it with --peak-tflops"
    checked = statistics.fmean(outcome["checked"] for _, outcome in good)
    print(f"\n{first['device']}, dense bf16 peak {known}; the formula gives {checked:.4f} times what torch counts.")
    print("\n| goal, with captions | best | |\n|---|--:|---|")
    for shape in shapes:
        of_shape = [outcome for load, outcome in good if load.shape == shape and load.cell != "full"]
        if not of_shape:
            continue
        best = max(of_shape, key=lambda outcome: float(outcome["tflops"]))
        mfu, waits = best["mfu"] or 0.0, best["device_waits"]
        judged = not toy and mfu > 0
        print(
            f"| {shape}: MFU of 40 % (nanoT5 has 34 % on an A100) | {mfu:.1%} "
            f"| {('met' if mfu >= 0.4 else 'missed') if judged else ''} |"
        )
        print(
            f"| {shape}, in that row: the device waits for data less than 2 % | {waits:.2%} "
            f"| {('met' if waits < 0.02 else 'missed') if judged else ''} |"
        )


def _gpu_row(load: Load, outcome: dict[str, Any]) -> str:
    about = f"| {load.shape} | {load.cell} | {load.batch:,} | {load.workers} "
    if "problem" in outcome:
        return f"{about}| {outcome['problem']} | | | | | | | | | |"
    mfu, with_padding = ("" if outcome[what] is None else f"{outcome[what]:.1%}" for what in ("mfu", "with_padding"))
    return (
        f"{about}| {outcome['tokens_a_post']:.1f} | {outcome['posts']:,.0f} | {outcome['tokens']:,.0f} "
        f"| {outcome['tflops']:,.3g} | {mfu} | {with_padding} | {outcome['step_ms']:.1f} "
        f"| {outcome['device_waits']:.2%} | {outcome['host_waits']:.1%} | {outcome['memory'] / 2**30:.1f} |"
    )


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="seconds of training of each contender (default 60)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender, with other seeds (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--posts", type=int, default=0, help="posts to learn from (default 0: all)")
    parser.add_argument("--base", choices=["tiny", "t5"], default="tiny", help="whose pieces: 2,000 or T5's 32,000")
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), help="some contenders (default: all)")
    parser.add_argument("--held-out", type=int, default=300, help="posts of the yardstick (default 300)")
    parser.add_argument("--held-out-few", type=int, default=40, help="the same for models of pieces (default 40)")
    parser.add_argument("--gpu", action="store_true", help="only the utilisation of a GPU")
    parser.add_argument("--toy", action="store_true", help="with --gpu: a toy shape on the CPU, to try the program")
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=["t5-small", "t5-base"])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS), help="captions and objectives")
    parser.add_argument("--batch", nargs="+", type=int, default=[256, 1024], help="posts of a step on a GPU")
    workers = [min(4, os.cpu_count() or 1)]
    parser.add_argument("--workers", nargs="+", type=int, default=workers, help="processes that make batches for a GPU")
    parser.add_argument("--gpu-seconds", type=float, default=15, help="seconds of each measurement on a GPU")
    parser.add_argument("--compile", action="store_true", help="torch.compile on a GPU")
    parser.add_argument("--peak-tflops", type=float, default=0, help="dense bf16 peak of a GPU that is not known")
    arguments = parser.parse_args()
    if arguments.base == "t5" and not (SHARED / "t5").is_dir():
        raise SystemExit(f"--base t5 needs T5's tokenizer files in {SHARED / 't5'}. Leave it out, or put them there.")

    import torch

    has_gpu = torch.cuda.is_available()
    if arguments.gpu and not has_gpu and not arguments.toy:
        raise SystemExit("--gpu needs a GPU, and torch sees none. Add --toy to try the program on the CPU.")
    busy = os.getloadavg()[0]
    source = (
        "the shared releases" if (SHARED / "data" / "releases").is_dir() else "the sample world: no shared releases"
    )
    print(f"{datetime.date.today()}, {source}. {_machine()}, {busy:.1f} other processes running.\n")
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.gpu:
            world = make_world(Path(folder) / "world", arguments.base, arguments.posts)
            compare(world, arguments)
            print()
        if has_gpu or arguments.toy:
            report_gpu(Path(folder) / "gpu", arguments)
        else:
            print("No GPU here, so its row stays empty:\n")
            print("| shape | MFU | device waits for data |\n|---|--:|--:|\n| t5-small | | |\n| t5-base | | |")


def _machine() -> str:
    import importlib.metadata

    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    versions = [
        f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers", "tokenizers", "datasets")
    ]
    return ", ".join([f"{os.cpu_count()} cores", f"{memory:.0f} GiB", f"Python {platform.python_version()}", *versions])


if __name__ == "__main__":
    main()
