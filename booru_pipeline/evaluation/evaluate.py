"""Evaluate a checkpoint on held-out posts, and write what was found: numbers, a page to read, every prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from booru_pipeline.dataset.posts import load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation import results as names
from booru_pipeline.evaluation.audit.measure import AuditFindings, measure_audit
from booru_pipeline.evaluation.baselines.counting import Baseline
from booru_pipeline.evaluation.baselines.fit import describe, fit_baselines
from booru_pipeline.evaluation.comparison.compare import Comparison, compare
from booru_pipeline.evaluation.comparison.leakage import find_leaks
from booru_pipeline.evaluation.comparison.rivals import load_rival
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.probes.counts import Exam, Split
from booru_pipeline.evaluation.probes.probe import ProbeFindings, probe
from booru_pipeline.evaluation.recovery import Asked, Recovery
from booru_pipeline.evaluation.report.added import find_added
from booru_pipeline.evaluation.report.examples import pick_examples
from booru_pipeline.evaluation.report.findings import Ceiling, Findings, Generation, Method, Shortlist, Sizes
from booru_pipeline.evaluation.report.predictions import write_predictions
from booru_pipeline.evaluation.report.render import render
from booru_pipeline.evaluation.results import MODEL, T5_ALONE, ShareResult
from booru_pipeline.evaluation.scorer import Scorer
from booru_pipeline.evaluation.task import Hidden, RecoveryTask, hide, recovery_task, tuning_pairs
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.provenance import EarlierCheckpoint, has_learned, read_loss_curve
from booru_pipeline.model.shortlist import ShortlistScorer
from booru_pipeline.model.t5_alone import T5Alone
from booru_pipeline.progress import step
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import implied_matrix
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_MODEL_IN_WORDS: Final = "The checkpoint's answer: what its T5 says of each label."
_MIXED_IN_WORDS: Final = "The checkpoint's answer: what its T5 and what counting say of each label, weighed together."
_T5_IN_WORDS: Final = "The checkpoint's T5 by itself, without what counting knows."


def evaluate(
    checkpoint: Path,
    dataset: Path,
    vocabulary: Path,
    output: Path,
    options: EvaluationOptions,
    *,
    release: str,
    relations: Relations,
    parent: EarlierCheckpoint | None = None,
    promoted: EarlierCheckpoint | None = None,
) -> Findings:
    """Measure a checkpoint on the test split, beside every baseline.

    Args:
        checkpoint: The model's folder.
        dataset: The tokenized dataset's folder; the baselines are fitted on its train split, and their settings chosen
            on its validation split.
        vocabulary: The vocabulary's folder.
        output: A folder to make: metrics.json, report.html and predictions.parquet go there.
        options: Size of the task and of the report.
        release: The release's key, for the report.
        relations: Implications, which tell the labels that are derivable.
        parent: The checkpoint before this one, to compare with; None if there is none.
        promoted: The promoted checkpoint of an earlier release; it may be the parent.

    Raises:
        BooruError: An artifact is missing or does not fit the others, the test split has nothing to measure, or the
            checkpoint's scores are not numbers.
    """
    steps = _Steps(checkpoint, dataset, vocabulary, options, relations)
    task = steps.draw_task()
    hidden = steps.hide(task)
    tuned_on, baselines = steps.fit_baselines()
    described = describe(baselines)
    edlae = baselines[hidden[0].share][names.EDLAE]
    shares, answers = steps.measure(baselines, task, hidden)
    with step("asking what single labels say of others"):
        probes = steps.probe(baselines[hidden[-1].share])
    with step("looking for what was hidden and planted"):
        audit = steps.audit(task, edlae)
    baselines.clear()  # they are large
    headline = options.hidden_shares.index(options.headline_share)
    findings = Findings(
        release=release,
        relations_missing=relations.missing(),
        leaks=find_leaks(dataset),
        headline_share=options.headline_share,
        options=options,
        sizes=steps.sizes(task, tuned_on),
        methods=[Method(name=name, description=words) for name, words in {**steps.in_words, **described}.items()],
        shares=shares,
        comparison=steps.compare(parent, promoted, task, shares, answers) if parent is not None else None,
        probes=probes,
        audit=audit,
        shortlist=steps.shortlist(),
        generation=steps.generate(hidden[headline]),
        added=find_added(task, answers[headline], steps.labels),
        examples=pick_examples(task, answers[headline], steps.labels, count=options.examples),
        loss=read_loss_curve(checkpoint),
        has_learned=has_learned(checkpoint),
    )
    output.mkdir(parents=True, exist_ok=True)
    findings.write(output)
    (output / "report.html").write_text(render(findings), encoding="utf-8")
    write_predictions(output / "predictions.parquet", task, list(zip(hidden, answers, strict=True)), steps.labels)
    return findings


class _Steps:
    """The steps of an evaluation, in order, and what several of them need: the posts, their labels, the model."""

    def __init__(
        self, checkpoint: Path, dataset: Path, vocabulary: Path, options: EvaluationOptions, relations: Relations
    ) -> None:
        self.dataset, self.options, self.relations = dataset, options, relations
        self.vocabulary = Vocabulary.load(vocabulary)
        self.labels = self.vocabulary.labels
        with step("reading the posts"):
            train = load_posts(dataset, "train", labels=len(self.labels))
            self.train_matrix = train.matrix(len(self.labels))
            self.train_matrix.sort_indices()
            del train
            self.validation, self.test = (
                load_posts(dataset, split, labels=len(self.labels), about=True) for split in ("validation", "test")
            )
        self.predictor = Predictor.load(checkpoint)
        if list(self.predictor.vocabulary.labels) != list(self.labels):
            raise BooruError(
                f"the checkpoint {checkpoint} was trained with another vocabulary than {vocabulary}. "
                "Train again with `booru run`."
            )
        self.implied = implied_matrix(self.vocabulary, relations)
        self._ceilings: list[Ceiling] = []

    @property
    def limit(self) -> int:
        """Test posts at most."""
        options = self.options
        return min(options.test_posts, options.test_posts_slow) if self.predictor.is_slow else options.test_posts

    def draw_task(self) -> RecoveryTask:
        task = recovery_task(self.test, self.labels, limit=self.limit, seed=self.options.seed)
        if not len(task):
            raise self._nothing(f"{len(self.test)} posts and none with two labels")
        return task

    def hide(self, task: RecoveryTask) -> list[Hidden]:
        """The task at each hidden share."""
        hidden = [hide(task, share, self.implied) for share in self.options.hidden_shares]
        if not any(len(part.not_derivable()) for part in hidden):
            raise self._nothing(f"{len(task)} posts and hides no label that the others do not imply")
        return hidden

    def _nothing(self, what: str) -> BooruError:
        return BooruError(
            f"the test split of {self.dataset} has {what}, so nothing can be measured. "
            "Add a larger release, or lower the vocabulary's thresholds, and run again."
        )

    def fit_baselines(self) -> tuple[RecoveryTask, dict[float, dict[str, Baseline]]]:
        """The validation posts that settings were chosen on, and the baselines by hidden share."""
        options = self.options
        tuned_on = recovery_task(self.validation, self.labels, limit=options.validation_posts, seed=options.seed)
        pairs = tuning_pairs(tuned_on, options.hidden_shares, self.implied)
        return tuned_on, fit_baselines(self.train_matrix, pairs, self.implied, label_cap=options.label_cap)

    def sizes(self, task: RecoveryTask, tuned_on: RecoveryTask) -> Sizes:
        return Sizes(
            labels=len(self.labels),
            train_posts=self.train_matrix.shape[0],
            validation_posts=len(tuned_on),
            test_posts=len(task),
            test_posts_available=task.available,
            test_posts_too_short=task.too_short,
            pictures=len(set(task.posts.column("group_md5"))),
            is_slow=self.predictor.is_slow,
        )

    @property
    def in_words(self) -> dict[str, str]:
        """The model, and T5 alone where the model's answer is not its own."""
        return {MODEL: _MIXED_IN_WORDS, T5_ALONE: _T5_IN_WORDS} if self.predictor.mixes else {MODEL: _MODEL_IN_WORDS}

    def methods(self, baselines: Mapping[str, Baseline]) -> dict[str, Scorer]:
        """All methods at a hidden share. Where the options say so, model and T5 rank only what its EASE proposes."""
        asked: dict[str, Predictor | T5Alone] = {MODEL: self.predictor}
        if self.predictor.mixes:
            asked[T5_ALONE] = self.predictor.t5
        size = self.options.shortlist
        ours: dict[str, Scorer] = {
            name: ShortlistScorer(one, baselines[names.EASE], size) if size else one for name, one in asked.items()
        }
        return {**ours, **baselines}

    def shortlist(self) -> Shortlist | None:
        """What the model could not exceed where it ranked only what EASE proposed; None where it ranked all."""
        size = self.options.shortlist
        return Shortlist(size=size, proposer=names.EASE, ceiling=self._ceilings) if size else None

    def _ceiling(self, ease: Baseline, part: Hidden) -> None:
        size, question = self.options.shortlist, part.not_derivable()
        if size and len(question):
            given, asked = ([rows.tolist() for rows in side] for side in (question.given, question.asked))
            found = ShortlistScorer(self.predictor, ease, size).ceiling(given, asked)
            self._ceilings.append(Ceiling(hidden_share=part.share, ceiling=found))

    def measure(
        self, baselines: dict[float, dict[str, Baseline]], task: RecoveryTask, hidden: Sequence[Hidden]
    ) -> tuple[list[ShareResult], list[Asked]]:
        """For each hidden share the figures, and the answers to the headline's question.

        Of the baselines, which are large, those of the last share alone are left.
        """
        train_posts = np.asarray(self.train_matrix.sum(axis=0)).ravel()
        shares, answers = [], []
        for part in hidden:
            methods = self.methods(baselines[part.share])
            recovery = Recovery(
                methods,
                self.predictor,
                task,
                self.vocabulary.categories,
                train_posts,
                self.options,
                t5=self.predictor.t5 if T5_ALONE in methods else None,
            )
            share, answer = recovery.measure(part)
            shares.append(share)
            answers.append(answer)
            self._ceiling(baselines[part.share][names.EASE], part)
            if part is not hidden[-1]:
                del baselines[part.share], methods, recovery
        return shares, answers

    def compare(
        self,
        parent: EarlierCheckpoint,
        promoted: EarlierCheckpoint | None,
        task: RecoveryTask,
        shares: Sequence[ShareResult],
        answers: Sequence[Asked],
    ) -> Comparison:
        asked = {
            share.hidden_share: answer for share, answer in zip(shares, answers, strict=True) if share.not_derivable
        }
        return compare(
            load_rival(parent, self.test, self.labels),
            load_rival(promoted, self.test, self.labels) if promoted is not None and promoted != parent else None,
            task=task,
            answers=asked,
            best={share.hidden_share: share.not_derivable.best_baseline for share in shares if share.not_derivable},
            splits=(load_posts(self.dataset, "train", about=True), self.validation, self.test),
            labels=self.labels,
            options=self.options,
        )

    def probe(self, baselines: Mapping[str, Baseline]) -> ProbeFindings:
        """Probes give one label: the baselines are those of the largest share, whose questions are the most like it."""
        methods = self.methods(baselines)
        model, options, train = self.predictor, self.options, Split(self.train_matrix)
        posts = self.test.matrix(len(self.labels))
        posts.sort_indices()
        test = Split(posts, self.test.keys)
        t5 = model.t5 if model.mixes else None
        return probe(
            Exam(methods, model, self.vocabulary, train, test, self.relations, options, t5=t5, questions=self.limit)
        )

    def audit(self, task: RecoveryTask, edlae: Baseline) -> AuditFindings | None:
        """Look for labels hidden from and planted on the task's posts; None for a checkpoint that ranks slowly."""
        if self.predictor.is_slow:
            return None
        validation = self.validation.take(np.arange(min(len(self.validation), self.options.validation_posts)))
        parts = (self.predictor, task.posts, validation, self.train_matrix, self.implied, self.vocabulary)
        return measure_audit(*parts, edlae, self.relations, self.options)

    def generate(self, hidden: Hidden) -> Generation | None:
        """Let a checkpoint that generates speak freely, and count what is no valid label."""
        freely = hidden.visible[: self.options.generation_posts]
        rate = self.predictor.invalid_rate([given.tolist() for given in freely])
        return Generation(**asdict(rate), rate=rate.rate) if rate else None
