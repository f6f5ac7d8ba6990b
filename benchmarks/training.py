"""Training side by side for the same time: the plain Hugging Face recipe and ours; and baselines of the evaluation.

    python -m benchmarks.training                                               # 60 s each, 3 rounds: half an hour
    python -m benchmarks.training --seconds 5 --rounds 1 --only hf labels-set   # a quick look

What is the same for all: the posts, the labels, the text of a label and its pieces, the shape of the model (that of the
`tiny` preset), the batch of 64, the preset's optimizer and learning rates, which fall to 0 with the time, the seconds
of training after a warm-up, the threads. What differs is the way from posts to batches, the objective, and that where
labels have no rows (in text and in pieces) there is no start from co-occurrence.

`hf` has rows of caption text in a `datasets.Dataset`; the collator hides half of the labels of each and calls the fast
tokenizer on the batch, padded to 128; `Seq2SeqTrainer`. The others have the library's batches, objectives and `train`,
as the payload calls them.

The yardstick is one for all: half of the labels of the same validation posts are hidden; the loss is minus the log of
the probability of a hidden label to be the first answer, over all labels that are not visible, in nats, mean over a
post's hidden labels, then over posts. Of a model that writes pieces it is exact (`booru_pipeline.model.ranking`), and
takes seconds a post.
"""

import copy
import itertools
import random
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import base_model, make_shards, raw_releases, record
from benchmarks.frame import Benchmark, Contender, Outcome, clock
from booru_pipeline.evaluation.results import EASE, POPULARITY

WARM_UP_S: Final = 3.0
PADDED_TO: Final = 128  # of the plain recipe
HELD_OUT_SEED: Final = 20210101  # no training hides by it


def prepare(world: Path, options: Namespace) -> None:
    """Make `vocabulary` and `dataset`, in pieces of T5 if that is asked for."""
    from booru_pipeline.dataset.build import build_dataset
    from booru_pipeline.dataset.options import DatasetOptions
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.vocabulary.base_model import BaseModel
    from booru_pipeline.vocabulary.build import build_vocabulary
    from booru_pipeline.vocabulary.options import VocabularyOptions

    lake = Lake(world / "home")
    shards = make_shards(raw_releases(world / "raw", options.posts or 20_000), lake)
    base = base_model() if options.base == "t5" else BaseModel("tiny", None)
    made = record(max(shards))
    known = build_vocabulary(shards, base, world / "vocabulary", lake.staging, VocabularyOptions(), made)
    build_dataset(shards, known, world / "dataset", lake.staging, DatasetOptions(), made)


@dataclass(frozen=True)
class Posts:
    """Posts to learn from and to be measured on: those that `prepare` made, as many as the options ask for."""

    world: Path
    options: Namespace

    @property
    def seed(self) -> int:
        """Of weights, order and what is hidden: another one each round."""
        return int(self.options.round)

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
        return self._some("train", self.options.posts)

    @cached_property
    def held_out(self) -> Any:
        return self._some("validation", self.options.held_out)

    def _some(self, split: str, posts: int) -> Any:
        from booru_pipeline.dataset.posts import load_posts

        every = load_posts(self.world / "dataset", split)
        return every.take(range(min(posts or len(every), len(every))))


def plan_for(seconds: float) -> Any:
    """The `tiny` preset's plan for so many seconds.

    It suits text too: after 120 steps the plain recipe's training loss is 3.24, with embeddings that learn no faster
    than the rest 4.07, and 3.22 if then all learn at 0.01.
    """
    from booru_pipeline.training.options import TINY_PLAN

    return replace(TINY_PLAN, time_limit_s=seconds, epochs=0)


def model_of(posts: Posts, *, random_start: bool, label_rows: bool) -> Any:
    """A model of the `tiny` preset's shape: with its start from co-occurrence, or a random one."""
    import torch

    from booru_pipeline.model.start import tiny_model
    from booru_pipeline.training.options import TINY_PLAN

    few = range(min(100, len(posts.train)))  # are enough for a start that is thrown away
    some = posts.train.take(few) if random_start else posts.train
    model = tiny_model(posts.tokenizer, posts.vocabulary, some, dropout=0.0, seed=posts.seed, width=TINY_PLAN.width)
    if not random_start:
        return model
    if not label_rows:
        model.config.vocab_size = posts.vocabulary.first_token_id
    torch.manual_seed(posts.seed)
    return type(model)(model.config)


