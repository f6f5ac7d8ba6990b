"""Evaluate a checkpoint on held-out posts, and write what was found: numbers, a page to read, every prediction."""

import json
from pathlib import Path
from typing import Final

import numpy as np

from booru_pipeline.dataset.posts import incidence, load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation import results as names
from booru_pipeline.evaluation.baselines.fit import fit_baselines
from booru_pipeline.evaluation.comparison.compare import Comparison, compare
from booru_pipeline.evaluation.comparison.leakage import find_leaks
from booru_pipeline.evaluation.comparison.rivals import load_rival
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.probes.probe import probe
from booru_pipeline.evaluation.recovery import Recovery
from booru_pipeline.evaluation.report.examples import pick_examples
from booru_pipeline.evaluation.report.findings import Findings, Shortlist, Sizes
from booru_pipeline.evaluation.report.predictions import write_predictions
from booru_pipeline.evaluation.report.render import render
from booru_pipeline.evaluation.report.summary import EvaluationSummary
from booru_pipeline.evaluation.results import MODEL
from booru_pipeline.evaluation.scorer import Scorer
from booru_pipeline.evaluation.task import hide, implied_matrix, recovery_task, tuning_pairs
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
) -> EvaluationSummary:
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

    Returns:
        The headline.

    Raises:
        BooruError: An artifact is missing or does not fit the others, the test split has nothing to measure, or the
            checkpoint's scores are not numbers.
    """
    known = Vocabulary.load(vocabulary)
    train, validation, test = (
        load_posts(dataset, split, labels=len(known), about=True) for split in ("train", "validation", "test")
    )
    predictor = Predictor.load(checkpoint)
    if list(predictor.vocabulary.labels) != list(known.labels):
        raise BooruError(
            f"the checkpoint {checkpoint} was trained with another vocabulary than {vocabulary}. "
            "Train again with `booru run`."
        )
    limit = min(options.test_posts, options.test_posts_slow) if predictor.is_slow else options.test_posts
    task = recovery_task(test, known.labels, limit=limit, seed=options.seed)
    if not len(task):
        raise _nothing(dataset, f"{len(test)} posts and none with two labels")
    implied = implied_matrix(known, relations)
    hidden = [hide(task, share, implied) for share in options.hidden_shares]
    if not any(len(own.not_derivable()) for own in hidden):
        raise _nothing(dataset, f"{len(task)} posts and hides no label that the others do not imply")

    counts = incidence(train.labels, len(known))
    tuned_on = recovery_task(validation, known.labels, limit=options.validation_posts, seed=options.seed)
    baselines = fit_baselines(
        counts, tuning_pairs(tuned_on, options.hidden_shares, implied), implied, label_cap=options.label_cap
    )
    model: Scorer = predictor
    shortlist: Shortlist | None = None
    if options.shortlist:
        proposer = baselines[names.EASE]
        model = ShortlistScorer(predictor, proposer, options.shortlist)
        questions = {own.share: own.not_derivable() for own in hidden}
        ceiling = {
            share: model.ceiling([given.tolist() for given in own.given], [rows.tolist() for rows in own.asked])
            for share, own in questions.items()
            if len(own)
        }
        shortlist = Shortlist(options.shortlist, names.EASE, ceiling)
    methods: dict[str, Scorer] = {MODEL: model, **baselines}
    train_posts = np.asarray(counts.sum(axis=0)).ravel()
    recovery = Recovery(methods, predictor.calibration, task, known.categories, train_posts, options)
    measured = [recovery.measure(own) for own in hidden]
    shares = [result for result, _ in measured]
    answers = [asked for _, asked in measured]

    comparison: Comparison | None = None
    if parent is not None:
        best = {own.share: own.not_derivable.whole.best_baseline for own in shares if own.not_derivable}
        comparison = compare(
            load_rival(parent, test),
            load_rival(promoted, test) if promoted is not None and promoted != parent else None,
            task=task,
            answers={own.share: asked for own, asked in zip(hidden, answers, strict=True) if own.share in best},
            best=best,
            splits=(train, validation, test),
            labels=known.labels,
            options=options,
        )

    probes = probe(methods, predictor, known, train, test, relations, options)
    pictures = len(set(task.posts.column("group_md5")))
    summary = EvaluationSummary(
        release=release,
        test_posts=len(task),
        pictures=pictures,
        methods=tuple(methods),
        headline_share=options.headline_share,
        shares={result.share: result.not_derivable.whole for result in shares if result.not_derivable},
        claims=probes.claims,
        leaks=find_leaks(dataset),
        comparison=comparison,
    )
    headline = options.hidden_shares.index(options.headline_share)
    freely = hidden[headline].visible[: options.generation_posts]
    findings = Findings(
        summary=summary,
        options=options,
        sizes=Sizes(
            labels=len(known),
            train_posts=len(train),
            validation_posts=len(tuned_on),
            test_posts=len(task),
            test_posts_available=task.available,
            test_posts_too_short=task.too_short,
            pictures=pictures,
            is_slow=predictor.is_slow,
        ),
        methods={
            MODEL: _MODEL_IN_WORDS,
            **{name: str(getattr(scorer, "described", "")) for name, scorer in baselines.items()},
        },
        shares=shares,
        probes=probes,
        shortlist=shortlist,
        generation=predictor.invalid_rate([given.tolist() for given in freely]),
        loss=read_loss_curve(checkpoint),
        examples=pick_examples(task, answers[headline], known.labels, count=options.examples),
    )
    output.mkdir(parents=True, exist_ok=True)
    metrics = json.dumps(findings.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    (output / "metrics.json").write_text(metrics + "\n", encoding="utf-8")
    (output / "report.html").write_text(render(findings), encoding="utf-8")
    write_predictions(output / "predictions.parquet", task, list(zip(hidden, answers, strict=True)), known.labels)
    return summary


def _nothing(dataset: Path, what: str) -> BooruError:
    return BooruError(
        f"the test split of {dataset} has {what}, so nothing can be measured. "
        "Add a larger release, or lower the vocabulary's thresholds, and run again."
    )
