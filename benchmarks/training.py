"""Training side by side for the same time: the plain Hugging Face recipe and ours; and baselines of the evaluation.

    python -m benchmarks.training                                               # 60 s each, 3 rounds: half an hour
    python -m benchmarks.training --seconds 5 --rounds 1 --only hf labels-set   # a quick look

What is the same for all: the posts, the labels, the text of a label and its pieces, the shape of the model (that of the
`tiny` preset), the batch of 64, the preset's optimizer and learning rates, which fall to 0 with the time, the seconds
of training, the threads. What differs is the way from posts to batches, the objective, and the start: the plain recipe
has no rows for labels, and so none that begin with what co-occurrence shows. Its rates suit it: after 120 steps its
training loss was 3.24, with embeddings that learn no faster than the rest 4.07, and 3.22 if then all learn at 0.01.

`hf` has rows of caption text in a `datasets.Dataset`; the collator hides half of the labels of each and calls the fast
tokenizer on the batch, padded to 128; `Seq2SeqTrainer`. The others are the training program that the payload runs,
over labels: over pieces it ranks so slowly that its own last figures take longer than its training here.

The yardstick is one for all: half of the labels of the same validation posts are hidden; the loss is minus the log of
the probability of a hidden label to be the first answer, over all labels that are not visible, in nats, mean over a
post's hidden labels, then over posts. The plain recipe's model writes pieces, and takes seconds a post to rank.
"""

import itertools
import json
import random
import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import base_model, make_shards, raw_releases, record
from benchmarks.frame import Benchmark, Contender, Outcome, clock
from booru_pipeline.evaluation.results import EASE, POPULARITY

PADDED_TO: Final = 128  # of the plain recipe
HELD_OUT_SEED: Final = 20210101  # no training hides by it


def prepare(world: Path, options: Namespace) -> None:
    """Make `vocabulary`, in pieces of T5 if that is asked for, and `dataset`."""
    from booru_pipeline.dataset.build import build_dataset
    from booru_pipeline.dataset.options import DatasetOptions
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.vocabulary.base_model import BaseModel
    from booru_pipeline.vocabulary.build import build_vocabulary
    from booru_pipeline.vocabulary.options import VocabularyOptions

    lake = Lake(world / "home")
    shards = make_shards(raw_releases(world / "raw", 20_000), lake)
    base = base_model() if options.base == "t5" else BaseModel("tiny", None)
    made = record(max(shards))
    known = build_vocabulary(shards, base, world / "vocabulary", lake.staging, VocabularyOptions(), made)
    build_dataset(shards, known, world / "dataset", lake.staging, DatasetOptions(), made)


@dataclass(frozen=True)
class Posts:
    """The posts to learn from and those to be measured on, of what `prepare` made."""

    world: Path
    options: Namespace

    @cached_property
    def vocabulary(self) -> Any:
        from booru_pipeline.vocabulary.vocabulary import Vocabulary

        return Vocabulary.load(self.world / "vocabulary")

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.vocabulary.tokenizer_folder)

    @cached_property
    def train(self) -> Any:
        from booru_pipeline.dataset.posts import load_posts

        return load_posts(self.world / "dataset", "train")

    @cached_property
    def held_out(self) -> Any:
        from booru_pipeline.dataset.posts import load_posts

        every = load_posts(self.world / "dataset", "validation")
        return every.take(range(min(self.options.held_out, len(every))))


def yardstick(posts: Posts, scores_of: Callable[[list[list[int]]], Any]) -> dict[str, float]:
    """Loss and recall@10 on the held-out posts, scored one by one."""
    import numpy as np

    from booru_pipeline.dataset.hiding import Hiding

    visible, hidden = Hiding(HELD_OUT_SEED, 0.5, 0.5).split(posts.held_out, 0)
    losses, recalls = [], []
    for post in range(len(posts.held_out)):
        asked = hidden.take([post]).rows
        scores = scores_of([visible.take([post]).rows.tolist()])[0]
        losses.append(-float(scores[asked].mean()))
        best = np.argpartition(-scores, 9)[:10]
        recalls.append(float(np.isin(best, asked).sum() / min(len(asked), 10)))
    return {"loss": statistics.fmean(losses), "recall@10": statistics.fmean(recalls)}


def ours(objective: str, world: Path, workspace: Path, options: Namespace) -> Outcome:
    """The training program, as the payload runs it."""
    from booru_pipeline.model.predictor import Predictor
    from booru_pipeline.training.finetune import finetune
    from booru_pipeline.training.interruption import Interruption
    from booru_pipeline.training.job import TrainingJob
    from booru_pipeline.training.options import TrainingOptions

    posts = Posts(world, options)
    job = TrainingJob(
        dataset=world / "dataset",
        vocabulary=world / "vocabulary",
        output=workspace / "checkpoint",
        base_name="tiny",
        options=TrainingOptions(
            objective=objective,
            time_limit_s=options.seconds,
            epochs=0,
            threads=options.threads,
            seed=options.round,
            evaluations=1,
            states_kept=0,
            wandb_project="",
        ),
    )
    if finetune(job.write(workspace / "job.json"), Interruption()):
        raise SystemExit("the training failed")
    training = json.loads((job.output / "provenance.json").read_text())["training"]
    figures = yardstick(posts, Predictor.load(job.output).scores)
    return Outcome(training["seconds"], training["steps"] * training["posts_per_step"], figures)


