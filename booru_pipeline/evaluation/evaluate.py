"""Evaluate a checkpoint on held-out posts, and write what was found: numbers, a page to read, every prediction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from booru_pipeline.category import Category
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.baselines import CoOccurrence, Popularity, Scorer
from booru_pipeline.evaluation.findings import CategoryResult, Example, Findings, Sizes
from booru_pipeline.evaluation.leakage import shared_groups
from booru_pipeline.evaluation.metrics import hidden_ranks, paired_bootstrap, recall_at, reciprocal_rank
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.posts import Posts, incidence, read_posts
from booru_pipeline.evaluation.probes import probe_characters, probe_claims
from booru_pipeline.evaluation.report import render
from booru_pipeline.evaluation.summary import CO_OCCURRENCE, HEADLINE_K, MODEL, POPULARITY, EvaluationSummary
from booru_pipeline.evaluation.task import RecoveryTask, recovery_task
from booru_pipeline.evaluation.training_log import read_loss_curve
from booru_pipeline.labels.splits import open_splits
from booru_pipeline.labels.vocabulary import Vocabulary
from booru_pipeline.training.calibration import Calibration
from booru_pipeline.training.predictor import Predictor

_POSTS_AT_ONCE: Final = 512  # bounds the score matrix: 512 posts of 100,000 labels are 200 MB
_CURVE_KS: Final = 30
_EXAMPLES: Final = 8
_EXAMPLE_GUESSES: Final = 15

RanksByMethod = Mapping[str, list[NDArray[np.int64]]]


@dataclass(frozen=True)
class _Guesses:
    """The model's first guesses for a post, best first: label rows and calibrated probabilities."""

    labels: list[int]
    probability: list[float]


def evaluate(
    checkpoint: Path,
    dataset: Path,
    vocabulary: Path,
    output: Path,
    options: EvaluationOptions,
    *,
    release: str,
) -> EvaluationSummary:
    """Measure a checkpoint on the test split, beside both baselines.

    Args:
        checkpoint: The model's folder.
        dataset: The tokenized dataset's folder; the baselines are fitted on its train split.
        vocabulary: The vocabulary's folder.
        output: A folder to make: metrics.json, report.html and predictions.parquet go there.
        options: Size of the task and of the report.
        release: The release's key, for the report.

    Returns:
        The headline.

    Raises:
        BooruError: An artifact is missing or does not fit the others, the test split has nothing to measure, or the
            checkpoint's scores are not numbers.
    """
    known = Vocabulary.load(vocabulary)
    splits = open_splits(dataset)
    train = read_posts(splits, "train", labels=len(known))
    test = read_posts(splits, "test", labels=len(known))
    task = _pose_task(dataset, test, known, options)
    predictor = Predictor.load(checkpoint)
    if list(predictor.vocabulary.labels) != list(known.labels):
        raise BooruError(
            f"the checkpoint {checkpoint} was trained with another vocabulary than {vocabulary}. "
            "Train again with `booru run`."
        )

    counts = incidence(train.labels, len(known))
    methods: dict[str, Scorer] = {
        MODEL: predictor,
        CO_OCCURRENCE: CoOccurrence(counts),
        POPULARITY: Popularity(counts),
    }
    guesses: list[_Guesses] = []
    ranks: dict[str, list[NDArray[np.int64]]] = {method: [] for method in methods}
    for start in range(0, len(task), _POSTS_AT_ONCE):
        part = slice(start, start + _POSTS_AT_ONCE)
        contexts = [post.tolist() for post in task.visible[part]]
        for method, scorer in methods.items():
            scores = scorer.scores(contexts, options.batch_size)
            if np.isnan(scores).any():
                raise BooruError(
                    f"the {method} of {checkpoint} gives scores that are not numbers: its training diverged. "
                    "Train again with a lower learning rate."
                )
            ranks[method] += hidden_ranks(scores, task.hidden[part])
            if method == MODEL:
                guesses += _first_guesses(scores, predictor.calibration, task.visible[part], options.top)

    ks = sorted({*options.ks, HEADLINE_K})
    summary = EvaluationSummary(
        release=release,
        test_posts=len(task),
        groups=len(set(task.group)),
        recall={method: {k: float(recall_at(own, k).mean()) for k in ks} for method, own in ranks.items()},
        mrr={method: float(reciprocal_rank(own).mean()) for method, own in ranks.items()},
        differences={
            baseline: paired_bootstrap(
                recall_at(ranks[MODEL], HEADLINE_K) - recall_at(ranks[baseline], HEADLINE_K),
                task.group,
                samples=options.bootstrap_samples,
                seed=options.seed,
            )
            for baseline in (CO_OCCURRENCE, POPULARITY)
        },
        probes=probe_claims(predictor, known, test),
        shared_groups=shared_groups(dataset),
    )
    findings = Findings(
        summary=summary,
        options=options,
        sizes=Sizes(
            labels=len(known),
            train_posts=len(train),
            test_posts=len(task),
            test_posts_available=task.available,
            test_posts_too_short=task.too_short,
            test_groups=summary.groups,
            visible_labels=sum(map(len, task.visible)),
            hidden_labels=sum(map(len, task.hidden)),
        ),
        curve={
            method: [float(recall_at(own, k).mean()) for k in range(1, _CURVE_KS + 1)] for method, own in ranks.items()
        },
        mrr_differences={
            baseline: paired_bootstrap(
                reciprocal_rank(ranks[MODEL]) - reciprocal_rank(ranks[baseline]),
                task.group,
                samples=options.bootstrap_samples,
                seed=options.seed,
            )
            for baseline in (CO_OCCURRENCE, POPULARITY)
        },
        categories=_by_category(task, ranks, known.categories, ks),
        characters=probe_characters(methods, known, train, test, limit=options.probe_characters),
        loss=read_loss_curve(checkpoint),
        examples=_examples(task, ranks[MODEL], guesses, known.labels),
    )
    _write(output, findings, task, guesses, known.labels)
    return summary


