"""Options of the vocabulary. Every field is shown in the UI's launchpad."""

from enum import StrEnum

from pydantic import BaseModel, Field


class EncodingName(StrEnum):
    """How a label becomes tokens."""

    LABELS = "labels"
    PIECES = "pieces"


class VocabularyOptions(BaseModel, frozen=True, extra="forbid"):
    """Which tags become labels."""

    min_general_posts: int = Field(
        10, ge=1, description="A general tag needs this many posts, over all releases so far. The origin's was 31."
    )
    min_name_posts: int = Field(
        10, ge=1, description="An artist, copyright or character tag needs this many posts. The origin's was 83."
    )
    categories: list[int] = Field(
        [0, 3, 4],
        description="Categories that are learned: 0 general, 1 artist, 3 copyright, 4 character, 5 meta, "
        "-1 uncatalogued. Artist and meta tags say nothing about what a picture shows.",
    )
