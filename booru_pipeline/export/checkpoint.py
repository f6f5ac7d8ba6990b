"""A checkpoint's folder, for who has this package not: `TagModel`, its weights and what it says of tags."""

import inspect
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from booru_pipeline.export import card, tag_model
from booru_pipeline.export.source import Source
from booru_pipeline.model.provenance import CARD_FILE

# What transformers reads: T5's weights and settings, and a tokenizer in which a label is a word.
_OF_TRANSFORMERS: Final = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def write_model(source: Source, folder: Path) -> None:
    """Write a folder that `TagModel.load` and transformers take, as the hub takes it, with its card.

    Args:
        source: What is exported.
        folder: To be made.

    Raises:
        BooruError: The checkpoint or its report is not whole.
    """
    told = source.tags
    folder.mkdir()
    for pattern in _OF_TRANSFORMERS:
        for path in sorted(source.checkpoint.glob(pattern)):
            shutil.copyfile(path, folder / path.name)  # readable for all, whatever the checkpoint's files are
    write_tags(told, folder)
    code = inspect.getsource(tag_model)
    (folder / "tag_model.py").write_text(code, encoding="utf-8")
    (folder / CARD_FILE).write_text(card.model_card(source, code.count("\n")), encoding="utf-8")


def write_tags(told: Mapping[str, Any], folder: Path) -> None:
    """Write `tags.json`."""
    text = json.dumps(told, ensure_ascii=False, allow_nan=False)
    (folder / tag_model.TAGS_FILE).write_text(text + "\n", encoding="utf-8")
