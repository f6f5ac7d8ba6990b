"""All that an evaluation found: what metrics.json holds and report.html shows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from booru_pipeline.evaluation.metrics import Interval
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.probes import CharacterResult
from booru_pipeline.evaluation.summary import METHODS, EvaluationSummary
from booru_pipeline.evaluation.training_log import LossCurve

FORMAT_VERSION: Final = 1
DEFINITIONS: Final = {
    "task": (
        "Whole labels of test posts are hidden, the rest are given. Posts go by hash of seed, booru and fid, labels by "
        "hash of these and the label's name."
    ),
    "recall_at_k": "Hidden labels among the first k guesses over min(k, hidden labels), mean over posts.",
    "mrr": "1 / rank of a post's best ranked hidden label, mean over posts.",
    "ties": "A hidden label ranks behind every other label of the same score.",
    "popularity": "Share of train posts that have the label.",
    "co_occurrence": "Mean over the given labels c of P(t | c) on train posts, smoothed by a prior worth 10 posts.",
    "interval": "95 % percentile interval of the mean difference, paired bootstrap over picture groups.",
    "beats": "The whole interval of the difference in recall@10 lies above 0.",
    "category_recall_at_k": "Of all hidden labels of a category, the share ranked among the first k of all labels.",
    "claim": "Given one label alone, a label that is expected is among the first 10 guesses.",
    "character_overlap": "Of the first 10 guesses for a character alone, those among the 10 labels most frequent on "
    "the test posts that show it.",
    "character_spearman": "Rank correlation of scores and frequencies, over the labels that occur on those posts.",
}


@dataclass(frozen=True)
class Sizes:
    """How much was measured, and on how much the baselines were fitted."""

    labels: int
    train_posts: int
    test_posts: int
    test_posts_available: int
    test_posts_too_short: int
    test_groups: int
    visible_labels: int
    hidden_labels: int


@dataclass(frozen=True)
class CategoryResult:
    """Hidden labels of one category.

    Attributes:
        category: Its name.
        hidden: Number of hidden labels.
        recall: For each method, the share of them among the first k of all labels, by k.
    """

    category: str
    hidden: int
    recall: Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Example:
    """One post as the report shows it.

    Attributes:
        booru: Its site.
        fid: Its id there.
        visible: The labels given.
        hidden: The labels to recover, and the model's rank of each, best first.
        predicted: The model's first guesses: label, probability, whether it was hidden.
    """

    booru: str
    fid: int
    visible: list[str]
    hidden: list[tuple[str, int]]
    predicted: list[tuple[str, float, bool]]


@dataclass(frozen=True)
class Findings:
    """An evaluation, whole.

    Attributes:
        summary: The headline.
        options: What was asked for.
        sizes: How much was measured.
        curve: For each method, mean recall@k for k from 1 up.
        mrr_differences: For each baseline, the model's reciprocal rank less the baseline's.
        categories: Recall by category, the most hidden labels first.
        characters: Characters alone, the most frequent first.
        loss: The checkpoint's loss curve.
        examples: A few posts, the first by hash, not picked.
    """

    summary: EvaluationSummary
    options: EvaluationOptions
    sizes: Sizes
    curve: Mapping[str, list[float]]
    mrr_differences: Mapping[str, Interval]
    categories: list[CategoryResult]
    characters: list[CharacterResult]
    loss: LossCurve
    examples: list[Example]

    def to_json(self) -> dict[str, Any]:
        """What metrics.json holds; keys are stable within a FORMAT_VERSION."""
        summary = self.summary
        return {
            "format_version": FORMAT_VERSION,
            "release": summary.release,
            "options": self.options.model_dump(),
            "sizes": asdict(self.sizes),
            "shared_groups": summary.shared_groups,
            "methods": {
                method: {
                    "mrr": summary.mrr[method],
                    **{f"recall@{k}": value for k, value in sorted(summary.recall[method].items())},
                }
                for method in METHODS
            },
            "model_less": {
                baseline: {"recall@10": asdict(interval), "mrr": asdict(self.mrr_differences[baseline])}
                for baseline, interval in summary.differences.items()
            },
            "beats_popularity": summary.beats_popularity,
            "beats_cooccurrence": summary.beats_cooccurrence,
            "categories": [
                {
                    "category": category.category,
                    "hidden": category.hidden,
                    "methods": {
                        method: {f"recall@{k}": value for k, value in sorted(by_k.items())}
                        for method, by_k in category.recall.items()
                    },
                }
                for category in self.categories
            ],
            "claims": [asdict(probe) for probe in summary.probes],
            "characters": [asdict(character) for character in self.characters],
            "definitions": DEFINITIONS,
        }
