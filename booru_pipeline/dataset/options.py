"""Options of the split, the dataset's captions, and what of them is hidden."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, model_validator

from booru_pipeline.vocabulary.options import EncodingName

# The origin's captions had at most 32 tokens. With one token a label, 64 leave nearly every post whole.
MAX_TOKENS: Final = {EncodingName.LABELS: 64, EncodingName.PIECES: 32}


class CaptionOptions(BaseModel, frozen=True, extra="forbid"):
    """Which posts become captions, and which of their labels a caption keeps."""

    encoding: Literal["labels", "pieces"] = Field(
        "labels",
        description="labels: one token a label, started from the mean of its pieces. pieces: the base model's own "
        "SentencePiece pieces of the label's text.",
    )
    min_tokens: int = Field(
        4, ge=2, description="Posts whose labels have fewer tokens are left out, and so are posts of a single label."
    )
    max_tokens: int | None = Field(
        None,
        ge=4,
        description="A caption keeps labels up to this many tokens, separators included, chosen anew each epoch. "
        "Default: 32 for pieces, as the origin's, 64 for labels. Two labels are kept in any case.",
    )
    crucial_tokens: int = Field(
        4, ge=0, description="Crucial labels of up to this many tokens are chosen first, then any others, at random."
    )
    crucial_categories: list[int] = Field(
        [1, 3, 4],
        description="Categories whose labels are crucial: artist (if it is learned), copyright, character.",
    )

    @property
    def encoding_name(self) -> EncodingName:
        """`encoding` by its type, which Dagster's launchpad could not offer as a choice."""
        return EncodingName(self.encoding)

    @property
    def most_tokens(self) -> int:
        """`max_tokens`, or the encoding's default."""
        return self.max_tokens or MAX_TOKENS[self.encoding_name]


class SplitOptions(BaseModel, frozen=True, extra="forbid"):
    """Which posts are too alike to be on two sides of the split."""

    near_duplicate_jaccard: float = Field(
        0.9,
        ge=0,
        le=1,
        description="Posts with the same artists and characters are one group if their other tags, meta tags apart, "
        "overlap by this much (Jaccard index); 0 = only posts of the same picture are.",
    )
    near_duplicate_min_tags: int = Field(
        8, ge=1, description="Posts with fewer such tags are alike by chance: only the same picture joins them."
    )


class DatasetOptions(CaptionOptions, SplitOptions, frozen=True, extra="forbid"):
    """Which posts the dataset holds, and how."""

    min_coverage: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The gate fails if the vocabulary covers a smaller share of the occurrences of general tags: too "
        "much of what the posts say would be lost.",
        json_schema_extra={
            "makes_nothing_stale": "It decides what the gate lets pass: only what it judges otherwise now is stale."
        },
    )


class MaskingOptions(BaseModel, frozen=True, extra="forbid"):
    """How much of a caption is hidden when it is seen. The weights need not add up to 1."""

    label_masking: float = Field(
        0.5, ge=0, description="Weight of caption completion: whole labels are hidden, and they are the target."
    )
    token_masking: float = Field(
        0.5,
        ge=0,
        description="Weight of label completion: single tokens are hidden, and the labels that lost any are the "
        "target. With one token a label it is the same as label_masking.",
    )
    span_corruption: float = Field(
        0.0, ge=0, description="Weight of T5's own objective: a sentinel stands for each hidden span of tokens."
    )
    hidden_share_min: float = Field(0.1, ge=0, le=1, description="The least share of a post's labels that is hidden.")
    hidden_share_max: float = Field(
        1.0, ge=0, le=1, description="The largest share that is hidden; one label always stays visible."
    )
    hidden_shares: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        default=[],
        description="Shares of which every second post takes one, such as those that the evaluation hides; empty = all "
        "posts take one between the least and the largest.",
    )
    single_visible_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of the posts that show a single label, whatever the shares above: what a person asks who "
        "types one tag.",
    )
    max_hidden_tokens: int = Field(
        0, ge=0, description="No more tokens than this are hidden; 0 = the share decides. The origin's was 8."
    )

    @model_validator(mode="after")
    def _sensible(self) -> "MaskingOptions":
        if self.hidden_share_min > self.hidden_share_max:
            raise ValueError(
                f"hidden_share_min {self.hidden_share_min} is above hidden_share_max {self.hidden_share_max}: swap them"
            )
        if not self.label_masking + self.token_masking + self.span_corruption:
            raise ValueError("nothing would be hidden: give label_masking, token_masking or span_corruption a weight")
        return self
