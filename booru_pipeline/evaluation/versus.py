"""The model beside others on some hidden labels of some posts, in the headline's two figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.bootstrap import paired_bootstrap
from booru_pipeline.evaluation.metrics import Ranks, recall_at, reciprocal_rank
from booru_pipeline.evaluation.options import HEADLINE_K, EvaluationOptions
from booru_pipeline.evaluation.results import MODEL, Difference


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
