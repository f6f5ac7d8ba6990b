"""Base models by name: which T5 a run starts from, and so whose tokenizer its vocabulary is cut with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError

HUB_MODELS: Final = {
    "t5-small": "google-t5/t5-small",
    "t5-v1_1-small": "google/t5-v1_1-small",
    "t5-v1_1-base": "google/t5-v1_1-base",
    "flan-t5-base": "google/flan-t5-base",
}
TINY: Final = "tiny"


@dataclass(frozen=True)
class BaseModel:
    """The model that fine-tuning starts from.

    Attributes:
        name: What the user asked for: a preset's name, a local folder, or a hub name such as ``org/model``.
        source: What ``from_pretrained`` takes, or None for `tiny`, which starts from random weights with a
            SentencePiece model trained on the vocabulary, and so needs no download.
    """

    name: str
    source: str | None


def resolve_base_model(name: str) -> BaseModel:
    """Turn a preset's name, a local model folder or a hub name into a base model.

    Raises:
        BooruError: The name is none of the three.
    """
    if name == TINY:
        return BaseModel(name, None)
    if name in HUB_MODELS:
        return BaseModel(name, HUB_MODELS[name])
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return BaseModel(str(folder.resolve()), str(folder.resolve()))
    looks_local = name.startswith((".", "/", "~")) or folder.exists()
    if not looks_local and name.count("/") == 1 and all(name.split("/")):
        return BaseModel(name, name)
    known = ", ".join([TINY, *HUB_MODELS])
    if looks_local:
        raise BooruError(f"{name} is not a model folder: it has no config.json. Give such a folder or one of {known}.")
    raise BooruError(
        f"unknown preset {name!r}. Choose one of {known}, a folder made by save_pretrained, or a hub name (org/model)."
    )
