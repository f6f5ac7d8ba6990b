"""What is exported: a checkpoint, and all that is known of it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.report.findings import Findings, read_findings
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.mixture import Mixture
from booru_pipeline.model.pair_table import PAIRS_FILE
from booru_pipeline.model.predictor import read_recipe
from booru_pipeline.model.provenance import CARD_FILE, read_provenance
from booru_pipeline.model.ranking import Question
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Source:
    """A checkpoint to export.

    Attributes:
        name: Of its release or trial.
        checkpoint: Its folder, as the training payload wrote it.
        relations: Aliases, implications and deprecated tags.
        report: The folder of its evaluation report, if there is one.
        licence: Under which it is shared, as the hub writes it.
    """

    name: str
    checkpoint: Path
    relations: Relations
    report: Path | None
    licence: str

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Its labels.

        Raises:
            BooruError: They are not there.
        """
        return Vocabulary.load(self.checkpoint)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Its account of itself."""
        return read_provenance(self.checkpoint)

    @cached_property
    def findings(self) -> Findings | None:
        """What the evaluation found; None if it was not evaluated.

        Raises:
            BooruError: The report cannot be read, or another version wrote it.
        """
        if self.report is None:
            return None
        found = read_findings(self.report)
        if found is None:
            raise BooruError(
                f"the report in {self.report} cannot be read, or is of another version. Make it again with `booru run`."
            )
        return found

    @cached_property
    def about_training(self) -> str:
        """What the checkpoint's own card says of its training, its validation figures and its limits."""
        path = self.checkpoint / CARD_FILE
        if not path.is_file():
            return ""
        _, heading, told = path.read_text(encoding="utf-8").partition("## Training\n")
        return heading + told

    @cached_property
    def tags(self) -> dict[str, Any]:
        """What `tags.json` says: the labels, what else they are called and imply, and how the model is asked and read.

        Raises:
            BooruError: The checkpoint is not whole.
        """
        checkpoint, relations, vocabulary = self.checkpoint, self.relations, self.vocabulary
        encoding, objective = read_recipe(checkpoint)
        question, index = Question.of(vocabulary, encoding, objective), vocabulary.index
        special, own = question.special, question.encoding
        in_pieces = own.separator is not None
        implied = {
            label: sorted(tag for tag in relations.closure([label]) if tag in index and tag != label)
            for label in vocabulary.labels
        }
        return {
            "encoding": encoding.value,
            "objective": objective.value,
            "first_token_id": vocabulary.first_token_id,
            "eos": special.eos,
            "sentinel": question.sentinel,
            "answer_start": question.answer_start,
            "separator": own.separator,
            "ends": [special.separator, special.eos] if in_pieces else None,
            "pieces": [part.tolist() for part in np.split(own.tokens, own.offsets[1:-1])] if in_pieces else None,
            "calibration": Calibration.read(checkpoint).model_dump(),
            "mixture": Mixture.read(checkpoint).model_dump() if (checkpoint / PAIRS_FILE).is_file() else None,
            "labels": vocabulary.labels,
            "categories": vocabulary.category_names,
            "posts": vocabulary.posts.tolist(),
            "aliases": {alias: tag for alias, tag in sorted(relations.aliases.items()) if tag in index},
            "implies": {label: others for label, others in implied.items() if others},
            "deprecated": sorted(relations.deprecated & index.keys()),
        }
