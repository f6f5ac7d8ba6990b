"""What is measured of an arm, and kept."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from booru_pipeline.hydration.concepts import ConceptResult

MEASURES_FILE: Final = "measures.json"


@dataclass(frozen=True)
class Measures:
    """One arm, trained on one share with one seed.

    Attributes:
        recall_at_10: Of each test post, in the task's order.
        held_out_auc: By held-out label, in vocabulary order.
        concepts_before: By concept, of the model that the training started from.
        concepts_after: By concept, of the fine-tuned model.
        posts: Train posts.
        steps: Optimizer steps that were made.
        seconds: Of training.
    """

    recall_at_10: list[float]
    held_out_auc: dict[str, float]
    concepts_before: dict[str, ConceptResult]
    concepts_after: dict[str, ConceptResult]
    posts: int
    steps: int
    seconds: float

    def write(self, folder: Path) -> None:
        """Keep the measures in the arm's folder."""
        (folder / MEASURES_FILE).write_text(json.dumps(asdict(self), ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Measures":
        """Read an arm's measures."""
        content: dict[str, Any] = json.loads((folder / MEASURES_FILE).read_text(encoding="utf-8"))
        for when in ("concepts_before", "concepts_after"):
            content[when] = {name: ConceptResult(**result) for name, result in content[when].items()}
        return cls(**content)
