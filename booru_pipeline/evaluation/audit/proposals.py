"""Proposed implications measured: some of the known ones are hidden and looked for."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.audit.implications import propose
from booru_pipeline.evaluation.finding import Count, Finding, Share
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import implied_matrix
from booru_pipeline.vocabulary.vocabulary import Vocabulary

PROPOSED: Final = "audit"
CONFIDENCE: Final = "confidence alone"
LIFT: Final = "lift alone"
_FIFTHS: Final = 5
_CUT: Final = 100

Rows = NDArray[np.int64]


class ProposalFigures(Finding):
    """A way to rank pairs, the mean over the fifths."""

    precision: Share = Field(description="Of its first 100 pairs, the share that is implied, however indirectly.")
    recall: Share = Field(description="Of the hidden implications, the share that is among them.")
    precision_by_fifth: list[Share]
    recall_by_fifth: list[Share]


class ProposalFindings(Finding):
    """Implications proposed, beside other ways to rank pairs of labels."""

    known: Count = Field(description="Direct implications between labels, that the others do not give.")
    supported: Count = Field(description="Those of them whose antecedent is on 73 posts, which the bound of 95 % asks.")
    listed: float = Field(description="Pairs that are proposed at all, mean over the fifths.")
    methods: dict[str, ProposalFigures] = Field(
        description="A fifth of the known implications is hidden, each in turn, and pairs that the rest gives are left "
        "out. The audit: those whose share of posts is 95 % or more by Wilson's lower bound, in its order; of fewer "
        "than 100 pairs precision is the share of these. Confidence alone: by the share of posts, of equal ones by how "
        "many posts. Lift alone: by the share over the consequent's share of posts. What holds and is not known counts "
        "as wrong."
    )


def measure_proposals(
    counts: PostCounts, vocabulary: Vocabulary, relations: Relations, min_share: float, seed: int
) -> ProposalFindings | None:
    """Hide a fifth of the known implications, each in turn; None if there are fewer than five.

    Args:
        counts: Of the posts.
        vocabulary: The labels.
        relations: The known implications.
        min_share: Wilson's lower bound that a proposed pair reaches.
        seed: Decides which are in one fifth.
    """
    index = vocabulary.index
    direct = sorted(
        (one, other)
        for one, others in relations.implications.items()
        for other in others
        if one in index and other in index and other not in relations.closure(others - {other})
    )
    if len(direct) < _FIFTHS:
        return None
    every = implied_matrix(vocabulary, relations)
    order = np.random.default_rng(seed).permutation(len(direct))
    hits: dict[str, list[tuple[float, float]]] = {PROPOSED: [], CONFIDENCE: [], LIFT: []}
    listed = []
    for fifth in range(_FIFTHS):
        hidden = [direct[place] for place in order[fifth::_FIFTHS].tolist()]
        left = implied_matrix(vocabulary, _without(relations, hidden))
        proposed = propose(counts, vocabulary, left, min_share)
        listed.append(len(proposed))
        pairs = counts.together.tocoo()
        new = np.asarray(left[pairs.row, pairs.col]).ravel() == 0
        one, other, together = (part[new] for part in (pairs.row, pairs.col, pairs.data))
        share = together / counts.labels[one]
        ranked = {
            PROPOSED: (proposed.antecedent[:_CUT], proposed.consequent[:_CUT]),
            CONFIDENCE: _first(one, other, (share, together)),
            LIFT: _first(one, other, (share / counts.share[other], together)),
        }
        wanted = {(index[antecedent], index[consequent]) for antecedent, consequent in hidden}
        for name, (antecedent, consequent) in ranked.items():
            right = np.asarray(every[antecedent, consequent]).ravel() > 0 if len(antecedent) else np.empty(0, bool)
            found = wanted & set(zip(antecedent.tolist(), consequent.tolist(), strict=True))
            hits[name].append((float(right.mean()) if len(right) else 0.0, len(found) / len(wanted)))
    needed = _support(min_share)
    return ProposalFindings(
        known=len(direct),
        supported=sum(int(counts.labels[index[one]]) >= needed for one, _ in direct),
        listed=float(np.mean(listed)),
        methods={
            name: ProposalFigures(
                precision=float(np.mean([precision for precision, _ in found])),
                recall=float(np.mean([recall for _, recall in found])),
                precision_by_fifth=[precision for precision, _ in found],
                recall_by_fifth=[recall for _, recall in found],
            )
            for name, found in hits.items()
        },
    )


def _without(relations: Relations, hidden: list[tuple[str, str]]) -> Relations:
    gone = set(hidden)
    left = {
        one: frozenset(other for other in others if (one, other) not in gone)
        for one, others in relations.implications.items()
    }
    return Relations(relations.aliases, left, relations.source)


def _first(one: Rows, other: Rows, by: tuple[NDArray[np.floating], ...]) -> tuple[Rows, Rows]:
    """The first 100 pairs by some figures, the highest first."""
    best, then = by
    at_least = np.partition(best, -_CUT)[-_CUT] if len(best) > _CUT else -np.inf
    some = np.flatnonzero(best >= at_least)
    chosen = some[np.lexsort((other[some], one[some], -then[some], -best[some]))[:_CUT]]
    return one[chosen].astype(np.int64), other[chosen].astype(np.int64)


def _support(min_share: float) -> int:
    """Posts without an exception that Wilson's lower bound asks for: n / (n + 1.96^2) is the bound."""
    return int(np.ceil(1.96**2 * min_share / (1 - min_share)))
