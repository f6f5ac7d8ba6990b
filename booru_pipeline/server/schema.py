"""What the server is asked and what it answers, as JSON: the schema at `/api/openapi.json` is made of these."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from booru_pipeline.model.suggest.answer import Answer

Name = Annotated[str, StringConstraints(max_length=2000)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
CheckpointName = Annotated[str, StringConstraints(max_length=200)]
_OF = "Of a release or trial, such as 2021d or 2021d@lr5; the one in use by default."


class SuggestQuestion(BaseModel):
    """Which tags a picture has."""

    model_config = ConfigDict(extra="forbid")

    tags: list[Name] = Field(min_length=1, max_length=200, description="Tags, or a prompt in one piece.")
    top: int = Field(20, ge=1, le=500, description="Suggestions at most.")
    categories: list[Name] = Field(default_factory=list, max_length=5, description="Only these categories.")
    exclude: list[Pattern] = Field(default_factory=list, max_length=50, description="Patterns of tags to leave out.")
    hide_implied: bool = Field(False, description="Leave out what an implication says.")
    min_support: int = Field(0, ge=0, le=1_000_000_000, description="Posts that it needs with the given tags.")
    explain: bool = Field(False, description="Say of each suggestion where it comes from.")
    checkpoint: CheckpointName | None = Field(None, description=_OF)


@dataclass(frozen=True)
class SuggestAnswer(Answer):
    """An answer, by which checkpoint it is, and what is to be said beside it.

    Attributes:
        checkpoint: The release's key, or the trial's.
        notes: Sentences about the given tags, and why there is no suggestion if there is none.
    """

    checkpoint: str = ""
    notes: list[str] = field(default_factory=list)


class TagName(BaseModel):
    """A name that a text may become.

    Attributes:
        tag: The label.
        category: Its category's name.
        posts: Posts that have it.
        alias: The alias that fits the text, if the label's own name does not.
    """

    tag: str
    category: str
    posts: int
    alias: str | None = None


class CompleteQuestion(BaseModel):
    """Which tags a set begins with, and how it is drawn."""

    model_config = ConfigDict(extra="forbid")

    tags: list[Name] = Field(min_length=1, max_length=200, description="Tags, or a prompt in one piece.")
    count: int | None = Field(None, ge=1, le=500, description="Tags of the set; by default as many as posts have.")
    temperature: float = Field(1.0, gt=0, le=100, description="Below 1 sets are more ordinary, above 1 odder.")
    seed: int | None = Field(None, ge=0, le=2**53 - 1, description="The same seed gives the same set; by lot if none.")
    categories: list[Name] = Field(default_factory=list, max_length=5, description="Draw from these categories only.")
    exclude: list[Pattern] = Field(default_factory=list, max_length=50, description="Patterns of tags never drawn.")
    checkpoint: CheckpointName | None = Field(None, description=_OF)


class CompletedTag(BaseModel):
    """A tag of a set: given, implied, or drawn with a probability."""

    tag: str
    category: str
    given: bool
    implied: bool
    probability: float | None


class CompleteAnswer(BaseModel):
    """A whole tag set, and the natural logarithm of the probability of drawing it in this order."""

    checkpoint: str
    seed: int
    tags: list[CompletedTag]
    log_probability: float
    notes: list[str]


class RelatedTag(BaseModel):
    """A label that is like another.

    Attributes:
        tag: The label.
        category: Its category's name.
        together: Train posts that have both.
        posts: Train posts that have it.
        likeness: By what was asked for.
    """

    tag: str
    category: str
    together: int
    posts: int
    likeness: float


class CheckpointChoice(BaseModel):
    """A checkpoint that can be asked."""

    name: str
    is_promoted: bool


class Health(BaseModel):
    """How the server is: `loading` until a checkpoint is open."""

    status: str
    checkpoint: str | None = None
    labels: int = 0
    posts: int = 0
    waiting: int = 0
    completes: bool = True
    version: str


class Refusal(BaseModel):
    """Why there is no answer, in a sentence."""

    error: str
