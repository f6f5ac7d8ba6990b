"""All that an evaluation found: what metrics.json holds and report.html shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Final

from booru_pipeline.evaluation.comparison.compare import DEFINITIONS as COMPARISON_DEFINITIONS
from booru_pipeline.evaluation.comparison.compare import Comparison
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.probes import probe
from booru_pipeline.evaluation.probes.probe import ProbeFindings
from booru_pipeline.evaluation.report.examples import Example
from booru_pipeline.evaluation.report.summary import EvaluationSummary
from booru_pipeline.evaluation.results import ShareResult
from booru_pipeline.model.generation import InvalidRate
from booru_pipeline.model.provenance import LossCurve

FORMAT_VERSION: Final = 2
DEFINITIONS: Final = {
    "task": (
        "A share of the labels of test posts is hidden, the rest are given; the same posts at each share, and what a "
        "smaller share hides, a larger one hides too. Posts go by hash of seed, booru and fid, labels by hash of these "
        "and the label's name."
    ),
    "not_derivable": (
        "The headline. The visible labels are closed under Danbooru's implications, as it does itself; asked for are "
        "the hidden labels that are not among them then. Posts without such a label are left out."
    ),
    "derivable": "Of all hidden labels, given the visible ones as they are, those that these imply.",
    "all": "All hidden labels, given the visible ones as they are.",
    "filtered": "Labels that are right as well and not asked for do not count as guesses (Bordes et al. 2013).",
    "ties": "A hidden label ranks behind every other label of the same score.",
    "recall_at_k": "Hidden labels among the first k guesses over min(k, hidden labels), mean over posts.",
    "mrr": "1 / rank of a post's best ranked hidden label, mean over posts.",
    "r_precision": "Hidden labels among the first R guesses over R, the number of hidden labels; mean over posts.",
    "map": "Mean over a post's hidden labels of the precision at the label's rank; mean over posts.",
    "micro_ap": (
        "Average precision of all cells (post, label) in one ranking by score, over the labels with support; the "
        "model's score is its calibrated probability. Given labels are no cells."
    ),
    "macro_ap": "The same of each label's posts in a ranking of their own, mean over these labels.",
    "support": (
        "A label counts in micro and macro average precision if `label_support` of the posts hide it; of more than "
        "`label_limit`, those hidden most often. `labels_counted` says how many."
    ),
    "by_category": "The same figures, asked for the labels of one category only.",
    "by_frequency": "The same figures, asked only for labels that so many train posts have.",
    "differences": "The model less a baseline, mean over the same posts.",
    "interval": "95 % percentile interval of the mean difference, paired bootstrap over picture groups.",
    "beats": "The whole intervals of the differences in recall@10 and in MRR lie above 0, for every baseline.",
    "best_baseline": "The baseline with the highest recall@10.",
    "calibration": (
        "Of the model's first `top` guesses for each post, in bins of equal numbers of guesses: mean probability and "
        "the share that was hidden. The error is the mean distance of the two over guesses."
    ),
    "shortlist": (
        "`ceiling` is the share of a post's labels asked for, not derivable, that are among those ranked; mean over "
        "posts."
    ),
    "generation": (
        "Labels that the model says at the headline's share with nothing to hold it to labels: `rate` is the share of "
        "them that are no label, repeated, or given."
    ),
    **probe.DEFINITIONS,
    **COMPARISON_DEFINITIONS,
}


def metrics_schema() -> dict[str, Any]:
    """The JSON Schema of metrics.json."""
    text = (
        resources.files("booru_pipeline.evaluation.report").joinpath("metrics.schema.json").read_text(encoding="utf-8")
    )
    schema: dict[str, Any] = json.loads(text)
    return schema


@dataclass(frozen=True)
class Sizes:
    """How much was measured, and on how much the baselines were fitted.

    Attributes:
        labels: Labels of the vocabulary.
        train_posts: Posts that the baselines were fitted on.
        validation_posts: Posts that their settings were chosen on.
        test_posts: Posts scored, all methods on the same.
        test_posts_available: Posts of the test split with two labels or more.
        test_posts_too_short: Posts of the test split with fewer.
        pictures: Pictures that the posts scored show.
        is_slow: Whether the checkpoint ranks so slowly that `test_posts_slow` bounds the posts.
    """

    labels: int
    train_posts: int
    validation_posts: int
    test_posts: int
    test_posts_available: int
    test_posts_too_short: int
    pictures: int
    is_slow: bool


@dataclass(frozen=True)
class Shortlist:
    """The labels that the model ranked where it did not rank all.

    Attributes:
        size: How many for each post.
        proposer: The baseline that chose them.
        ceiling: By hidden share, the share of a post's labels asked for, not derivable, that are in it, mean over
            posts: no order of the shortlist finds more.
    """

    size: int
    proposer: str
    ceiling: Mapping[float, float]


@dataclass(frozen=True)
class Findings:
    """An evaluation, whole.

    Attributes:
        summary: The headline.
        options: What was asked for.
        sizes: How much was measured.
        methods: What each method is, in words, by its name; the model first.
        shares: All figures, from the least hidden share.
        probes: What one label says of the others.
        shortlist: What the model ranked; None if all labels.
        generation: What is wrong with what the model generates where nothing holds it to labels, at the headline's
            share; None if it is not trained to generate.
        loss: The checkpoint's loss curve.
        examples: Posts at the headline's share: best, worst and unpicked ones.
    """

    summary: EvaluationSummary
    options: EvaluationOptions
    sizes: Sizes
    methods: Mapping[str, str]
    shares: Sequence[ShareResult]
    probes: ProbeFindings
    shortlist: Shortlist | None
    generation: InvalidRate | None
    loss: LossCurve
    examples: Sequence[Example]

    @property
    def comparison(self) -> Comparison | None:
        """The model beside earlier checkpoints; None for the first release."""
        return self.summary.comparison

    def to_json(self) -> dict[str, Any]:
        """What metrics.json holds; keys are stable within a FORMAT_VERSION. See metrics.schema.json."""
        summary = self.summary
        return {
            "format_version": FORMAT_VERSION,
            "release": summary.release,
            "verdict": summary.verdict(),
            "beats_baselines": summary.beats_baselines,
            "losses": summary.losses,
            "leaks": asdict(summary.leaks),
            "headline_share": summary.headline_share,
            "options": self.options.model_dump(),
            "sizes": asdict(self.sizes),
            "methods": [{"name": name, "description": words} for name, words in self.methods.items()],
            "shares": [share.to_json() for share in self.shares],
            "comparison": self.comparison and self.comparison.to_json(),
            "probes": asdict(self.probes),
            "shortlist": self.shortlist
            and {
                **asdict(self.shortlist),
                "ceiling": [{"hidden_share": share, "ceiling": top} for share, top in self.shortlist.ceiling.items()],
            },
            "generation": self.generation and {**asdict(self.generation), "rate": self.generation.rate},
            "examples": [_example_json(example) for example in self.examples],
            "definitions": DEFINITIONS,
        }


def _example_json(example: Example) -> dict[str, Any]:
    return {
        **asdict(example),
        "hidden": [{"label": label, "rank": rank} for label, rank in example.hidden],
        "guesses": [
            {"label": label, "probability": probability, "hidden": hidden}
            for label, probability, hidden in example.guesses
        ],
    }
