"""Danbooru's implications, told from edges that are none."""

from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.probing import PairedAuc
from booru_pipeline.evaluation.finding import Count, Finding, Share, definitions
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.counts import Exam
from booru_pipeline.evaluation.scorer import Scorer
from booru_pipeline.vocabulary.implied import direct_implications

REVERSED: Final = "reversed"
SIBLING: Final = "sibling"
EXCHANGED: Final = "exchanged"

_CONTEXTS_AT_ONCE: Final = 64
_NONE: Final = -1

Ints = NDArray[np.int64]


class ImplicationFigures(Finding):
    """A method on one kind of false edges."""

    auc: Share = Field(
        description="The chance that the score of a parent given its child alone is above that of a false edge's end "
        "given its start, ties counting half. False edges, one for each true: the parent to the child (reversed), the "
        "child to another child of the parent (sibling), the child to the parent of another edge (exchanged)."
    )
    interval: Interval | None = Field(
        description="The same with its 95 % interval, bootstrap over children; null with fewer than two."
    )
    behind: Interval | None = Field(description="The model's AUC less this method's; 0 for the model itself.")


class ImplicationContrast(Finding):
    """True edges against false ones of one kind, one for each."""

    edges: Count = Field(description="True edges that have a false one of this kind; the others do not count here.")
    children: Count = Field(description="Labels that these start from.")
    methods: dict[str, ImplicationFigures]


class ImplicationFindings(Finding):
    """The implication graph. An edge, true or false, is scored by the score of its end given its start alone."""

    edges: Count = Field(description="Implications between labels that were scored, direct ones only.")
    children: Count = Field(description="Labels that they start from.")
    parents: Count = Field(description="Labels that they end at.")
    contrasts: dict[str, ImplicationContrast] = Field(
        description="By kind of false edge. `reversed`: the parent to the child; since a parent is on every post that "
        "its child is on, popularity alone tells these apart. `sibling`: the child to another child of the parent. "
        "`exchanged`: the child to the parent of another edge, drawn at random, so that popularity is of no help. None "
        "of them is an implication, however indirect. A kind of which there are no edges is left out."
    )


def probe_implications(exam: Exam) -> ImplicationFindings | None:
    """Score each implication of the vocabulary, and edges that are none; None if no label implies another."""
    options, edges = exam.options, direct_implications(exam.vocabulary, exam.relations).T
    generator = np.random.default_rng(options.seed)
    if len(edges) > options.probe_edges:
        edges = edges[np.sort(generator.choice(len(edges), size=options.probe_edges, replace=False))]
    if not len(edges):
        return None
    child, parent = edges.T
    false = _false_edges(exam, child, parent, generator)
    starts, ends = (np.concatenate(sides) for sides in zip((child, parent), *false.values(), strict=True))
    # All kinds at once, since most edges start from the same children.
    scores = {name: _edge_scores(method, starts, ends).reshape(-1, len(edges)) for name, method in exam.methods.items()}
    contrasts = {}
    for number, (kind, (_, end)) in enumerate(false.items(), start=1):
        there = end != _NONE
        if there.any():
            contrasts[kind] = ImplicationContrast(
                edges=int(there.sum()),
                children=len(np.unique(child[there])),
                methods=_figures(
                    {name: (score[0, there], score[number, there]) for name, score in scores.items()},
                    child[there],
                    options,
                ),
            )
    return ImplicationFindings(
        edges=len(edges), children=len(np.unique(child)), parents=len(np.unique(parent)), contrasts=contrasts
    )


def _false_edges(exam: Exam, child: Ints, parent: Ints, generator: np.random.Generator) -> dict[str, tuple[Ints, Ints]]:
    """Start and end of a false edge for each true one, by kind; the end is _NONE where there is none."""
    children = defaultdict(list)
    for start, end in zip(child.tolist(), parent.tolist(), strict=True):
        children[end].append(start)
    sibling, exchanged = np.full_like(child, _NONE), np.full_like(child, _NONE)
    for edge, (start, end) in enumerate(zip(child.tolist(), parent.tolist(), strict=True)):
        known = exam.closed(start)
        others = np.setdiff1d(children[end], known)
        if len(others):
            sibling[edge] = generator.choice(others)
        elsewhere = parent[~np.isin(parent, known)]  # as often as it is a parent, to match the true ends
        if len(elsewhere):
            exchanged[edge] = generator.choice(elsewhere)
    return {REVERSED: (parent, child), SIBLING: (child, sibling), EXCHANGED: (child, exchanged)}


def _edge_scores(method: Scorer, start: Ints, end: Ints) -> NDArray[np.float32]:
    """[edges]: the score of each end given its start alone; of no meaning where the end is _NONE."""
    scores = np.empty(len(start), dtype=np.float32)
    contexts, context = np.unique(start, return_inverse=True)
    for first in range(0, len(contexts), _CONTEXTS_AT_ONCE):
        block = contexts[first : first + _CONTEXTS_AT_ONCE]
        answers = method.scores([[row] for row in block.tolist()])
        asked = np.flatnonzero((context >= first) & (context < first + len(block)))
        scores[asked] = answers[context[asked] - first, end[asked]]
    return scores


def _figures(
    scores: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]], children: Ints, options: ProbeOptions
) -> dict[str, ImplicationFigures]:
    """From each method's scores of true and of false edges."""
    auc = PairedAuc(children, options)
    areas = {name: auc.areas(true, false) for name, (true, false) in scores.items()}
    model = next(iter(areas.values()))
    return {
        name: ImplicationFigures(auc=float(area[0]), interval=auc.interval(area), behind=auc.interval(model - area))
        for name, area in areas.items()
    }


DEFINITIONS: Final = definitions(ImplicationFigures, implication_auc="auc")
