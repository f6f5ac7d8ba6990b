"""Posts to look at: where the model does best, where worst, and some that nobody picked."""

from typing import Final, Literal

import numpy as np
from pydantic import Field

from booru_pipeline.evaluation.figures.ranks import recall_at, reciprocal_rank
from booru_pipeline.evaluation.finding import Finding, Share
from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.recovery import Asked
from booru_pipeline.evaluation.task import RecoveryTask

LEAST_ASKED: Final = 5
"""Labels that a post must hide to be the best or worst: with one or two, either is luck."""
_GUESSES: Final = 15

Kind = Literal["best", "worst", "unpicked"]


class HiddenLabel(Finding):
    """A label to recover."""

    label: str
    rank: int = Field(ge=1, description="The model's.")


class Guess(Finding):
    """A label that the model guesses."""

    label: str
    probability: Share
    hidden: bool = Field(description="Whether it was hidden, so that the guess is right.")


class Example(Finding):
    """One post as the report shows it."""

    kind: Kind
    booru: str = Field(description="Its site.")
    fid: int = Field(description="Its id there.")
    recall: Share = Field(description="The model's recall@10 on it.")
    reciprocal_rank: Share = Field(description="1 / rank of its best ranked hidden label.")
    given: list[str] = Field(description="The labels that the model saw.")
    hidden: list[HiddenLabel] = Field(description="The model's best ranked first.")
    guesses: list[Guess] = Field(description="The model's first ones.")


def pick_examples(task: RecoveryTask, asked: Asked, labels: list[str], *, count: int) -> list[Example]:
    """The best and the worst posts by recall@10, then reciprocal rank, then in hash order; and the first by hash.

    At most `count` of each kind, and a post is shown once.
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
    kinds: dict[Kind, list[int]] = {"best": best, "worst": worst, "unpicked": unpicked}
    examples = []
    for kind, rows in kinds.items():
        for row in rows:
            of_row = ranks.owner == row
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
                        HiddenLabel(label=labels[label], rank=int(rank))
                        for label, rank in zip(ranks.label[of_row], ranks.rank[of_row], strict=True)
                    ],
                    guesses=[
                        Guess(label=labels[label], probability=chance, hidden=label in hidden)
                        for label, chance in first
                    ],
                )
            )
    return examples
