"""The gate: no label is lost between the tag table and the model's tokens."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from booru_pipeline.errors import BooruError
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.faults import LabelFaults, read_faults
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

GATE_FILE: Final = "gate.json"

_WORST: Final = 20


@dataclass(frozen=True)
class GateReport:
    """What the gate found.

    Attributes:
        faults: Of single labels.
        encoding: The encoding of the captions.
        longest_caption: Tokens of the longest caption that the model gets, end of sequence included.
        most_tokens: Tokens that the base model takes.
        coverage: Share of tag occurrences that are labels, by category.
        min_coverage: What it has to be for general tags.
        worst: The labels that need most pieces, each with label, category, posts, and the pieces as text.
    """

    faults: LabelFaults
    encoding: str
    longest_caption: int
    most_tokens: int
    coverage: dict[str, float]
    min_coverage: float
    worst: list[dict[str, Any]]

    @property
    def failures(self) -> dict[str, str]:
        """What does not pass: the reason, and what of it."""
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

    def write(self, folder: Path) -> None:
        """Keep the report in the dataset's folder."""
        (folder / GATE_FILE).write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_gate(dataset: Path) -> GateReport:
    """The report that a dataset was written with.

    Raises:
        BooruError: There is no dataset.
    """
    path = dataset / GATE_FILE
    if not path.is_file():
        raise BooruError(f"there is no dataset at {dataset}. Make it with `booru run --to tokenized_dataset`.")
    content = json.loads(path.read_text(encoding="utf-8"))
    return GateReport(**{**content, "faults": LabelFaults(**content["faults"])})


def inspect(
    vocabulary: Vocabulary,
    encoding: Encoding,
    *,
    longest_caption: int,
    coverage: Mapping[str, float],
    min_coverage: float,
) -> GateReport:
    """Pass judgement on a vocabulary and the captions made with it.

    Args:
        vocabulary: What is wrong with its labels was found when it was made.
        encoding: That of the captions.
        longest_caption: In tokens, as the model gets it, without end of sequence.
        coverage: Share of tag occurrences that are labels, by category's name.
        min_coverage: What it has to be for general tags.
    """
    return GateReport(
        faults=read_faults(vocabulary.folder),
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
