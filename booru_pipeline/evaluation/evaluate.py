"""Evaluate a checkpoint on held-out posts, and write what was found: numbers, a page to read, every prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from scipy import sparse

from booru_pipeline.dataset.posts import Posts, incidence, load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation import results as names
from booru_pipeline.evaluation.baselines.counting import Baseline
from booru_pipeline.evaluation.baselines.fit import fit_baselines
from booru_pipeline.evaluation.comparison.compare import Comparison, compare
from booru_pipeline.evaluation.comparison.leakage import find_leaks
from booru_pipeline.evaluation.comparison.rivals import load_rival
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.probes.counts import Exam, Split
from booru_pipeline.evaluation.probes.probe import ProbeFindings, probe
from booru_pipeline.evaluation.recovery import Asked, Recovery
from booru_pipeline.evaluation.report.examples import pick_examples
from booru_pipeline.evaluation.report.findings import Ceiling, Findings, Generation, Method, Shortlist, Sizes
from booru_pipeline.evaluation.report.predictions import write_predictions
from booru_pipeline.evaluation.report.render import render
from booru_pipeline.evaluation.results import MODEL, ShareResult
from booru_pipeline.evaluation.scorer import Scorer
from booru_pipeline.evaluation.task import Hidden, RecoveryTask, hide, implied_matrix, recovery_task, tuning_pairs
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.provenance import Former, read_loss_curve
from booru_pipeline.model.shortlist import ShortlistScorer
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_MODEL_IN_WORDS: Final = "The checkpoint: log-probability of each label as the first answer."


def evaluate(
    checkpoint: Path,
    dataset: Path,
    vocabulary: Path,
    output: Path,
    options: EvaluationOptions,
    *,
    release: str,
    relations: Relations,
    parent: Former | None = None,
    promoted: Former | None = None,
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
    data = _Data.load(dataset, vocabulary, relations)
    predictor = _load_model(checkpoint, vocabulary, data)
    task = _draw_task(data, options, is_slow=predictor.is_slow)
    hidden = _hide(data, task, options)
    tuned_on = recovery_task(data.validation, data.labels, limit=options.validation_posts, seed=options.seed)
    baselines = _fit_baselines(data, tuned_on, options)
    model, shortlist = _shortlisted(predictor, baselines, hidden, options)
    methods: dict[str, Scorer] = {MODEL: model, **baselines}
    shares, answers = _measure(data, methods, predictor, task, hidden, options)
    headline = options.hidden_shares.index(options.headline_share)
    findings = Findings(
        release=release,
        leaks=find_leaks(dataset),
        headline_share=options.headline_share,
        options=options,
        sizes=Sizes(
            labels=len(data.labels),
            train_posts=len(data.train),
            validation_posts=len(tuned_on),
            test_posts=len(task),
            test_posts_available=task.available,
            test_posts_too_short=task.too_short,
            pictures=len(set(task.posts.column("group_md5"))),
            is_slow=predictor.is_slow,
        ),
        methods=[
            Method(name=MODEL, description=_MODEL_IN_WORDS),
            *(Method(name=name, description=baseline.described) for name, baseline in baselines.items()),
        ],
        shares=shares,
        comparison=_compare(data, parent, promoted, task, shares, answers, options),
        probes=_probe(data, methods, predictor, options),
        shortlist=shortlist,
        generation=_generate(predictor, hidden[headline], options),
        examples=pick_examples(task, answers[headline], data.labels, count=options.examples),
        loss=read_loss_curve(checkpoint),
    )
    output.mkdir(parents=True, exist_ok=True)
    findings.write(output)
    (output / "report.html").write_text(render(findings), encoding="utf-8")
    write_predictions(output / "predictions.parquet", task, list(zip(hidden, answers, strict=True)), data.labels)
    return findings


@dataclass(frozen=True)
class _Data:
    """The posts, their labels, and what these imply."""

    folder: Path
    vocabulary: Vocabulary
    relations: Relations
    implied: sparse.csr_array
    train: Posts
    validation: Posts
    test: Posts
    train_matrix: sparse.csr_array

    @classmethod
    def load(cls, dataset: Path, vocabulary: Path, relations: Relations) -> "_Data":
        known = Vocabulary.load(vocabulary)
        train, validation, test = (
            load_posts(dataset, split, labels=len(known), about=True) for split in ("train", "validation", "test")
        )
        implied = implied_matrix(known, relations)
        return cls(dataset, known, relations, implied, train, validation, test, incidence(train.labels, len(known)))

    @property
    def labels(self) -> list[str]:
        return self.vocabulary.labels


def _load_model(checkpoint: Path, vocabulary: Path, data: _Data) -> Predictor:
    predictor = Predictor.load(checkpoint)
    if list(predictor.vocabulary.labels) != list(data.labels):
        raise BooruError(
            f"the checkpoint {checkpoint} was trained with another vocabulary than {vocabulary}. "
            "Train again with `booru run`."
        )
    return predictor


def _draw_task(data: _Data, options: EvaluationOptions, *, is_slow: bool) -> RecoveryTask:
    limit = min(options.test_posts, options.test_posts_slow) if is_slow else options.test_posts
    task = recovery_task(data.test, data.labels, limit=limit, seed=options.seed)
    if not len(task):
        raise _nothing(data.folder, f"{len(data.test)} posts and none with two labels")
    return task


def _hide(data: _Data, task: RecoveryTask, options: EvaluationOptions) -> list[Hidden]:
    """The task at each hidden share."""
    hidden = [hide(task, share, data.implied) for share in options.hidden_shares]
    if not any(len(own.not_derivable()) for own in hidden):
        raise _nothing(data.folder, f"{len(task)} posts and hides no label that the others do not imply")
    return hidden


def _nothing(dataset: Path, what: str) -> BooruError:
    return BooruError(
        f"the test split of {dataset} has {what}, so nothing can be measured. "
        "Add a larger release, or lower the vocabulary's thresholds, and run again."
    )


def _fit_baselines(data: _Data, tuned_on: RecoveryTask, options: EvaluationOptions) -> dict[str, Baseline]:
    pairs = tuning_pairs(tuned_on, options.hidden_shares, data.implied)
    return fit_baselines(data.train_matrix, pairs, data.implied, label_cap=options.label_cap)


def _shortlisted(
    predictor: Predictor, baselines: Mapping[str, Baseline], hidden: Sequence[Hidden], options: EvaluationOptions
) -> tuple[Scorer, Shortlist | None]:
    """The model, which ranks only what EASE proposes where the options say so, and what it then cannot exceed."""
    if not options.shortlist:
        return predictor, None
    model = ShortlistScorer(predictor, baselines[names.EASE], options.shortlist)
    questions = {own.share: question for own in hidden if len(question := own.not_derivable())}
    ceilings = [
        Ceiling(
            hidden_share=share,
            ceiling=model.ceiling([own.tolist() for own in asked.given], [own.tolist() for own in asked.asked]),
        )
        for share, asked in questions.items()
    ]
    return model, Shortlist(size=options.shortlist, proposer=names.EASE, ceiling=ceilings)


def _measure(
    data: _Data,
    methods: Mapping[str, Scorer],
    predictor: Predictor,
    task: RecoveryTask,
    hidden: Sequence[Hidden],
    options: EvaluationOptions,
) -> tuple[list[ShareResult], list[Asked]]:
    """For each hidden share the figures, and the answers to the headline's question."""
    train_posts = np.asarray(data.train_matrix.sum(axis=0)).ravel()
    recovery = Recovery(methods, predictor.calibration, task, data.vocabulary.categories, train_posts, options)
    shares, answers = zip(*(recovery.measure(own) for own in hidden), strict=True)
    return list(shares), list(answers)


