"""The experiment: what is made for the arms, one arm after another, and the report.

An arm that is finished is kept under a key of all that it was made from; a run that was ended goes on with the others.
"""

import hashlib
import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch

from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.dataset.posts import load_posts
from booru_pipeline.dataset.sides import SIDES
from booru_pipeline.errors import BooruError
from booru_pipeline.hashing import fingerprint, sha256_of
from booru_pipeline.hydration.arms import Arm, Words, permuted_base, random_base, write_words
from booru_pipeline.hydration.concepts import load_concepts
from booru_pipeline.hydration.findings import Cell, Findings, Sizes, conclude
from booru_pipeline.hydration.measure import Measures, measure
from booru_pipeline.hydration.options import PROBLEM_FILE, HydrationOptions
from booru_pipeline.hydration.report import render
from booru_pipeline.hydration.splits import Questions, choose_held_out, pose, ranking_posts, write_subset
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record, read_record
from booru_pipeline.model.provenance import LOG_FILE, PROVENANCE_FILE
from booru_pipeline.ragged import IntArray
from booru_pipeline.training.finetune import idle_cores
from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.options import TrainingOptions
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.base_files import bring_base
from booru_pipeline.vocabulary.base_model import TINY, BaseModel, resolve_base_model
from booru_pipeline.vocabulary.vocabulary import Vocabulary

NAME: Final = "hydration"
FINDINGS_FILE: Final = "hydration.json"
REPORT_FILE: Final = "hydration.html"

_CODE_VERSION: Final = "1"  # raise it when an arm's measures would come out otherwise from the same inputs
# What does not change an arm: which arms there are, how they are summed up, and how fast they are trained.
_NOT_OF_AN_ARM: Final = {"base_model", "shares", "seeds", "bootstrap_samples", "threads", "keep_checkpoints"}
_BASE_FILES: Final = ("config.json", "*.safetensors", "tokenizer.json", "spiece.model")
_SAME_IN_TRAINING: Final = {"epochs", "time_limit_s", "learning_rate", "warmup_steps", "threads"}  # as options

Train = Callable[[Path], None]  # given the file of a job


