"""All that an evaluation found: what metrics.json holds and report.html shows."""

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, computed_field

from booru_pipeline.evaluation.audit import measure
from booru_pipeline.evaluation.audit.measure import AuditFindings
from booru_pipeline.evaluation.comparison.compare import DEFINITIONS as COMPARISON_DEFINITIONS
from booru_pipeline.evaluation.comparison.compare import Comparison
from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.comparison.promotion import Judgement, judge
from booru_pipeline.evaluation.figures.ranks import METRICS
from booru_pipeline.evaluation.finding import AtShare, Count, Finding, Share, definitions
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.probes import probe
from booru_pipeline.evaluation.probes.probe import ProbeFindings
from booru_pipeline.evaluation.report.added import Added
from booru_pipeline.evaluation.report.examples import Example
from booru_pipeline.evaluation.report.verdict import verdict
from booru_pipeline.evaluation.results import BaselineComparison, QuestionResult, Result, ShareResult
from booru_pipeline.model.provenance import LossCurve

FORMAT_VERSION: Final = 3


class Sizes(Finding):
    """How much was measured, and on how much the baselines were fitted."""

    labels: Count = Field(description="Labels of the vocabulary.")
    train_posts: Count = Field(description="Posts that the baselines were fitted on.")
    validation_posts: Count = Field(description="Posts that their settings were chosen on.")
    test_posts: Count = Field(description="Posts scored, all methods on the same.")
    test_posts_available: Count = Field(description="Posts of the test split with two labels or more.")
    test_posts_too_short: Count = Field(description="Posts of the test split with fewer.")
    pictures: Count = Field(description="Pictures that the posts scored show.")
    is_slow: bool = Field(description="Whether the checkpoint ranks so slowly that `test_posts_slow` bounds the posts.")


class Method(Finding):
    """The model, its T5 alone, or a baseline."""

    name: str
    description: str = Field(description="What it is and how it is set, at which hidden shares, in words.")


class Ceiling(AtShare):
    """The share of hidden labels that a shortlist contains, and so can be found."""

    ceiling: Share = Field(
        description="`ceiling` is the share of a post's labels asked for, not derivable, that are among those ranked; "
        "mean over posts."
    )


class Shortlist(Finding):
    """The labels that the model ranked where it did not rank all."""

    size: Count = Field(description="How many for each post.")
    proposer: str = Field(description="The baseline that chose them.")
    ceiling: list[Ceiling] = Field(description="No order of the shortlist finds more.")


class Generation(Finding):
    """Faults of labels that the model generates with nothing to hold it to the vocabulary."""

    answers: Count = Field(description="Labels said, valid or not.")
    unknown: Count = Field(description="Of these, no label.")
    repeated: Count = Field(description="A label that the same answer has already.")
    visible: Count = Field(description="A label that was given.")
    cut: Count = Field(description="Answers that were still going on when they had to end.")
    rate: Share = Field(
        description="Labels that the model says at the headline's share with nothing to hold it to labels: `rate` is "
        "the share of them that are no label, repeated, or given."
    )