def recipe(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """The plain recipe: caption text, and a model without rows for labels, since text needs none."""
    import datasets
    import torch
    from transformers import (
        PrinterCallback,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
        T5ForConditionalGeneration,
        TrainerCallback,
    )

    from booru_pipeline.model.calibration import Calibration
    from booru_pipeline.model.objective_name import ObjectiveName
    from booru_pipeline.model.ranking.torch_rankers import ranker_for
    from booru_pipeline.model.start import quiet_transformers, tiny_model
    from booru_pipeline.model.t5_alone import T5Alone
    from booru_pipeline.training.optimizers import optimizer_for, schedule_for
    from booru_pipeline.training.options import TINY_PLAN
    from booru_pipeline.vocabulary.options import EncodingName
    from booru_pipeline.vocabulary.text import SEPARATOR, label_text

    class Clock(TrainerCallback):
        begin = taken = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.begin = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.taken = time.perf_counter() - self.begin
            control.should_training_stop = self.taken >= options.seconds

    quiet_transformers()
    torch.set_num_threads(options.threads)
    posts, chance, clock = Posts(world, options), random.Random(options.round), Clock()
    vocabulary, tokenizer = posts.vocabulary, posts.tokenizer
    texts = [label_text(vocabulary.labels[row]) for row in posts.train.rows]
    captions = [SEPARATOR.join(texts[begin:end]) for begin, end in itertools.pairwise(posts.train.offsets)]

    def halves(caption: str) -> tuple[str, str]:
        """The visible and the hidden half, each in random order."""
        labels = caption.split(SEPARATOR)
        chance.shuffle(labels)
        middle = len(labels) - len(labels) // 2
        return SEPARATOR.join(labels[:middle]), SEPARATOR.join(labels[middle:])

    def padded(rows: list[dict[str, str]]) -> dict[str, Any]:
        sources, targets = zip(*(halves(row["text"]) for row in rows), strict=True)
        settings = {"padding": "max_length", "max_length": PADDED_TO, "truncation": True, "return_tensors": "pt"}
        batch = dict(tokenizer(list(sources), **settings))
        labels = tokenizer(text_target=list(targets), **settings)["input_ids"]
        return {**batch, "labels": labels.masked_fill(labels == tokenizer.pad_token_id, -100)}

    some = posts.train.take(range(min(100, len(posts.train))))  # for a start that is thrown away
    shape = tiny_model(tokenizer, vocabulary, some, dropout=0.0, seed=options.round, width=TINY_PLAN.width).config
    shape.vocab_size = vocabulary.first_token_id
    model = T5ForConditionalGeneration(shape)
    optimizer = optimizer_for(model, TINY_PLAN)
    schedule: Any = schedule_for(optimizer, TINY_PLAN, lambda: min(clock.taken / options.seconds, 1.0))
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(workspace),
        per_device_train_batch_size=TINY_PLAN.batch_size,
        max_steps=2**31,
        max_grad_norm=1.0,
        seed=options.round,
        use_cpu=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=datasets.Dataset.from_dict({"text": captions}),
        data_collator=padded,
        optimizers=(optimizer, schedule),
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    ranker = ranker_for(model.eval(), vocabulary, EncodingName.PIECES, ObjectiveName.SEQUENCE)
    figures = yardstick(posts, T5Alone(ranker, len(vocabulary), Calibration()).scores)
    return Outcome(clock.taken, trainer.state.global_step * TINY_PLAN.batch_size, figures)


def baseline(name: str, world: Path, workspace: Path, options: Namespace) -> Outcome:
    """A baseline of the evaluation with the settings that it begins with: it has no loss."""
    import numpy as np
    from scipy import sparse

    from booru_pipeline.evaluation.baselines.fit import fit_baselines

    posts = Posts(world, options)
    labels, train = len(posts.vocabulary), posts.train
    seen = (np.ones(len(train.rows), dtype=np.float32), train.rows, train.offsets)
    with clock() as outcome:
        incidence = sparse.csr_array(seen, shape=(len(train), labels))
        nothing = sparse.csr_array((labels, labels))
        fitted = fit_baselines(incidence, {0.5: []}, nothing, only=[name])[0.5][name]
    outcome.count = len(train)
    outcome.figures["recall@10"] = yardstick(posts, fitted.scores)["recall@10"]
    return outcome


BENCHMARK: Final = Benchmark(
    about=__doc__,
    unit="posts",
    prepare=prepare,
    contenders={
        "hf": Contender("plain Hugging Face recipe", recipe),
        "labels-set": Contender("ours: labels, set", partial(ours, "set")),
        "labels-sequence": Contender("ours: labels, sequence", partial(ours, "sequence")),
        "popularity": Contender("popularity", partial(baseline, POPULARITY), rounds=1),
        "ease": Contender("EASE, one setting", partial(baseline, EASE), rounds=1),
    },
    options={
        "--seconds": {"type": float, "default": 60, "help": "of training of each contender (default %(default)s)"},
        "--threads": {"type": int, "default": 2, "help": "of the CPU (default %(default)s)"},
        "--held-out": {"type": int, "default": 40, "help": "posts of the yardstick (default %(default)s)"},
        "--base": {"choices": ["tiny", "t5"], "default": "tiny", "help": "whose pieces: 2,000 or T5's 32,000"},
    },
    packages=("torch", "transformers", "tokenizers", "datasets"),
)

if __name__ == "__main__":
    BENCHMARK.main()
