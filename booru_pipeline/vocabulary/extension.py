"""A vocabulary's tokenizer with more labels: what it has keeps its ids, and cuts into the same pieces as before.

A label that is new may bring characters that the tokenizer lacks. They take the place of spare pieces, which every
tokenizer has for that: as single characters that no label had before, they change nothing that could be cut.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sentencepiece import sentencepiece_model_pb2 as model_format
from tokenizers import Tokenizer

from booru_pipeline.vocabulary.text import label_text
from booru_pipeline.vocabulary.tokenizer import NOT_LEARNED, is_spare, token_of
from booru_pipeline.vocabulary.vocabulary import SENTENCEPIECE_FILE

_TOKENIZER_FILE: Final = "tokenizer.json"


def extend_tokenizer(earlier: Path, folder: Path, known: Sequence[str], new: Sequence[str]) -> list[str]:
    """Write a tokenizer with a token for each new label, after the ones that it has.

    Characters beyond the spare pieces are left unknown: the gate then leaves out the labels that need them.

    Args:
        earlier: Folder of the tokenizer to start from, with its SentencePiece model.
        folder: Where to write it; not there yet.
        known: The labels that it has tokens for.
        new: The labels that it gets tokens for, in order.

    Returns:
        The new labels' tokens.
    """
    shutil.copytree(earlier, folder)
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
    taken = {piece for piece, _ in pieces} | {item["content"] for item in content["added_tokens"] if item["special"]}
    first = max(item["id"] for item in content["added_tokens"]) + 1
    tokens = [token_of(label, taken) for label in new]
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    content["added_tokens"] += [{"id": number, "content": token, **plain} for number, token in enumerate(tokens, first)]
    (folder / _TOKENIZER_FILE).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (folder / SENTENCEPIECE_FILE).write_bytes(model.SerializeToString())
    return tokens


def _changes(content: dict[str, Any], texts: Sequence[str]) -> bool:
    """Whether a tokenizer's normaliser, if it has one, changes any of the texts."""
    if content["normalizer"] is None:
        return False
    normalizer = Tokenizer.from_str(json.dumps({**content, "added_tokens": []})).normalizer
    return any(normalizer.normalize_str(text) != text for text in texts)


def within_earlier(labels: Sequence[str], tokens: Sequence[str]) -> list[str]:
    """New labels whose token stands in the text of a label before them, which a tokenizer would then cut at it.

    Args:
        labels: All labels, in order.
        tokens: Those of the new ones, which are the last.
    """
    found: list[str] = []
    texts = [(row, text) for row, text in enumerate(map(label_text, labels)) if "<" in text and ">" in text]
    for row, token in enumerate(tokens, len(labels) - len(tokens)) if texts else ():
        if any(token in text for before, text in texts if before < row and labels[before] not in found):
            found.append(labels[row])
    return found
