"""The audit measured: hidden and planted labels are looked for, beside counting alone and implications alone."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.audit.options import AuditOptions
from booru_pipeline.audit.planted import Faulty, by_frequency, by_likeness, hide_one, plant_one
from booru_pipeline.audit.scan import Scanner
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.evaluation.audit.precision import CUTS, Listed, precisions
from booru_pipeline.evaluation.audit.proposals import ProposalFigures, ProposalFindings, measure_proposals
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.finding import Count, Finding, definitions
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.scorer import Scorer, scores_in_parts
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.ranking import best_of
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary

AUDIT: Final = "audit"
COUNTING: Final = "counting alone"
IMPLICATIONS: Final = "implications alone"

FIGURES: Final = (*(f"precision_at_{cut}" for cut in CUTS), "average_precision")

_LISTED: Final = 50  # labels of a post that a method may say are missing
_LAST: Final = 1e6  # what is not asked about comes behind, as counting has it
_EVERYTHING: Final = {"missing_a_post": _LISTED, "min_probability": 1e-9, "max_ratio": 1e9}

Rows = NDArray[np.int64]


class AuditFigures(Finding):
    """A method's list."""

    precision_at_100: Interval
    precision_at_1000: Interval
    average_precision: Interval
    behind: dict[str, Interval] = Field(description="The audit less this method, by figure; 0 for the audit itself.")

    @property
    def figures(self) -> dict[str, Interval]:
        """By name."""
        return {name: getattr(self, name) for name in FIGURES}


class AuditQuestion(Finding):
    """Faults of one kind, one on each post."""

    question: str = Field(
        description="`missing`: a label was hidden by lot; `missing, not implied`: one that the others do not imply; "
        "`wrong, by frequency`: a label that the post has not was planted, as often as posts have it; `wrong, by "
        "likeness`: one of the 20 of its category that are most like one that the post has. What a planted label "
        "implies was planted with it, and is not asked about."
    )
    faults: Count = Field(description="Posts with a fault.")
    methods: dict[str, AuditFigures] = Field(
        description="The audit, as `tag_audit` makes it, and behind the suspects the other labels in counting's order; "
        "counting alone: EDLAE, for missing labels with the settings of the least hidden share, for wrong ones its "
        "score by the other labels of the post over the label's share of posts; implications alone: what the labels "
        "imply, which says nothing of wrong ones on posts that are closed under them."
    )


class AuditFindings(Finding):
    """The audit, as far as it can be measured: what posts lack besides the hidden label counts as wrong."""

    proposals: ProposalFindings | None = Field(
        description="Implications proposed; null if fewer than five are known between labels."
    )
    questions: list[AuditQuestion] = Field(
        description="Precision at 100 and at 1,000 is the share of the first so many findings that are right, of at "
        "most as many as there are faults; average precision the mean over faults of the precision at their place."
    )


DEFINITIONS: Final = {
    **definitions(AuditFindings, audit="questions"),
    **definitions(AuditQuestion, audit_question="question", audit_methods="methods"),
    **definitions(ProposalFindings, proposals="methods"),
    **definitions(ProposalFigures, proposals_precision="precision", proposals_recall="recall"),
}


def measure_audit(
    predictor: Predictor,
    posts: Posts,
    validation: Posts,
    train: sparse.csr_array,
    implied: sparse.csr_array,
    vocabulary: Vocabulary,
    edlae: Scorer,
    relations: Relations,
    options: EvaluationOptions,
) -> AuditFindings:
    """Look for what was hidden and planted.

    Args:
        predictor: The checkpoint.
        posts: Test posts.
        validation: Validation posts, on which T5 and counting are weighed.
        train: Train posts, [posts, labels].
        implied: Which label implies which.
        vocabulary: The labels.
        edlae: The baseline, set for the least hidden share.
        relations: The known implications.
        options: Seed and resamples.
    """
    scanner = Scanner.of(predictor, lambda: train, implied, AuditOptions(**_EVERYTHING)).weighed(validation)
    groups = np.asarray(posts.column("group_md5"), dtype=np.str_)
    counts, seed = scanner.table.counts, options.seed
    like = by_likeness(posts, Posts(train.indices.astype(np.int64), train.indptr), vocabulary.categories, seed)
    faulty = {
        "missing": hide_one(posts, implied, seed, derivable=True),
        "missing, not implied": hide_one(posts, implied, seed, derivable=False),
        "wrong, by frequency": plant_one(posts, implied, by_frequency(counts, seed)),
        "wrong, by likeness": plant_one(posts, implied, like),
    }
    counted = PostCounts(train, scanner.table.together, counts)
    questions = []
    for name, part in faulty.items():
        if len(part):
            lists = _missing(scanner, part, edlae) if name.startswith("missing") else _wrong(scanner, part)
            questions.append(_question(name, part, lists, groups, options))
    return AuditFindings(
        questions=questions,
        proposals=measure_proposals(counted, vocabulary, relations, AuditOptions().min_share, seed),
    )


def _missing(scanner: Scanner, faulty: Faulty, edlae: Scorer) -> dict[str, Listed]:
    posts, fault = faulty.posts, faulty.fault
    missing, _ = scanner.look(posts)
    owner, labels, certainty = [], [], []
    for part, scores in scores_in_parts(edlae, posts.labels):
        for at, rows in enumerate(best_of(scores, _LISTED), start=part.start):
            owner.append(np.full(len(rows), at))
            labels.append(rows)
            certainty.append(scores[at - part.start, rows])
    certain = missing.implied
    return {
        AUDIT: Listed.of(missing.posts, missing.labels, missing.probability, fault),
        COUNTING: Listed.of(np.concatenate(owner), np.concatenate(labels), np.concatenate(certainty), fault),
        IMPLICATIONS: Listed.of(
            missing.posts[certain], missing.labels[certain], scanner.rate[missing.labels[certain]], fault
        ),
    }


def _wrong(scanner: Scanner, faulty: Faulty) -> dict[str, Listed]:
    posts, fault = faulty.posts, faulty.fault
    _, odd = scanner.look(posts)
    suspects = scanner.suspects(posts, odd)
    asked = np.flatnonzero(np.isfinite(odd))
    labels = scanner.table.labels
    is_listed = np.isin(posts.owner[asked] * labels + posts.rows[asked], suspects.posts * labels + suspects.labels)
    rest = asked[~is_listed]
    nothing = np.empty(0, np.int64)
    return {
        AUDIT: Listed.of(
            np.concatenate([suspects.posts, posts.owner[rest]]),
            np.concatenate([suspects.labels, posts.rows[rest]]),
            np.concatenate([-np.log(suspects.ratio), -_LAST - odd[rest]]),
            fault,
        ),
        COUNTING: Listed.of(posts.owner[asked], posts.rows[asked], -odd[asked], fault),
        IMPLICATIONS: Listed(nothing, nothing.astype(bool)),
    }


def _question(
    name: str, faulty: Faulty, lists: Mapping[str, Listed], groups: NDArray[np.str_], options: EvaluationOptions
) -> AuditQuestion:
    found = precisions(lists, groups[faulty.at], options.bootstrap_samples, options.seed)
    return AuditQuestion(
        question=name,
        faults=len(faulty),
        methods={
            method: AuditFigures(behind=dict(zip(FIGURES, behind, strict=True)), **dict(zip(FIGURES, own, strict=True)))
            for method, (own, behind) in found.items()
        },
    )
