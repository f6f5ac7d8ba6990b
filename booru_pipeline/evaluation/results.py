"""Results of a question: figures of every method, and how sure the model's lead is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, computed_field

from booru_pipeline.evaluation.figures.bootstrap import Interval, paired_bootstrap
from booru_pipeline.evaluation.figures.ranks import METRICS, Floats, Ranks, post_metrics
from booru_pipeline.evaluation.figures.reliability import Reliability
from booru_pipeline.evaluation.finding import AtShare, Count, Finding, Share
from booru_pipeline.evaluation.options import HEADLINE_K, ProbeOptions

MODEL: Final = "model"
"""The answer that people get: with what counting knows in it, where the checkpoint mixes."""
T5_ALONE: Final = "T5 alone"
"""What the T5 of such a checkpoint says by itself; no baseline."""
RECALL: Final = f"recall@{HEADLINE_K}"
MRR: Final = "mrr"
HEADLINE: Final = (RECALL, MRR)
"""The metrics in which methods are compared: to be ahead is to be ahead in each."""

POPULARITY: Final = "popularity"
CO_OCCURRENCE: Final = "co-occurrence"
NAIVE_BAYES: Final = "naive Bayes"
ASSOCIATION_RULES: Final = "association rules"
ITEM_KNN: Final = "item-kNN"
EASE: Final = "EASE"
EDLAE: Final = "EDLAE"
IMPLICATION_CLOSURE: Final = "implication closure"

BASELINES: Final = (
    POPULARITY,
    CO_OCCURRENCE,
    NAIVE_BAYES,
    ASSOCIATION_RULES,
    ITEM_KNN,
    EASE,
    EDLAE,
    IMPLICATION_CLOSURE,
)

_HEADLINE_METRICS: Final = {name: by_post for name, by_post in post_metrics([HEADLINE_K]).items() if name in HEADLINE}

Figures = dict[str, Share | None]
"""By metric."""


def _schema_of_figures(required: Iterable[str]) -> dict[str, Any]:
    number = {"type": "number", "minimum": 0, "maximum": 1}
    properties = {
        name: {**number, "type": "number" if metric.by_post else ["number", "null"], "description": metric.definition}
        for name, metric in METRICS.items()
    }
    names = {"pattern": f"^(recall@[1-9][0-9]*|{'|'.join(METRICS)})$"}
    return {
        "required": list(required),
        "properties": properties,
        "additionalProperties": number,
        "propertyNames": names,
    }


HeadlineFigures = Annotated[Figures, Field(json_schema_extra=_schema_of_figures(HEADLINE))]
AllFigures = Annotated[
    Figures,
    Field(
        description="Average precision over labels is null in parts of a question, and where no label has support.",
        json_schema_extra=_schema_of_figures([RECALL, *METRICS]),
    ),
]
_BOUNDS: Final = {"minimum": -1, "maximum": 1}  # of two shares' difference
Lead = Annotated[Interval, Field(json_schema_extra={"properties": dict.fromkeys(("mean", "low", "high"), _BOUNDS)})]
Difference = Annotated[
    dict[str, Lead],
    Field(
        description="By metric of the headline.",
        json_schema_extra={"required": list(HEADLINE), "propertyNames": {"enum": list(HEADLINE)}},
    ),
]


def is_ahead(difference: Difference) -> bool:
    """Whether all intervals lie above 0."""
    return all(interval.low > 0 for interval in difference.values())


def is_behind(difference: Difference) -> bool:
    """Whether one of the intervals lies below 0."""
    return any(interval.high < 0 for interval in difference.values())


def listed(names: Sequence[str]) -> str:
    """`a, b and c`; one name or more."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def shares_in_words(shares: Iterable[float]) -> str:
    """`30 and 50 %`, ascending; one share or more."""
    return f"{listed([f'{100 * share:.3g}' for share in sorted(set(shares))])} %"


FREQUENCIES: Final = {"under 100": (0, 100), "100 to 1,000": (100, 1001), "over 1,000": (1001, np.inf)}
"""How many train posts have a label: the least, and the first number that is too many."""