def yardstick(posts: Posts, log_probabilities: Callable[[Any], Any]) -> dict[str, float]:
    """Loss and recall@10 on the held-out posts, scored one by one."""
    import numpy as np

    from booru_pipeline.dataset.hiding import Hiding

    visible, hidden = Hiding(HELD_OUT_SEED, 0.5, 0.5).split(posts.held_out, 0)
    losses, recalls = [], []
    for post in range(len(posts.held_out)):
        scores, asked = log_probabilities(visible.take([post]))[0], hidden.take([post]).rows
        losses.append(-float(scores[asked].mean()))
        best = np.argpartition(-scores, 9)[:10]
        recalls.append(float(np.isin(best, asked).sum() / min(len(asked), 10)))
    return {"loss": statistics.fmean(losses), "recall@10": statistics.fmean(recalls)}


def trained(
    encoding_name: str,
    objective_name: str,
    fit: Callable[[Posts, Any, float], tuple[int, float]],
    world: Path,
    workspace: Path,
    options: Namespace,
) -> Outcome:
    """Train a model, twice: for a moment to warm up, then in earnest; and measure it."""
    import torch

    from booru_pipeline.model.objective import ObjectiveName
    from booru_pipeline.model.ranking import ranker_for
    from booru_pipeline.model.start import quiet_transformers
    from booru_pipeline.vocabulary.options import EncodingName

    quiet_transformers()
    torch.set_num_threads(options.threads)
    posts = Posts(world, options)
    encoding, objective = EncodingName(encoding_name), ObjectiveName(objective_name)
    model = model_of(posts, random_start=encoding is EncodingName.PIECES, label_rows=fit is not fit_text)
    fit(posts, copy.deepcopy(model), WARM_UP_S)
    steps, seconds = fit(posts, model, options.seconds)
    ranker = ranker_for(model.eval(), posts.vocabulary, encoding, objective)
    return Outcome(seconds, steps * plan_for(seconds).batch_size, yardstick(posts, ranker.log_probabilities))


def fit_text(posts: Posts, model: Any, seconds: float) -> tuple[int, float]:
    """The plain recipe; gives steps and seconds."""
    import datasets
    from transformers import PrinterCallback, Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback

    from booru_pipeline.training.optimizers import optimizer_for, schedule_for
    from booru_pipeline.vocabulary.text import SEPARATOR, label_text

    class Clock(TrainerCallback):
        begin = taken = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.begin = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.taken = time.perf_counter() - self.begin
            control.should_training_stop = self.taken >= seconds

    tokenizer, chance = posts.tokenizer, random.Random(posts.seed)
    texts = [label_text(posts.vocabulary.labels[row]) for row in posts.train.rows]
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

    plan, clock = plan_for(seconds), Clock()
    optimizer = optimizer_for(model, plan)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = Seq2SeqTrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=plan.batch_size,
            max_steps=2**31,
            max_grad_norm=1.0,
            seed=posts.seed,
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
            train_dataset=datasets.Dataset.from_dict({"text": captions}),
            data_collator=padded,
            optimizers=(optimizer, schedule),
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return int(trainer.state.global_step), clock.taken


def fit_ours(encoding: str, objective: str, posts: Posts, model: Any, seconds: float) -> tuple[int, float]:
    """The library's batches, objective and trainer; gives steps and seconds."""
    import logging

    from booru_pipeline.training.interruption import Interruption
    from booru_pipeline.training.options import TrainingOptions
    from booru_pipeline.training.processes import Processes
    from booru_pipeline.training.sampler import LengthGroupedSampler
    from booru_pipeline.training.tracking import Wandb
    from booru_pipeline.training.trainer import train
    from booru_pipeline.training.watch import Surroundings

    log = logging.getLogger("benchmark")  # says nothing below a warning
    plan = plan_for(seconds)
    wandb = Wandb(log, folder=None, project="", name="", config={})
    batches, module = batches_of(model, posts, encoding, objective)
    around = Surroundings(Processes(), log, wandb, None, Interruption())
    sampler = LengthGroupedSampler(batches, plan.batch_size, posts.seed)
    done = train(module, batches, sampler, plan, TrainingOptions(seed=posts.seed), around, None)
    return done.steps, done.seconds