class Findings(Finding):
    """An evaluation, whole. Keys of metrics.json are stable within a `format_version`."""

    format_version: Literal[3] = Field(FORMAT_VERSION, description="Raised when a key changes its meaning or goes.")
    release: str = Field(description="The release's key.")
    relations_missing: str = Field(
        "",
        description="Aliases or implications that there were none of, and what that means; empty if both were there.",
    )
    leaks: Leaks = Field(description="What lies on two sides of the split; above 0 no figure is to be trusted.")
    headline_share: Share = Field(description="The hidden share that examples are from.")
    options: EvaluationOptions = Field(description="What was asked for.")
    sizes: Sizes
    methods: list[Method] = Field(
        min_length=2,
        description="The model, T5 alone if that is not the same, and the baselines, in the tables' order.",
    )
    shares: list[ShareResult] = Field(min_length=1, description="All figures, from the least hidden share.")
    comparison: Comparison | None = Field(
        None, description="The model beside earlier checkpoints; null for the first release."
    )
    probes: ProbeFindings = Field(description="What one label says of the others.")
    audit: AuditFindings | None = Field(
        None, description="What an audit by the model finds again; null where it ranks too slowly to be asked."
    )
    shortlist: Shortlist | None = Field(None, description="The labels that the model ranked; null if all.")
    generation: Generation | None = Field(
        None, description="What is wrong with labels that the model generates freely; null if it only ranks."
    )
    has_learned: bool | None = Field(
        None,
        description="Whether training found more hidden labels of validation posts than the most frequent ones would; "
        "null if the checkpoint does not say.",
    )
    added: Added | None = Field(
        None, description="A label that T5 names and counting does not; null where the answer is the T5's own."
    )
    examples: list[Example] = Field(description="Posts at the headline's share.")
    definitions: dict[str, str] = Field(
        default_factory=lambda: DEFINITIONS, description="How each figure is made, in words."
    )
    loss: LossCurve = Field(default_factory=LossCurve, exclude=True)  # the checkpoint's, for the page alone

    @property
    def results(self) -> dict[float, QuestionResult]:
        """By hidden share what was found on labels that are not derivable, wherever a post hides such a label."""
        return {share.hidden_share: share.not_derivable for share in self.shares if share.not_derivable}

    @property
    def t5_alone(self) -> dict[float, BaselineComparison]:
        """The same of T5 alone; empty where the model's answer is its own."""
        return {share.hidden_share: share.t5_alone for share in self.shares if share.t5_alone}

    @property
    def headline(self) -> QuestionResult:
        """The result at the share nearest `headline_share`."""
        results = self.results
        return results[min(results, key=lambda share: abs(share - self.headline_share))]

    @computed_field(description="The headline in words.")  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> str:
        """See `verdict`."""
        return verdict(
            self.results, self.t5_alone, self.leaks, posts=self.sizes.test_posts, pictures=self.sizes.pictures
        )

    @computed_field(  # type: ignore[prop-decorator]
        description="At every hidden share, on labels that are not derivable, ahead of every baseline in recall@10 and "
        "MRR by more than the 95 % interval."
    )
    @property
    def beats_baselines(self) -> bool:
        """Whether the model is ahead of every baseline at every share, in recall@10 and MRR, by more than chance."""
        return all(result.beats_baselines for result in self.results.values())

    @computed_field(  # type: ignore[prop-decorator]
        description="The same of T5 alone; null where the model's answer is its own."
    )
    @property
    def t5_beats_baselines(self) -> bool | None:
        """Whether what the T5 has learned beats counting, likewise; None where the model's answer is its own."""
        alone = self.t5_alone
        return all(result.beats_baselines for result in alone.values()) if alone else None

    @property
    def judgement(self) -> Judgement:
        """What speaks against promoting the checkpoint."""
        return judge(self.results, self.comparison, self.leaks, has_learned=self.has_learned)

    @computed_field(  # type: ignore[prop-decorator]
        description="Where the whole interval of a difference of the answer lies below 0, in recall@10 or MRR: against "
        "any baseline, the parent or the promoted checkpoint, at any share. A checkpoint without losses, without a "
        "leak, and that has left the plateau on which training starts, may be promoted."
    )
    @property
    def losses(self) -> list[str]:
        """Why the checkpoint may not be promoted, a phrase each; see `judge`."""
        return self.judgement.losses

    @computed_field(description="The same as one sentence for people, or how the answer stands.")  # type: ignore[prop-decorator]
    @property
    def judgement_in_words(self) -> str:
        """See `Judgement.sentence`."""
        return self.judgement.sentence

    def write(self, folder: Path) -> None:
        """Write metrics.json."""
        metrics = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / "metrics.json").write_text(metrics + "\n", encoding="utf-8")


def read_findings(report: Path) -> Findings | None:
    """What a report's metrics.json holds; None if it is not there, cannot be read, or is of another format version."""
    try:
        content = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
        return Findings.model_validate(content)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


DEFINITIONS: Final[dict[str, str]] = {
    "task": (
        "A share of the labels of test posts is hidden, the rest are given; the same posts at each share, and what a "
        "smaller share hides, a larger one hides too. Posts go by hash of seed, booru and fid, labels by hash of these "
        "and the label's name."
    ),
    **definitions(ShareResult, "not_derivable", "derivable", "all", "t5_alone"),
    "settings": (
        "A baseline's settings are chosen for each hidden share by recall@10, of equal ones by MRR, on the headline's "
        "question about validation posts. Probes, which give one label, ask the baselines of the largest share."
    ),
    "filtered": "Labels that are right as well and not asked for do not count as guesses (Bordes et al. 2013).",
    "ties": "A hidden label ranks behind every other label of the same score.",
    "recall_at_k": "Hidden labels among the first k guesses over min(k, hidden labels), mean over posts.",
    **{name: metric.definition for name, metric in METRICS.items()},
    "support": (
        "A label counts in micro and macro average precision if `label_support` of the posts hide it; of more than "
        "`label_limit`, those hidden most often. `labels_counted` says how many."
    ),
    **definitions(QuestionResult, "by_category", "by_frequency"),
    **definitions(Result, "differences"),
    "interval": "95 % percentile interval of the mean difference, paired bootstrap over picture groups.",
    **definitions(BaselineComparison, beats="beats_baselines"),
    **definitions(BaselineComparison, "best_baseline"),
    **definitions(QuestionResult, "calibration"),
    **definitions(Ceiling, shortlist="ceiling"),
    **definitions(Generation, generation="rate"),
    **probe.DEFINITIONS,
    **measure.DEFINITIONS,
    **COMPARISON_DEFINITIONS,
    **definitions(Findings, "losses"),
    **definitions(Added, added="baseline_rank"),
}


def metrics_schema() -> dict[str, Any]:
    """The JSON Schema of metrics.json, with a description of each figure."""
    schema = Findings.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