@dataclass(frozen=True)
class Experiment:
    """One release's experiment.

    Attributes:
        release: The release's key.
        dataset: Its tokenized dataset.
        vocabulary: Its vocabulary.
        folder: Where results go: `arms/`, `hydration.json`, `hydration.html`.
        staging: Where arms and the report are written first; a store gets the report only.
        options: The same for all arms.
        relations: What Danbooru derives.
    """

    release: str
    dataset: Path
    vocabulary: Path
    folder: Path
    staging: Staging
    options: HydrationOptions
    relations: Relations

    @classmethod
    def of(cls, lake: Lake, release: str, options: HydrationOptions, relations: Relations) -> "Experiment":
        """The experiment on a release of a lake."""
        dataset, vocabulary = lake.bring(lake.tokenized_dataset(release)), lake.bring(lake.vocabulary(release))
        return cls(release, dataset, vocabulary, lake.experiment(NAME, release), lake.staging, options, relations)

    @cached_property
    def base(self) -> BaseModel:
        """The pre-trained model.

        Raises:
            BooruError: There is none of that name, or it is not pre-trained.
        """
        base = resolve_base_model(self.options.base_model)
        if base.source is None:
            raise BooruError(
                f"the preset {TINY} has no pre-trained weights, so there is no knowledge to look for. Give a "
                "pre-trained T5 with --base-model (base_model in the launchpad): t5-small, a folder made by "
                "save_pretrained, or a hub name."
            )
        return base

    @property
    def cells(self) -> list[Cell]:
        """All trainings, the cheapest first."""
        cells = itertools.product(self.options.shares, range(self.options.seeds), Arm)
        return [Cell(arm, share, seed) for share, seed, arm in cells]

    def prepare(self) -> list[Cell]:
        """Check what can be checked before hours of training, and make the labels' texts; gives all trainings.

        Raises:
            BooruError: The base model, the dataset or the options do not allow the experiment.
        """
        for stale in self._work.parent.glob("*"):
            if stale != self._work:
                shutil.rmtree(stale, ignore_errors=True)
        _ = self._questions  # raises if the base model cannot be had, or there is nothing to ask
        for share in self.options.shares:
            self._subset(share)
        return self.cells

    def is_finished(self, cell: Cell) -> bool:
        """Whether a training need not be made again."""
        record = read_record(self.arm(cell))
        return record is not None and record.key == self._key(cell)

    def run(self, cell: Cell, train: Train) -> Measures:
        """Train and measure one arm, unless that is done.

        Raises:
            BooruError: It could not be trained or measured.
        """
        final = self.arm(cell)
        if self.is_finished(cell):
            return Measures.read(final)
        words, subset, source = self._words(cell.arm), self._subset(cell.share), self._start(cell)
        with staged(final, self.staging.here()) as draft:
            checkpoint = (draft if self.options.keep_checkpoints else draft.parent) / "checkpoint"
            job = TrainingJob(
                dataset=subset,
                vocabulary=words.training.folder,
                output=checkpoint,
                base_name=f"{self.base.name} ({cell.arm})",
                base_source=source,
                options=self._training(cell, len(load_posts(subset, "train"))),
                provenance={"release": self.release, "experiment": NAME, "arm": cell.arm, "share": cell.share},
                problem=draft.parent / PROBLEM_FILE,
            )
            train(job.write(draft.parent / "job.json"))
            torch.set_num_threads(self.options.threads or idle_cores())
            measures = measure(checkpoint, source, words, self._questions, load_concepts())
            draft.mkdir(exist_ok=True)
            measures.write(draft)
            for name in (PROVENANCE_FILE, LOG_FILE):
                shutil.copyfile(checkpoint / name, draft / name)
            options = {**self.options.model_dump(mode="json"), **vars(cell)}
            key = self._key(cell)
            Record(stage=NAME, release=self.release, key=key, inputs=self._inputs, options=options).write(draft)
        return measures

    def conclude(self) -> Findings:
        """Compare the arms and write the report; what was made for the arms is removed.

        Raises:
            BooruError: An arm is missing.
        """
        missing = [cell.name for cell in self.cells if not self.is_finished(cell)]
        if missing:
            raise BooruError(
                f"these arms are not finished: {', '.join(missing)}. Run `booru experiment {NAME}` again: it makes "
                "these and no other."
            )
        measured = {cell: Measures.read(self.arm(cell)) for cell in self.cells}
        sizes, groups = self._sizes(measured[self.cells[0]]), self._questions.groups
        found = conclude(self.release, self.base.name, self.options, sizes, groups, measured)
        content = found.model_dump_json(indent=2) + "\n"
        for path, text in ((self.folder / FINDINGS_FILE, content), (self.report, render(found))):
            with staged(path, self.staging) as draft:
                draft.write_text(text, encoding="utf-8")
        shutil.rmtree(self._work.parent, ignore_errors=True)
        return found

    def _sizes(self, measures: Measures) -> Sizes:
        questions, words, concepts = self._questions, self._words(Arm.PRETRAINED), load_concepts()
        return Sizes(
            learned=words.learned,
            held_out=len(words.held_out),
            test_posts=len(questions.recovery),
            groups=len(set(questions.groups)),
            held_out_posts=len(questions.whole),
            concept_labels=len(concepts.known(words.training.index)),
            concept_list=len(concepts.holds),
            concepts={name: (found.positives, found.controls) for name, found in measures.concepts_after.items()},
        )

    def arm(self, cell: Cell) -> Path:
        """Where an arm's measures are."""
        return self.folder / "arms" / cell.name

    @property
    def report(self) -> Path:
        """Where the report is."""
        return self.folder / REPORT_FILE

    def _key(self, cell: Cell) -> str:
        return fingerprint(self._common, cell.arm, cell.share, cell.seed)

    @cached_property
    def _common(self) -> str:
        """A hash of what all arms are made from alike."""
        options = self.options.model_dump(mode="json", exclude=_NOT_OF_AN_ARM)
        return fingerprint(_CODE_VERSION, self._inputs, options)

    @cached_property
    def _inputs(self) -> dict[str, str]:
        concepts = load_concepts()
        return {
            "dataset": _content_of(self.dataset, self._labels),
            "base_model": _content_of_base(str(self.base.source)),
            "implications": self.relations.implications_fingerprint,
            "concepts": fingerprint(concepts.words, concepts.holds),
        }

    @property
    def _work(self) -> Path:
        return self.folder / "work" / self._common

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        """A folder of what the arms need; made if it is not there, whole or not at all."""
        path = self._work / name
        if not path.is_dir():
            with staged(path, self.staging.here()) as draft:
                make(draft)
        return path

    @cached_property
    def _labels(self) -> Vocabulary:
        return Vocabulary.load(self.vocabulary)

    @cached_property
    def _source(self) -> tuple[IntArray, int]:
        """Rows of the release's vocabulary, learned labels first, and how many these are."""
        held_out = choose_held_out(
            self._labels,
            ranking_posts(load_posts(self.dataset, "test"), self.options.test_posts),
            share=self.options.held_out_share,
            min_positives=self.options.min_positives,
            keep=set(load_concepts().holds),
            seed=self.options.seed,
        )
        learned = np.setdiff1d(np.arange(len(self._labels)), held_out)
        return np.concatenate([learned, held_out]), len(learned)

    def _words(self, arm: Arm) -> Words:
        name, seed = ("opaque", self.options.seed) if arm is Arm.OPAQUE else ("text", None)
        given = (self._labels, *self._source, load_concepts().words, self.base)
        return Words(self._made(f"vocabulary/{name}", lambda folder: write_words(*given, folder, seed)), *self._source)

    def _subset(self, share: float) -> Path:
        captions = CaptionOptions(encoding=self.options.encoding)
        given = (self.dataset, self._words(Arm.PRETRAINED), captions, share)  # opaque words have the same rows
        return self._made(f"datasets/{share:g}", lambda folder: write_subset(*given, folder, self.options.seed))

    def _start(self, cell: Cell) -> str:
        """The arm's base model: the pre-trained one, or a folder with other weights."""
        source, seed = str(self.base.source), self.options.seed + cell.seed
        name = f"starts/{cell.arm}_{seed}"
        if cell.arm is Arm.RANDOM:
            return str(self._made(name, lambda folder: random_base(source, folder, seed)))
        if cell.arm is Arm.PERMUTED:
            pieces = itertools.chain.from_iterable(self._words(cell.arm).everything.piece_ids)
            return str(self._made(name, lambda folder: permuted_base(source, folder, pieces, seed)))
        return source

    @cached_property
    def _questions(self) -> Questions:
        words = self._words(Arm.PRETRAINED)
        return pose(self.dataset, words, self.relations, limit=self.options.test_posts, seed=self.options.seed)

    def _training(self, cell: Cell, posts: int) -> TrainingOptions:
        return TrainingOptions(
            **self.options.model_dump(include=_SAME_IN_TRAINING),
            # The figures compare log-probabilities of words that were no labels in training, which have no bias.
            objective="set" if self.options.encoding == "labels" else "sequence",
            single_visible_share=0.0,
            max_steps=self.options.steps,
            batch_size=min(self.options.batch_size, posts),
            seed=self.options.seed + cell.seed,
            processes=1,
            evaluations=1,
            states_kept=0,
            wandb_project="",
        )


def _content_of(dataset: Path, vocabulary: Vocabulary) -> str:
    """A hash of the posts and labels themselves, so that it does not matter when or from what they were made."""
    hashed = hashlib.sha256("\n".join(vocabulary.labels).encode())
    for split in SIDES:
        posts = load_posts(dataset, split)
        for array in (posts.rows, posts.offsets, posts.keys):
            hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:16]


def _content_of_base(source: str) -> str:
    """A hash of a model folder, or a hub name with the revision that is on this machine."""
    folder = Path(source)
    if not folder.is_dir():
        return fingerprint(source, bring_base(source).name)  # the revision
    paths = sorted(path for pattern in _BASE_FILES for path in folder.glob(pattern))
    return hashlib.sha256("".join(f"{path.name}\t{sha256_of(path)}\n" for path in paths).encode()).hexdigest()[:16]
