"""What a question gave: figures of every method, and how sure the model's lead is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.figures.bootstrap import Interval, paired_bootstrap
from booru_pipeline.evaluation.figures.ranks import Ranks, recall_at, reciprocal_rank
from booru_pipeline.evaluation.figures.reliability import Reliability
from booru_pipeline.evaluation.options import HEADLINE_K, EvaluationOptions

MODEL: Final = "model"


@dataclass(frozen=True)
class Figures:
    """One method's figures. Means over posts, but for the last two.

    Attributes:
        recall: Recall@k by k.
        mrr: Mean reciprocal rank.
        r_precision: R-precision.
        average_precision: MAP.
        micro: Micro average precision over labels with support; None where it was not asked for or no label has it.
        macro: Macro average precision over the same labels.
    """

    recall: Mapping[int, float]
    mrr: float
    r_precision: float
    average_precision: float
    micro: float | None = None
    macro: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """As in metrics.json."""
        return {
            **{f"recall@{k}": value for k, value in sorted(self.recall.items())},
            "mrr": self.mrr,
            "r_precision": self.r_precision,
            "map": self.average_precision,
            "micro_ap": self.micro,
            "macro_ap": self.macro,
        }


@dataclass(frozen=True)
class Difference:
    """The model less a baseline on the same posts.

    Attributes:
        recall: In recall@10.
        mrr: In MRR.
    """

    recall: Interval
    mrr: Interval

    @property
    def is_ahead(self) -> bool:
        """Whether both intervals lie above 0."""
        return self.recall.low > 0 and self.mrr.low > 0

    @property
    def is_behind(self) -> bool:
        """Whether one of the intervals lies below 0."""
        return self.recall.high < 0 or self.mrr.high < 0


@dataclass(frozen=True)
class Result:
    """All methods on some hidden labels of some posts.

    Attributes:
        posts: Posts with such a label.
        pictures: Pictures that they show.
        labels: Hidden labels.
        methods: Figures by method, in the report's order, the model first.
        differences: The model less each baseline.
    """

    posts: int
    pictures: int
    labels: int
    methods: Mapping[str, Figures]
    differences: Mapping[str, Difference]

    @property
    def beats_baselines(self) -> bool:
        """Whether the model is ahead of every baseline, in recall@10 and in MRR, by more than chance."""
        return all(difference.is_ahead for difference in self.differences.values())

    @property
    def best_baseline(self) -> str:
        """The baseline with the highest recall@10; then the highest MRR, then the first."""
        return max(self.differences, key=lambda name: (self.methods[name].recall[HEADLINE_K], self.methods[name].mrr))

    def to_json(self) -> dict[str, Any]:
        """As in metrics.json."""
        return {
            "posts": self.posts,
            "pictures": self.pictures,
            "labels": self.labels,
            "methods": {name: figures.to_json() for name, figures in self.methods.items()},
            "differences": {
                name: {f"recall@{HEADLINE_K}": vars(difference.recall), "mrr": vars(difference.mrr)}
                for name, difference in self.differences.items()
            },
            "best_baseline": self.best_baseline,
            "beats_baselines": self.beats_baselines,
        }


@dataclass(frozen=True)
class QuestionResult:
    """All methods on one question, whole and in parts.

    Attributes:
        whole: On all the labels asked for.
        by_category: On the labels of a category, by its name, most labels first.
        by_frequency: On the labels that are on so many train posts, the rarest first.
        curve: For each method, mean recall@k for k from 1 up.
        labels_counted: Labels behind micro and macro average precision.
        calibration: How the model's probabilities of its first guesses come true; None for a part of a question.
    """

    whole: Result
    by_category: Mapping[str, Result]
    by_frequency: Mapping[str, Result]
    curve: Mapping[str, list[float]]
    labels_counted: int
    calibration: Reliability | None

    def to_json(self) -> dict[str, Any]:
        """As in metrics.json."""
        reliability = self.calibration
        return {
            **self.whole.to_json(),
            "by_category": {name: part.to_json() for name, part in self.by_category.items()},
            "by_frequency": {name: part.to_json() for name, part in self.by_frequency.items()},
            "curve": dict(self.curve),
            "labels_counted": self.labels_counted,
            "calibration": reliability
            and {"error": reliability.error, "bins": [vars(one) for one in reliability.bins]},
        }


@dataclass(frozen=True)
class ShareResult:
    """All that was asked with one share of the labels hidden.

    Attributes:
        share: The share.
        visible_labels: Labels left, of all posts.
        hidden_labels: Labels hidden.
        derivable_labels: Those of them that the visible ones imply.
        not_derivable: The headline: hidden labels that no implication gives away, given the closed visible ones.
        derivable: The others, given the visible ones; the ones above are no answers here.
        all: All hidden labels, given the visible ones.
        Each of the three is None if no post hides such a label.
    """

    share: float
    visible_labels: int
    hidden_labels: int
    derivable_labels: int
    not_derivable: QuestionResult | None
    derivable: QuestionResult | None
    all: QuestionResult | None

    def to_json(self) -> dict[str, Any]:
        """As in metrics.json."""
        return {
            "hidden_share": self.share,
            "visible_labels": self.visible_labels,
            "hidden_labels": self.hidden_labels,
            "derivable_labels": self.derivable_labels,
            "not_derivable": self.not_derivable and self.not_derivable.to_json(),
            "derivable": self.derivable and self.derivable.to_json(),
            "all": self.all and self.all.to_json(),
        }


POPULARITY: Final = "popularity"
CO_OCCURRENCE: Final = "co-occurrence"
NAIVE_BAYES: Final = "naive Bayes"
ASSOCIATION_RULES: Final = "association rules"
ITEM_KNN: Final = "item-kNN"
EASE: Final = "EASE"
IMPLICATION_CLOSURE: Final = "implication closure"

BASELINES: Final = (
    POPULARITY,
    CO_OCCURRENCE,
    NAIVE_BAYES,
    ASSOCIATION_RULES,
    ITEM_KNN,
    EASE,
    IMPLICATION_CLOSURE,
)


@dataclass(frozen=True)
class Versus:
    """Figures of the model and of others.

    Attributes:
        posts: Posts that hide such a label.
        pictures: Pictures that they show.
        labels: Hidden labels.
        recall: Mean recall@10 by method, the model first.
        mrr: MRR by method.
        differences: The model less each other method.
    """

    posts: int
    pictures: int
    labels: int
    recall: Mapping[str, float]
    mrr: Mapping[str, float]
    differences: Mapping[str, Difference]

    def to_json(self) -> dict[str, Any]:
        """As in metrics.json."""
        return {
            "posts": self.posts,
            "pictures": self.pictures,
            "labels": self.labels,
            "methods": {
                name: {f"recall@{HEADLINE_K}": self.recall[name], "mrr": self.mrr[name]} for name in self.recall
            },
            "differences": {
                name: {f"recall@{HEADLINE_K}": vars(difference.recall), "mrr": vars(difference.mrr)}
                for name, difference in self.differences.items()
            },
        }


def versus(ranks: Mapping[str, Ranks], groups: NDArray[np.str_], options: EvaluationOptions) -> Versus | None:
    """Compare methods by their ranks of the same hidden labels; None if there are none.

    Args:
        ranks: By method, the model first.
        groups: Each post's picture group, by the post's number.
        options: Resamples and seed.
    """
    posts = ranks[MODEL].posts
    if not len(posts):
        return None
    recall = {name: recall_at(own, HEADLINE_K) for name, own in ranks.items()}
    reciprocal = {name: reciprocal_rank(own) for name, own in ranks.items()}
    others = [name for name in ranks if name != MODEL]
    columns = [values[MODEL] - values[name] for values in (recall, reciprocal) for name in others]
    own_groups = groups[posts]
    intervals = paired_bootstrap(
        np.stack(columns, axis=1), own_groups, samples=options.bootstrap_samples, seed=options.seed
    )
    return Versus(
        posts=len(posts),
        pictures=len(np.unique(own_groups)),
        labels=len(ranks[MODEL].rank),
        recall={name: float(values.mean()) for name, values in recall.items()},
        mrr={name: float(values.mean()) for name, values in reciprocal.items()},
        differences={
            name: Difference(intervals[place], intervals[place + len(others)]) for place, name in enumerate(others)
        },
    )
