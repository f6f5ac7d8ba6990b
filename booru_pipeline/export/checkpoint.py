"""A checkpoint's folder, for who has this package not: `TagModel`, its weights and what it says of tags."""

import inspect
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.export import card, tag_model
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.mixture import Mixture
from booru_pipeline.model.pair_table import PAIRS_FILE
from booru_pipeline.model.predictor import read_recipe
from booru_pipeline.model.provenance import CARD_FILE, read_provenance
from booru_pipeline.model.ranking import Question
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary

# What transformers reads: T5's weights and settings, and a tokenizer in which a label is a word.
_OF_TRANSFORMERS: Final = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


@dataclass(frozen=True)
class Source:
    """What is exported.

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

    @property
    def metrics(self) -> dict[str, Any] | None:
        """What the evaluation found.

        Raises:
            BooruError: The report cannot be read.
        """
        path = None if self.report is None else self.report / "metrics.json"
        if path is None or not path.is_file():
            return None
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BooruError(f"{path} cannot be read: {first_line(error)}. Make it again with `booru run`.") from error

    @property
    def about_training(self) -> str:
        """What the checkpoint's own card says of its training, its validation figures and its limits."""
        path = self.checkpoint / CARD_FILE
        _, heading, told = path.read_text(encoding="utf-8").partition("## Training\n") if path.is_file() else ("",) * 3
        return heading + told


def write_model(source: Source, folder: Path) -> None:
    """Write a folder that `TagModel.load` and transformers take, as the hub takes it, with its card.

    Args:
        source: What is exported.
        folder: To be made.

    Raises:
        BooruError: The checkpoint or its report is not whole.
    """
    told, provenance = tags_of(source), read_provenance(source.checkpoint)
    folder.mkdir()
    for pattern in _OF_TRANSFORMERS:
        for path in sorted(source.checkpoint.glob(pattern)):
            shutil.copyfile(path, folder / path.name)  # readable for all, whatever the checkpoint's files are
    write_tags(told, folder)
    code = inspect.getsource(tag_model)
    (folder / "tag_model.py").write_text(code, encoding="utf-8")
    papers = {"training": source.about_training, "metrics": source.metrics, "lines": code.count("\n")}
    (folder / CARD_FILE).write_text(
        card.model_card(source.name, told, provenance, papers, source.licence), encoding="utf-8"
    )


def write_tags(told: Mapping[str, Any], folder: Path) -> None:
    """Write `tags.json`."""
    text = json.dumps(told, ensure_ascii=False, allow_nan=False)
    (folder / tag_model.TAGS_FILE).write_text(text + "\n", encoding="utf-8")


def tags_of(source: Source) -> dict[str, Any]:
    """What `tags.json` says: the labels, what else they are called and imply, and how the model is asked and read.

    Raises:
        BooruError: The checkpoint is not whole.
    """
    checkpoint, relations = source.checkpoint, source.relations
    vocabulary, (encoding, objective) = Vocabulary.load(checkpoint), read_recipe(checkpoint)
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