def batches_of(model: Any, posts: Posts, encoding_name: str, objective: str) -> tuple[Any, Any]:
    """The batches of an objective over captions of an encoding, and the module that gives their loss."""
    from booru_pipeline.dataset.captions import CaptionChoice
    from booru_pipeline.dataset.collator import SequenceBatches, SetBatches
    from booru_pipeline.dataset.hiding import Hiding
    from booru_pipeline.dataset.masking import Kind, Masking
    from booru_pipeline.dataset.options import CaptionOptions, MaskingOptions
    from booru_pipeline.model.objective import SequenceObjective, SetObjective, answer_tokens
    from booru_pipeline.vocabulary.options import EncodingName

    vocabulary, encoding, masking = posts.vocabulary, EncodingName(encoding_name), MaskingOptions()
    special, first = vocabulary.special_tokens, vocabulary.first_token_id
    choice = CaptionChoice.of(vocabulary, CaptionOptions(encoding=encoding.value), posts.seed)
    if objective == "set":
        hiding = Hiding(posts.seed, masking.hidden_share_min, masking.hidden_share_max)
        tokens = {"first_token_id": first, "eos_token_id": special.eos, "pad_token_id": special.pad}
        return SetBatches(posts.train, hiding, **tokens, choice=choice), SetObjective(model, first, len(vocabulary))
    kind = Kind.SPAN_CORRUPTION if objective == "span" else None
    answers = answer_tokens(encoding, first, len(vocabulary), special)
    masked = Masking(choice, masking, special, posts.seed)
    return SequenceBatches(posts.train, masked, kind), SequenceObjective(model, answers)


def baseline(name: str, world: Path, workspace: Path, options: Namespace) -> Outcome:
    """A baseline of the evaluation with the settings that it begins with: it has no loss."""
    import numpy as np
    from scipy import sparse

    from booru_pipeline.evaluation.baselines.fit import fit_baselines

    posts = Posts(world, options)
    labels, train = len(posts.vocabulary), posts.train
    seen = (np.ones(len(train.rows), dtype=np.float32), train.rows, train.offsets)
    with clock() as outcome:
        given = sparse.csr_array(seen, shape=(len(train), labels)), [], sparse.csr_array((labels, labels))
        fitted = fit_baselines(*given, only=[name])[name]
    outcome.count = len(train)
    outcome.figures["recall@10"] = yardstick(posts, lambda visible: fitted.scores([visible.rows.tolist()]))["recall@10"]
    return outcome


def _ours(title: str, encoding: str, objective: str) -> Contender:
    return Contender(title, partial(trained, encoding, objective, partial(fit_ours, encoding, objective)))


BENCHMARK: Final = Benchmark(
    about=__doc__,
    unit="posts",
    prepare=prepare,
    contenders={
        "hf": Contender(
            "plain Hugging Face recipe: text padded to 128", partial(trained, "pieces", "sequence", fit_text)
        ),
        "labels-set": _ours("ours: labels, set", "labels", "set"),
        "labels-sequence": _ours("ours: labels, sequence", "labels", "sequence"),
        "pieces-sequence": _ours("ours: pieces, sequence, random start", "pieces", "sequence"),
        "popularity": Contender("popularity", partial(baseline, POPULARITY), rounds=1),
        "ease": Contender("EASE, one setting", partial(baseline, EASE), rounds=1),
    },
    options={
        "--seconds": {"type": float, "default": 60, "help": "of training of each contender (default %(default)s)"},
        "--threads": {"type": int, "default": 2, "help": "of the CPU (default %(default)s)"},
        "--posts": {"type": int, "default": 0, "help": "to learn from (default 0: all)"},
        "--held-out": {"type": int, "default": 40, "help": "posts of the yardstick (default %(default)s)"},
        "--base": {"choices": ["tiny", "t5"], "default": "tiny", "help": "whose pieces: 2,000 or T5's 32,000"},
    },
    packages=("torch", "transformers", "tokenizers", "datasets"),
)

if __name__ == "__main__":
    BENCHMARK.main()
