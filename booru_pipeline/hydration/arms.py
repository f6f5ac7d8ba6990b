"""The arms: the same T5 and the same captions, with one kind of knowledge after another taken away.

An arm is a base model and label texts, both as folders, so that the training program needs to know nothing of it.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import sentencepiece
import torch
from transformers import AutoConfig, T5ForConditionalGeneration

from booru_pipeline.model.start import quiet_transformers
from booru_pipeline.vocabulary.text import label_text

_DIGITS: Final = 4


class Arm(StrEnum):
    """What an arm starts with."""

    PRETRAINED = "pretrained"
    RANDOM = "random"
    PERMUTED = "permuted"
    OPAQUE = "opaque"

    @property
    def has_own_weights(self) -> bool:
        """Whether its base model is not the pre-trained one as it is."""
        return self in (Arm.RANDOM, Arm.PERMUTED)


CONTROLS: Final = (Arm.RANDOM, Arm.PERMUTED, Arm.OPAQUE)

MEANINGS: Final = {
    Arm.PRETRAINED: "the pre-trained weights, and labels' own text",
    Arm.RANDOM: "the same shape from random weights: labels that share a word still share its row, which means nothing",
    Arm.PERMUTED: "the pre-trained weights, with the rows of the labels' pieces dealt out anew: rows have the same "
    "statistics, and each word has another's",
    Arm.OPAQUE: "the pre-trained weights, and tag_0123 for text: labels neither mean anything nor share a word",
}


def random_base(source: str, folder: Path, seed: int) -> None:
    """Write a T5 of the same configuration with random weights.

    Args:
        source: The pre-trained one's folder or hub name.
        folder: Where it goes.
        seed: Of the weights.
    """
    quiet_transformers()
    torch.manual_seed(seed)
    T5ForConditionalGeneration(AutoConfig.from_pretrained(source)).save_pretrained(folder)


def permuted_base(source: str, folder: Path, pieces: Iterable[int], seed: int) -> None:
    """Write the pre-trained T5 with the rows of some pieces dealt out among them, none staying in its place.

    Only pieces that texts here are made of change places: among all, frequent words would get rows of rare ones, which
    are other in length, and the arm would differ in more than meaning. In an untied model the input embedding and the
    output layer are dealt out alike.

    Args:
        source: The pre-trained one's folder or hub name.
        folder: Where it goes.
        pieces: Ids of the pieces.
        seed: Of the deal.
    """
    quiet_transformers()
    model = T5ForConditionalGeneration.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
    if model.lm_head.weight is not model.shared.weight:
        model.config.tie_word_embeddings = False  # what transformers says of every T5 that it loads
    used = np.unique(np.fromiter(pieces, dtype=np.int64))
    used = used[used < model.shared.num_embeddings]  # characters that the base lacks have no row there
    shuffled = np.random.default_rng(seed).permutation(used)
    others = np.roll(shuffled, 1)
    with torch.no_grad():
        for weight in {id(w): w for w in (model.shared.weight, model.lm_head.weight)}.values():
            weight[torch.from_numpy(shuffled)] = weight[torch.from_numpy(others)]
    model.save_pretrained(folder)


def opaque_texts(pieces: sentencepiece.SentencePieceProcessor, labels: int, seed: int) -> list[str]:
    """A text for each label that says nothing: `tag 0123`, as `tag_0123` reads.

    Numbers are drawn, because labels are sorted by frequency and a number in order would tell it. No two texts have the
    same pieces in another order, or the labels' rows would start as one.

    Args:
        pieces: Cuts the texts.
        labels: How many.
        seed: Of the numbers.
    """
    digits = max(_DIGITS, len(str(2 * labels)))
    texts: list[str] = []
    seen: set[tuple[int, ...]] = set()
    while len(texts) < labels:  # more digits give more numbers, should so many collide
        for number in np.random.default_rng(seed).permutation(10**digits).tolist():
            text = label_text(f"tag_{number:0{digits}d}")
            bag = tuple(sorted(pieces.encode(text)))
            if bag not in seen:
                seen.add(bag)
                texts.append(text)
            if len(texts) == labels:
                break
        digits += 1
    return texts


def pieces_of(lists: Sequence[Sequence[int]]) -> set[int]:
    """All pieces that texts are made of."""
    return {piece for pieces in lists for piece in pieces}
