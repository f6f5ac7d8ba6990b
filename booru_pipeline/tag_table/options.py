"""Options of loading a release."""

from pydantic import BaseModel, Field


class TagTableOptions(BaseModel, frozen=True, extra="forbid"):
    """How a raw release becomes a tag table."""

    max_reject_share: float = Field(
        0.005,
        ge=0,
        le=1,
        description="Share of a file's lines that may be unusable. Above it the load fails, names the first ten, and "
        "keeps the former table.",
        json_schema_extra={
            "makes_nothing_stale": "It decides which loads are accepted: only a table with more rejects is stale."
        },
    )