class Result(Finding):
    """Methods on the same hidden labels of the same posts."""

    posts: Count = Field(description="Posts with such a label.")
    pictures: Count = Field(description="Pictures that they show.")
    labels: Count = Field(description="Hidden labels.")
    methods: dict[str, HeadlineFigures] = Field(description="In the report's order, the model first.")
    differences: dict[str, Difference] = Field(
        description="The model less another method, mean over the same posts; in `t5_alone` T5 alone less a baseline."
    )

    @classmethod
    def of(
        cls,
        ranks: Mapping[str, Ranks],
        groups: NDArray[np.str_],
        options: ProbeOptions,
        metrics: Mapping[str, Callable[[Ranks], Floats]] = _HEADLINE_METRICS,
        by_label: Mapping[str, Figures] | None = None,
        *,
        compared: str = MODEL,
        **more: Any,
    ) -> Self:
        """Compare methods by their ranks of the same hidden labels, of which there is at least one.

        Args:
            ranks: By method, in the report's order.
            groups: Each post's picture group, by the post's number.
            options: Resamples and seed.
            metrics: What is measured by post, that of the headline included; see `post_metrics`.
            by_label: Further figures of each method, that do not follow from its ranks.
            compared: The method that the others are subtracted from.
            more: Further fields.
        """
        posts = ranks[compared].posts
        found = {name: {key: by_post(places) for key, by_post in metrics.items()} for name, places in ranks.items()}
        others = [name for name in ranks if name != compared]
        pairs = [(name, metric) for metric in HEADLINE for name in others]
        columns = [found[compared][metric] - found[name][metric] for name, metric in pairs]
        intervals = paired_bootstrap(
            np.stack(columns, axis=1), groups[posts], samples=options.bootstrap_samples, seed=options.seed
        )
        less = dict(zip(pairs, intervals, strict=True))
        means = {name: {key: float(each.mean()) for key, each in values.items()} for name, values in found.items()}
        return cls(
            posts=len(posts),
            pictures=len(np.unique(groups[posts])),
            labels=len(ranks[compared].rank),
            methods={name: {**figures, **(by_label or {}).get(name, {})} for name, figures in means.items()},
            differences={name: {metric: less[name, metric] for metric in HEADLINE} for name in others},
            **more,
        )

    def figure(self, method: str, metric: str) -> float:
        """A figure that every method has."""
        value = self.methods[method][metric]
        if value is None:
            raise ValueError(f"{method} has no {metric}")
        return value


class ShareComparison(Result, AtShare):
    """The model beside others at one hidden share."""


class BaselineComparison(Result):
    """The model, or T5 alone, beside the baselines; the model beside T5 alone too."""

    methods: dict[str, AllFigures] = Field(description="In the report's order, the model first.")

    @computed_field(description=f"The baseline with the highest {RECALL}.")  # type: ignore[prop-decorator]
    @property
    def best_baseline(self) -> str:
        """The baseline with the highest recall@10; then the highest MRR, then the first."""
        return max(self.baselines, key=lambda name: [self.figure(name, metric) for metric in HEADLINE])

    @property
    def baselines(self) -> dict[str, Difference]:
        """The difference of each baseline, without that of T5 alone."""
        return {name: difference for name, difference in self.differences.items() if name != T5_ALONE}

    @computed_field(  # type: ignore[prop-decorator]
        description=f"The whole intervals of the differences in {RECALL} and in MRR lie above 0, for every baseline."
    )
    @property
    def beats_baselines(self) -> bool:
        """Whether the model is ahead of every baseline, in recall@10 and in MRR, by more than chance."""
        return all(map(is_ahead, self.baselines.values()))


class QuestionResult(BaselineComparison):
    """The model beside the baselines on one question, whole and in parts."""

    by_category: dict[str, BaselineComparison] = Field(
        description="The same figures, asked for the labels of one category only."
    )
    by_frequency: dict[str, BaselineComparison] = Field(
        description="The same figures, asked only for labels that so many train posts have.",
        json_schema_extra={"propertyNames": {"enum": list(FREQUENCIES)}},
    )
    curve: dict[str, list[Share]] = Field(description="Mean recall@k by method, k from 1 up.")
    labels_counted: Count = Field(description="Labels behind micro and macro average precision.")
    calibration: Reliability | None = Field(
        description="Of the model's first `top` guesses for each post, in bins of equal numbers of guesses: mean "
        "probability and the share that was hidden. The error is the mean distance of the two over guesses."
    )


class ShareResult(AtShare):
    """All that was asked with one share of the labels hidden; a question is null if no post hides such a label."""

    visible_labels: Count = Field(description="Labels left, of all posts.")
    hidden_labels: Count = Field(description="Labels hidden.")
    derivable_labels: Count = Field(description="Those of them that the visible ones imply.")
    not_derivable: QuestionResult | None = Field(
        description="The headline. The visible labels are closed under Danbooru's implications, as it does itself; "
        "asked for are the hidden labels that are not among them then. Posts without such a label are left out."
    )
    derivable: QuestionResult | None = Field(
        description="Of all hidden labels, given the visible ones as they are, those that these imply."
    )
    t5_alone: BaselineComparison | None = Field(
        None,
        description="T5 alone beside the baselines, on labels that are not derivable: whether what it learned beats "
        "counting. null where the model's answer is the T5's own.",
    )
    all: QuestionResult | None = Field(description="All hidden labels, given the visible ones as they are.")
