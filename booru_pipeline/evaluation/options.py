"""What a person may choose about an evaluation. No heavy import: the Dagster definitions inherit from it."""

from pydantic import BaseModel, Field


class EvaluationOptions(BaseModel, frozen=True, extra="forbid"):
    """The masked-label recovery task's size and what the report shows."""

    test_posts: int = Field(
        default=2000, gt=0, description="Test posts to score at most; chosen by hash of seed, booru and fid."
    )
    hidden_share: float = Field(
        default=0.5, gt=0, lt=1, description="Share of a post's labels that is hidden; at least one stays, one goes."
    )
    ks: list[int] = Field(
        default=[1, 5, 10, 20], description="Cut-offs for recall@k; 10, the headline's, is added if it is missing."
    )
    seed: int = Field(default=0, description="Decides which posts, which labels are hidden, and the bootstrap.")
    bootstrap_samples: int = Field(
        default=1000, gt=0, description="Resamples of picture groups behind each 95 % interval."
    )
    probe_characters: int = Field(
        default=20, ge=0, description="Most frequent characters whose implied labels are compared with test posts."
    )
    top: int = Field(default=20, gt=0, description="Predicted labels kept for each post in predictions.parquet.")
    batch_size: int = Field(default=256, gt=0, description="Posts that the model scores at once.")
