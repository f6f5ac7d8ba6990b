"""Posts to look at: where the model does best, where worst, and some that nobody picked."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from booru_pipeline.evaluation.figures.ranks import recall_at, reciprocal_rank
from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.recovery import Asked
from booru_pipeline.evaluation.task import RecoveryTask

BEST: Final = "best"
WORST: Final = "worst"
UNPICKED: Final = "unpicked"
LEAST_ASKED: Final = 5
"""Labels that a post must hide to be the best or worst: with one or two, either is luck."""
_GUESSES: Final = 15


@dataclass(frozen=True)
class Example:
    """One post as the report shows it.

    Attributes:
        kind: `best`, `worst` or `unpicked`.
        booru: Its site.
        fid: Its id there.
        recall: The model's recall@10 on it.
        reciprocal_rank: 1 / rank of its best ranked hidden label.
        given: The labels that the model saw.
        hidden: The labels to recover, and the model's rank of each, best first.
        guesses: The model's first guesses: label, probability, whether it was hidden.
    """

    kind: str
    booru: str
    fid: int
    recall: float
    reciprocal_rank: float
    given: list[str]
    hidden: list[tuple[str, int]]
    guesses: list[tuple[str, float, bool]]


def pick_examples(task: RecoveryTask, asked: Asked, labels: list[str], *, count: int) -> list[Example]:
    """The best and the worst posts by recall@10, then reciprocal rank, then in hash order; and the first by hash.

    Args:
        task: The posts.
        asked: The model's answers.
        labels: The vocabulary's labels by row.
        count: Posts of each kind, at most; a post is shown once.
    """
    question, ranks = asked.question, asked.ranks
    if not len(question):
        return []
    recall, reciprocal = recall_at(ranks, HEADLINE_K), reciprocal_rank(ranks)
    order = np.lexsort((np.arange(len(question)), -reciprocal, -recall))
    long_enough = [row for row in order.tolist() if ranks.sizes[row] >= LEAST_ASKED]
    best = long_enough[:count]
    worst_first = sorted(long_enough, key=lambda row: (recall[row], reciprocal[row], row))
    worst = [row for row in worst_first if row not in best][:count]
    unpicked = [row for row in range(len(question)) if row not in (*best, *worst)][:count]
    boorus, fids = task.posts.column("booru"), task.posts.column("fid")
    kinds = {BEST: best, WORST: worst, UNPICKED: unpicked}
    examples = []
    for kind, rows in kinds.items():
        for row in rows:
            own = ranks.owner == row
            post = int(question.posts[row])
            hidden = set(question.asked[row].tolist())
            first = zip(asked.guesses[row].labels[:_GUESSES], asked.guesses[row].probability, strict=False)
            examples.append(
                Example(
                    kind=kind,
                    booru=boorus[post],
                    fid=fids[post],
                    recall=float(recall[row]),
                    reciprocal_rank=float(reciprocal[row]),
                    given=[labels[label] for label in question.given[row]],
                    hidden=[
                        (labels[label], int(rank))
                        for label, rank in zip(ranks.label[own], ranks.rank[own], strict=True)
                    ],
                    guesses=[(labels[label], chance, label in hidden) for label, chance in first],
                )
            )
    return examples
