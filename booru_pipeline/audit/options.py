"""Options of the audit. No heavy import: the Dagster definitions inherit from it."""

from pydantic import BaseModel, Field


class AuditOptions(BaseModel, frozen=True, extra="forbid"):
    """What an audit keeps of what it finds."""

    min_probability: float = Field(
        default=0.3, gt=0, le=1, description="Least probability of a missing tag. What is implied is kept always."
    )
    missing_a_post: int = Field(default=20, gt=0, description="Missing tags of a post at most, the most probable ones.")
    max_ratio: float = Field(
        default=0.1,
        gt=0,
        description="A tag is suspect if the others on the post make it at most so many times as probable as it is on "
        "any post.",
    )
    asked_share: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="Share of all tags, those that counting finds the oddest, about which the checkpoint is asked "
        "whether they are suspect; the others are not.",
    )
    asked_least: int = Field(
        default=2000, ge=0, description="Tags that are asked about at least, whatever the share; few cost little."
    )
    min_share: float = Field(
        default=0.95,
        gt=0,
        lt=1,
        description="An implication is proposed if Wilson's lower bound of its share of posts is so high. A known one "
        "whose upper bound is lower is not kept by the posts.",
    )
    core_share: float = Field(
        default=0.8, gt=0, le=1, description="Share of a character's posts that have each of its core tags."
    )
    core_posts: int = Field(default=20, gt=0, description="Posts that a character with core tags has, at least.")
