"""Faults of single labels: whether each comes back from its tokens, in both encodings."""

from pathlib import Path
from typing import Any, Final

from pydantic import Field

from booru_pipeline.lake.document import Document
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.text import SEPARATOR, text_label
from booru_pipeline.vocabulary.vocabulary import Vocabulary

FAULTS: Final = (
    *("unknown_piece", "text_lost", "token_lost", "shared_pieces", "holds_separator"),
    *("not_sentencepiece", "cut_otherwise"),
)


class LabelFaults(Document):
    """Faults of single labels, over the whole vocabulary. Every list of a fault must be empty.

    Attributes:
        labels: How many there are.
        unknown_piece: Labels whose text has a piece that the base model does not know.
        text_lost: Labels whose text does not come back from their pieces.
        token_lost: Labels whose own token does not come back as the label.
        shared_pieces: Labels with the same pieces as another's.
        holds_separator: Labels whose text holds the separator.
        not_sentencepiece: Labels whose pieces are not those that SentencePiece itself gives.
        cut_otherwise: Labels that transformers' tokenizer cuts into other pieces than SentencePiece.
        ties: Labels that the two cut into the same pieces in another order. Not a fault: the model is fed
            SentencePiece's, which the base model was trained with. Where two ways to cut have the same score,
            SentencePiece adds up in single precision and transformers in double, and no tokenizer of transformers can
            follow.
        left_out: Labels that had a fault, which the vocabulary is without: label, category, posts and faults of each.
    """

    FILE = "faults.json"
    REMEDY = "Make the vocabulary again with `booru run --to vocabulary`."

    labels: int
    unknown_piece: list[str]
    text_lost: list[str]
    token_lost: list[str]
    shared_pieces: list[str]
    holds_separator: list[str]
    not_sentencepiece: list[str]
    cut_otherwise: list[str]
    ties: list[str]
    left_out: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def failures(self) -> dict[str, list[str]]:
        """Labels that do not pass, by reason."""
        return {name: labels for name, labels in self if name in FAULTS and labels}


def find_faults(vocabulary: Vocabulary, first: int = 0, alone: Path | None = None) -> LabelFaults:
    """Send every label of a vocabulary through its tokenizer and back.

    The pieces that are looked at are those in labels.parquet, since these are what the model is fed.

    Args:
        vocabulary: Which.
        first: Labels before this row are known to come back, and what is new changes none of their pieces: they are
            looked at for what later ones must not share with them.
        alone: Folder of a tokenizer without the tokens of these, if any: the others' begin where theirs would.
    """
    import transformers

    from booru_pipeline.vocabulary.tokenizer import encode_pieces, label_tokens

    tokenizer = transformers.AutoTokenizer.from_pretrained(alone or vocabulary.tokenizer_folder)
    processor, separator = vocabulary.pieces, vocabulary.special_tokens.separator
    labels, pieces = vocabulary.labels[first:], vocabulary.piece_ids[first:]
    texts = vocabulary.table["text"].slice(first).to_pylist()
    known = [bool(ids) and max(ids) < len(processor) and processor.unk_id() not in ids for ids in pieces]
    decodable = [ids if is_known else [] for ids, is_known in zip(pieces, known, strict=True)]
    back = processor.decode(decodable)
    ported_back = tokenizer.batch_decode(decodable, clean_up_tokenization_spaces=False)
    cut, ported_cut = processor.encode(texts), encode_pieces(tokenizer, texts)
    tokens = tokenizer(label_tokens(tokenizer, labels), add_special_tokens=False)["input_ids"]
    encodings = [Encoding.of(vocabulary, name) for name in EncodingName]
    first_with = {
        tuple(ids): label for label, ids in zip(vocabulary.labels, vocabulary.piece_ids[:first], strict=False)
    }
    faulty: dict[str, list[str]] = {name: [] for name in (*FAULTS, "ties")}
    for row, (label, text, ids) in enumerate(zip(labels, texts, pieces, strict=True)):
        same_pieces = sorted(ids) == sorted(ported_cut[row])
        found = {
            "unknown_piece": not known[row],
            "text_lost": text_label(text) != label or not text == back[row] == ported_back[row],
            "token_lost": tokens[row] != [vocabulary.first_token_id + (0 if alone else first) + row]
            or any(encoding.decode(encoding.encode([first + row])) != [first + row] for encoding in encodings),
            "shared_pieces": first_with.setdefault(tuple(ids), label) != label,
            "holds_separator": SEPARATOR in text or separator in ids,
            "not_sentencepiece": ids != cut[row],
            "cut_otherwise": not same_pieces,
            "ties": same_pieces and ids != ported_cut[row],
        }
        for name in found:
            if found[name]:
                faulty[name].append(label)
    return LabelFaults(labels=len(vocabulary), **faulty)
