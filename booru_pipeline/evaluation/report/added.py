"""What T5 adds to counting: a hidden label that it names and that no way of counting does, chosen by a rule."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.evaluation.figures.ranks import Ranks
from booru_pipeline.evaluation.finding import Count, Finding
from booru_pipeline.evaluation.recovery import Asked
from booru_pipeline.evaluation.results import MODEL, T5_ALONE
from booru_pipeline.evaluation.task import RecoveryTask

NAMED: Final = 3
"""A label is named if it is among so many first guesses."""


class Added(Finding):
    """A hidden label that T5 alone names though counting does not."""

    booru: str = Field(description="The post's site.")
    fid: int = Field(description="Its id there.")
    given: list[str] = Field(description="The labels that were seen.")
    label: str = Field(description="The hidden one.")
    t5_rank: int = Field(ge=1, description="Where T5 alone ranks it.")
    answer_rank: int = Field(ge=1, description="Where the answer does.")
    baseline: str = Field(description="The baseline that ranks it best.")
    baseline_rank: int = Field(
        ge=1,
        description=f"Where that one ranks it. Of the hidden labels that T5 alone has among its first {NAMED} at the "
        "headline's share, the one with the largest such rank is shown, of equal ones that of the first post by hash.",
    )
    found: Count = Field(
        description=f"Hidden labels that T5 alone has among its first {NAMED}, and no baseline among its first 10."
    )
    lost: Count = Field(description="Those that a baseline has among its first 3, and T5 alone not among its first 10.")

    @property
    def sentence(self) -> str:
        """The same for people."""
        shown = self.given if len(self.given) <= 8 else [*self.given[:8], f"{len(self.given) - 8} more"]
        return (
            f"What T5 adds to counting, for instance: given {', '.join(shown)} (post {self.fid} of {self.booru}), it "
            f"names {self.label} as guess {self.t5_rank}; no way of counting puts it before guess "
            f"{self.baseline_rank:,} ({self.baseline})."
        )


def find_added(task: RecoveryTask, asked: Asked, labels: list[str]) -> Added | None:
    """The label that T5 adds, or None: if the answer is the T5's own, or T5 names nothing that was hidden."""
    if T5_ALONE not in asked.by_method:
        return None
    order = {name: _by_cell(ranks) for name, ranks in asked.by_method.items()}
    post, label, t5 = order[T5_ALONE]
    baselines = [name for name in order if name not in (MODEL, T5_ALONE)]
    counted = np.stack([order[name][2] for name in baselines])
    best = counted.min(axis=0)
    named = np.flatnonzero(t5 <= NAMED)
    if not len(named):
        return None
    cell = named[np.argmax(best[named])]
    place = int(np.searchsorted(asked.question.posts, post[cell]))
    return Added(
        booru=task.posts.column("booru")[int(post[cell])],
        fid=task.posts.column("fid")[int(post[cell])],
        given=[labels[row] for row in asked.question.given[place]],
        label=labels[int(label[cell])],
        t5_rank=int(t5[cell]),
        answer_rank=int(order[MODEL][2][cell]),
        baseline=baselines[int(counted[:, cell].argmin())],
        baseline_rank=int(best[cell]),
        found=int(np.sum((t5 <= NAMED) & (best > 10))),
        lost=int(np.sum((t5 > 10) & (best <= NAMED))),
    )


def _by_cell(ranks: Ranks) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Post, label and rank, sorted by post and label: the same order for every method."""
    order = np.lexsort((ranks.label, ranks.post))
    return ranks.post[order], ranks.label[order], ranks.rank[order]