def _pose_task(dataset: Path, test: Posts, known: Vocabulary, options: EvaluationOptions) -> RecoveryTask:
    task = recovery_task(
        test, known.labels, limit=options.test_posts, hidden_share=options.hidden_share, seed=options.seed
    )
    if not len(task):
        raise BooruError(
            f"the test split of {dataset} has {len(test)} posts and none with two labels, so nothing can be measured. "
            "Add a larger release, or lower the vocabulary's thresholds, and run again."
        )
    return task


def _first_guesses(
    scores: NDArray[np.float32], calibration: Calibration, visible: Sequence[NDArray[np.int64]], top: int
) -> list[_Guesses]:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    chosen = np.take_along_axis(scores, best, axis=1)
    probability = calibration.probabilities(chosen, np.array([len(post) for post in visible]))
    asked = np.isfinite(chosen)  # visible labels are at -inf
    return [
        _Guesses(labels[own].tolist(), chance[own].tolist())
        for labels, chance, own in zip(best, probability, asked, strict=True)
    ]


def _by_category(
    task: RecoveryTask, ranks: RanksByMethod, categories: NDArray[np.int8], ks: Sequence[int]
) -> list[CategoryResult]:
    of_hidden = categories[np.concatenate(task.hidden)]
    flat = {method: np.concatenate(own) for method, own in ranks.items()}
    results = []
    for category in np.unique(of_hidden):
        chosen = of_hidden == category
        recall = {method: {k: float((own[chosen] <= k).mean()) for k in ks} for method, own in flat.items()}
        results.append(CategoryResult(Category.name_of(int(category)), int(chosen.sum()), recall))
    return sorted(results, key=lambda result: -result.hidden)


def _examples(
    task: RecoveryTask, ranks: list[NDArray[np.int64]], guesses: list[_Guesses], labels: list[str]
) -> list[Example]:
    examples = []
    for post in range(min(_EXAMPLES, len(task))):
        hidden = task.hidden[post].tolist()
        first = zip(guesses[post].labels[:_EXAMPLE_GUESSES], guesses[post].probability, strict=False)
        examples.append(
            Example(
                booru=task.booru[post],
                fid=int(task.fid[post]),
                visible=[labels[row] for row in task.visible[post]],
                hidden=sorted(
                    ((labels[row], int(rank)) for row, rank in zip(hidden, ranks[post], strict=True)),
                    key=lambda pair: pair[1],
                ),
                predicted=[(labels[row], probability, row in hidden) for row, probability in first],
            )
        )
    return examples


def _write(output: Path, findings: Findings, task: RecoveryTask, guesses: list[_Guesses], labels: list[str]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    metrics = json.dumps(findings.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    (output / "metrics.json").write_text(metrics + "\n", encoding="utf-8")
    (output / "report.html").write_text(render(findings), encoding="utf-8")
    names = pa.list_(pa.string())
    predictions = pa.table(
        {
            "booru": pa.array(task.booru, pa.string()),
            "fid": pa.array(task.fid, pa.int64()),
            "visible": pa.array([[labels[row] for row in post] for post in task.visible], names),
            "hidden": pa.array([[labels[row] for row in post] for post in task.hidden], names),
            "predicted": pa.array([[labels[row] for row in post.labels] for post in guesses], names),
            "probability": pa.array([post.probability for post in guesses], pa.list_(pa.float32())),
        }
    )
    pq.write_table(predictions, output / "predictions.parquet", compression="zstd")