def _compare(
    data: _Data,
    parent: Former | None,
    promoted: Former | None,
    task: RecoveryTask,
    shares: Sequence[ShareResult],
    answers: Sequence[Asked],
    options: EvaluationOptions,
) -> Comparison | None:
    if parent is None:
        return None
    asked = {own.hidden_share: answer for own, answer in zip(shares, answers, strict=True) if own.not_derivable}
    return compare(
        load_rival(parent, data.test),
        load_rival(promoted, data.test) if promoted is not None and promoted != parent else None,
        task=task,
        answers=asked,
        best={own.hidden_share: own.not_derivable.best_baseline for own in shares if own.not_derivable},
        splits=(data.train, data.validation, data.test),
        labels=data.labels,
        options=options,
    )


def _probe(
    data: _Data, methods: Mapping[str, Scorer], predictor: Predictor, options: EvaluationOptions
) -> ProbeFindings:
    train, test = Split(data.train_matrix), Split(incidence(data.test.labels, len(data.labels)))
    return probe(Exam(methods, predictor, data.vocabulary, train, test, data.relations, options))


def _generate(predictor: Predictor, hidden: Hidden, options: EvaluationOptions) -> Generation | None:
    """Let a checkpoint that generates speak freely, and count what is no valid label."""
    rate = predictor.invalid_rate([given.tolist() for given in hidden.visible[: options.generation_posts]])
    return Generation(**asdict(rate), rate=rate.rate) if rate else None
