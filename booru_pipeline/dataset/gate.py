"""The gate: no label is lost between the tag table and the model's tokens."""

from collections.abc import Mapping
from typing import Any, Final

from booru_pipeline.lake.document import Document
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.faults import LabelFaults
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_WORST: Final = 20


class GateReport(Document):
    """Findings of the gate.

    Attributes:
        faults: Of single labels.
        encoding: The encoding of the captions.
        longest_caption: Tokens of the longest caption that the model gets, end of sequence included.
        most_tokens: Tokens that the base model takes.
        coverage: Share of tag occurrences that are labels, by category.
        min_coverage: What it has to be for general tags.
        worst: The labels that need most pieces, each with label, category, posts, and the pieces as text.
    """

    FILE = "gate.json"
    REMEDY = "Make the dataset with `booru run --to tokenized_dataset`."

    faults: LabelFaults
    encoding: str
    longest_caption: int
    most_tokens: int
    coverage: dict[str, float]
    min_coverage: float
    worst: list[dict[str, Any]]

    @property
    def failures(self) -> dict[str, str]:
        """Failures by reason, each with the labels or figures that do not pass."""
        found = {reason: ", ".join(labels[:_WORST]) for reason, labels in self.faults.failures.items()}
        if self.longest_caption > self.most_tokens:
            found["caption_too_long"] = (
                f"{self.longest_caption} tokens with the end of sequence, and the base model takes {self.most_tokens}: "
                "lower max_tokens"
            )
        general = self.coverage.get("general", 1.0)
        if general < self.min_coverage:
            found["coverage_too_low"] = (
                f"{general:.1%} of the occurrences of general tags are labels, less than min_coverage "
                f"{self.min_coverage:.0%}: lower min_general_posts"
            )
        return found

    @property
    def passed(self) -> bool:
        return not self.failures


def inspect(
    vocabulary: Vocabulary,
    encoding: Encoding,
    *,
    longest_caption: int,
    coverage: Mapping[str, float],
    min_coverage: float,
) -> GateReport:
    """Pass judgement on a vocabulary, whose faults were found when it was made, and on the captions made with it.

    Arguments are as in `GateReport`, but that `longest_caption` is without end of sequence.
    """
    return GateReport(
        faults=LabelFaults.read(vocabulary.folder),
        encoding=encoding.name.value,
        longest_caption=longest_caption + 1,
        most_tokens=vocabulary.special_tokens.longest,
        coverage=dict(coverage),
        min_coverage=min_coverage,
        worst=_worst(vocabulary),
    )


def _worst(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Labels by how many pieces they fall into: the base model knows least of these."""
    sizes = Encoding.of(vocabulary, EncodingName.PIECES).sizes
    return [
        {
            "label": vocabulary.labels[row],
            "category": int(vocabulary.categories[row]),
            "posts": int(vocabulary.posts[row]),
            "pieces": " ".join(vocabulary.pieces.id_to_piece(vocabulary.piece_ids[row])),
        }
        for row in (-sizes).argsort(kind="stable")[:_WORST].tolist()
    ]
