"""Options of loading a release."""

from pydantic import BaseModel, Field

from booru_pipeline.release.names import NameRule


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
    skip_name_rules: list[NameRule] = Field(
        [],
        description="Rules for the names of tags and boorus that are not applied, of "
        + "; ".join(f"{rule.value}: {rule.meaning}" for rule in NameRule)
        + ".",
    )
    memory_mib: int = Field(
        1024,
        ge=128,
        description="Memory that loading a release may take beside the program's own, however large its files are.",
        json_schema_extra={"makes_nothing_stale": "It changes how a table is made, and nothing in it."},
    )
