"""Options of the training shards."""

from pydantic import BaseModel, Field


class ShardOptions(BaseModel, frozen=True, extra="forbid"):
    """How posts are split and stored. Changing the shares or the salt moves posts between sides, so do it once."""

    validation_share: float = Field(0.05, ge=0, lt=0.5, description="Share of pictures in the validation split.")
    test_share: float = Field(
        0.05, gt=0, lt=0.5, description="Share of pictures in the test split, without which nothing can be evaluated."
    )
    ratings: list[str] = Field(
        [],
        description="Ratings of the posts that are taken: g, s, q, e, or unrated for posts of dumps that have none. "
        "Empty: all posts.",
    )
    min_score: int | None = Field(
        None, description="The score that a post needs, where its dump has scores; posts without one are taken."
    )
    salt: str = Field("booru", description="Mixed into the hash that splits: another salt, another split.")
