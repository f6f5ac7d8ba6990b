"""A vocabulary's tokenizer with more labels: what it has keeps its ids, and cuts into the same pieces as before.

A label that is new may bring characters that the tokenizer lacks. They take the place of spare pieces, which every
tokenizer has for that: as single characters that no label had before, they change nothing that could be cut.
"""

import json
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

from sentencepiece import sentencepiece_model_pb2 as model_format
from tokenizers import Tokenizer

from booru_pipeline.vocabulary.text import label_text
from booru_pipeline.vocabulary.tokenizer import NOT_LEARNED, is_spare, token_of
from booru_pipeline.vocabulary.vocabulary import SENTENCEPIECE_FILE

_TOKENIZER_FILE: Final = "tokenizer.json"


def extend_tokenizer(earlier: Path, folder: Path, alone: Path, known: Sequence[str], new: Sequence[str]) -> None:
    """Write a tokenizer with a token for each new label, after the ones that it has.

    Characters beyond the spare pieces are left unknown: the gate then leaves out the labels that need them.

    Args:
        earlier: Folder of the tokenizer to start from, with its SentencePiece model.
        folder: Where to write it; not there yet.
        alone: Where to write the same with tokens of the new labels only, which transformers reads in a fraction of
            the time; not there yet.
        known: The labels that it has tokens for.
        new: The labels that it gets tokens for, in order.
    """
    for target in (folder, alone):
        shutil.copytree(earlier, target)
    content = json.loads((earlier / _TOKENIZER_FILE).read_text(encoding="utf-8"))
    model = model_format.ModelProto.FromString((earlier / SENTENCEPIECE_FILE).read_bytes())
    texts = [label_text(label) for label in new]
    if _changes(content, texts):
        content["normalizer"] = None
        model.normalizer_spec.ClearField("precompiled_charsmap")
    pieces = content["model"]["vocab"]
    used = set("".join(map(label_text, known)))
    have = used | NOT_LEARNED | {piece for piece, _ in pieces if not is_spare(piece)}
    wanted = [character for character in dict.fromkeys("".join(texts)) if not character.isspace()]
    spare = [row for row, (piece, _) in enumerate(pieces) if is_spare(piece) and piece not in {*used, *wanted}]
    for row, character in zip(spare, (character for character in wanted if character not in have), strict=False):
        pieces[row][0] = model.pieces[row].piece = character
    taken = _taken(content)
    added = content["added_tokens"]
    tokens = [token_of(label, taken) for label in new]
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    for target, others in ((folder, added), (alone, added[: len(added) - len(known)])):
        first = max(item["id"] for item in others) + 1
        own = [{"id": number, "content": token, **plain} for number, token in enumerate(tokens, first)]
        text = json.dumps({**content, "added_tokens": [*others, *own]}, ensure_ascii=False)
        (target / _TOKENIZER_FILE).write_text(text, encoding="utf-8")
        (target / SENTENCEPIECE_FILE).write_bytes(model.SerializeToString())


def _changes(content: dict[str, Any], texts: Sequence[str]) -> bool:
    """Whether a tokenizer's normaliser, if it has one, changes any of the texts."""
    if content["normalizer"] is None:
        return False
    normalizer = Tokenizer.from_str(json.dumps({**content, "added_tokens": []})).normalizer
    return any(normalizer.normalize_str(text) != text for text in texts)


def within_others(labels: Sequence[str], taken: Collection[str], first: int) -> list[str]:
    """New labels in whose text another's token stands, at which a tokenizer would cut it; or whose token stands in the
    text of one before them.

    Args:
        labels: All labels, in order.
        taken: The tokenizer's own tokens, see `token_of`.
        first: Where the new ones begin.
    """
    row_of: dict[str, int] = {}
    found: dict[str, None] = {}
    texts = [(row, text) for row, text in enumerate(map(label_text, labels)) if "<" in text and ">" in text]
    if texts:
        row_of = {token_of(label, taken): row for row, label in enumerate(labels)}
    for row, text in texts:
        begins, ends = ([at for at, sign in enumerate(text) if sign == mark] for mark in "<>")
        others = {row_of.get(text[begin : end + 1]) for begin in begins for end in ends if end > begin}
        later = {max(row, other) for other in others if other is not None}
        found |= dict.fromkeys(labels[place] for place in sorted(later) if place >= first)
    return list(found)


def tokens_taken(folder: Path) -> set[str]:
    """A tokenizer's own tokens: all but those of labels and the separator."""
    content = json.loads((folder / _TOKENIZER_FILE).read_text(encoding="utf-8"))
    return _taken(content)


def _taken(content: dict[str, Any]) -> set[str]:
    special = {item["content"] for item in content["added_tokens"] if item["special"]}
    return special | {piece for piece, _ in content["model"]["vocab"]}
