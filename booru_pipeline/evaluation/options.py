"""Options of an evaluation. No heavy import: the Dagster definitions inherit from it."""

from typing import Annotated, Final

from pydantic import BaseModel, Field, field_validator


class ProbeOptions(BaseModel, frozen=True, extra="forbid"):
    """How much is probed, and how much held-out data a probe needs."""

    seed: int = Field(default=0, description="Decides the bootstrap and which edges stand against implications.")
    bootstrap_samples: int = Field(default=1000, gt=0, description="Resamples behind each 95 % interval.")
    probe_characters: int = Field(
        default=50, ge=0, description="Characters, the most frequent on test posts, that are given alone."
    )
    probe_pairs: int = Field(
        default=20, ge=0, description="Pairs of a character and a general label, three a character at most."
    )
    probe_edges: int = Field(default=1000, ge=0, description="Implications between labels, drawn if there are more.")
    probe_tags: int = Field(
        default=300,
        gt=0,
        description="Labels, drawn from those on enough test posts, that are given alone to hold probabilities against "
        "held-out shares.",
    )
    probe_tag_support: int = Field(
        default=20,
        gt=0,
        description="Test posts that such a label should be on; the fewer, the more the shares are off by chance.",
    )
    top: int = Field(
        default=20, gt=0, description="Guesses of each post that predictions.parquet keeps and calibration looks at."
    )
    probe_min_support: int = Field(
        default=50,
        gt=0,
        description="Test posts that a character or a pair should be on. If fewer than five are, the best supported "
        "are probed all the same, and the report says so.",
    )


HEADLINE_K: Final = 10
HEADLINE_SHARE: Final = 0.5

Share = Annotated[float, Field(gt=0, lt=1)]


class EvaluationOptions(ProbeOptions, frozen=True, extra="forbid"):
    """The masked-label recovery task's size and what the report shows."""

    test_posts: int = Field(
        default=2000, gt=0, description="Test posts to score at most; chosen by hash of seed, booru and fid."
    )
    test_posts_slow: int = Field(
        default=200, gt=0, description="The same for a checkpoint that ranks labels piece by piece, which is slow."
    )
    shortlist: int = Field(
        default=0,
        ge=0,
        description="The model ranks only so many labels for each post, those that EASE puts first; faster where each "
        "label is read piece by piece, but what EASE leaves out cannot be found. 0 = all labels.",
    )
    generation_posts: int = Field(
        default=100,
        gt=0,
        description="Posts for which a checkpoint that generates is let speak freely, to count what is no valid label.",
    )
    validation_posts: int = Field(
        default=1000, gt=0, description="Validation posts at most on which the baselines' settings are chosen."
    )
    hidden_shares: list[Share] = Field(
        default=[0.1, 0.3, 0.5, 0.9],
        min_length=1,
        description="Shares of a post's labels that are hidden, each in turn; at least one label stays and one goes.",
    )
    ks: list[Annotated[int, Field(gt=0)]] = Field(
        default=[1, 5, 10, 20], description="Cut-offs for recall@k; 10, the headline's, is added if it is missing."
    )
    label_support: int = Field(
        default=10,
        gt=0,
        description="Posts that must hide a label for it to count in micro and macro average precision.",
    )
    label_limit: int = Field(
        default=1000,
        gt=0,
        description="Labels at most behind micro and macro average precision, those hidden most often; bounds memory.",
    )
    label_cap: int = Field(
        default=10_000, gt=0, description="Most frequent labels that baselines of label pairs know; bounds memory."
    )
    seed: int = Field(
        default=0,
        description="Decides which posts, which labels are hidden, the bootstrap, and the probes' false edges.",
    )
    examples: int = Field(
        default=4, ge=0, description="Posts shown of the best, of the worst and of the unpicked ones."
    )
    change_support: int = Field(
        default=10, gt=0, description="Test posts that must hide a label for it to be compared with the parent's."
    )
    changes_shown: int = Field(
        default=15,
        ge=0,
        description="Labels shown of those that got better, got worse, became more frequent and rarer.",
    )
    batch_size: int = Field(
        default=256,
        gt=0,
        description="Posts that the model scores at once.",
        json_schema_extra={"makes_nothing_stale": "It costs time or memory; the result is the same."},
    )

    @field_validator("hidden_shares", "ks")
    @classmethod
    def _each_once(cls, values: list[float]) -> list[float]:
        return sorted(set(values))

    @property
    def headline_share(self) -> float:
        """The hidden share that examples are taken from: the one nearest a half."""
        return min(self.hidden_shares, key=lambda share: abs(share - HEADLINE_SHARE))

    @property
    def all_ks(self) -> list[int]:
        """The cut-offs, the headline's among them."""
        return sorted({*self.ks, HEADLINE_K})
