"""What is wrong with single labels: whether each comes back from its tokens, in both encodings."""

from collections.abc import Sequence

from booru_pipeline.lake.document import Document
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.text import SEPARATOR, text_label
from booru_pipeline.vocabulary.vocabulary import Vocabulary


class LabelFaults(Document):
    """What is wrong with single labels, over the whole vocabulary. Every list but `ties` must be empty.

    Attributes:
        labels: How many were looked at.
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

    @property
    def failures(self) -> dict[str, list[str]]:
        """Labels that do not pass, by reason."""
        return {name: labels for name, labels in self if isinstance(labels, list) and labels and name != "ties"}


def find_faults(vocabulary: Vocabulary) -> LabelFaults:
    """Send every label of a vocabulary through its tokenizer and back.

    The pieces that are looked at are those in labels.parquet, since these are what the model is fed.
    """
    import transformers

    from booru_pipeline.vocabulary.tokenizer import encode_pieces, label_token

    tokenizer = transformers.AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder)
    processor = vocabulary.pieces
    separator = vocabulary.special_tokens.separator
    labels = vocabulary.labels
    texts = vocabulary.table["text"].to_pylist()
    pieces = vocabulary.piece_ids
    known = [bool(ids) and max(ids) < len(processor) and processor.unk_id() not in ids for ids in pieces]
    decodable = [ids if is_known else [] for ids, is_known in zip(pieces, known, strict=True)]
    by_sentencepiece = processor.encode(texts)
    by_transformers = encode_pieces(tokenizer, texts)
    tokens = tokenizer([label_token(label) for label in labels], add_special_tokens=False)["input_ids"]
    encodings = [Encoding.of(vocabulary, name) for name in EncodingName]

    def where(faulty: Sequence[bool]) -> list[str]:
        return [label for label, wrong in zip(labels, faulty, strict=True) if wrong]

    first_with: dict[tuple[int, ...], str] = {}
    back = processor.decode(decodable)
    back_by_transformers = tokenizer.batch_decode(decodable, clean_up_tokenization_spaces=False)
    return LabelFaults(
        labels=len(labels),
        unknown_piece=where([not is_known for is_known in known]),
        text_lost=where(
            [
                text_label(text) != label or not text == own == ported
                for label, text, own, ported in zip(labels, texts, back, back_by_transformers, strict=True)
            ]
        ),
        token_lost=where(
            [
                ids != [vocabulary.first_token_id + row]
                or any(encoding.decode(encoding.encode([row])) != [row] for encoding in encodings)
                for row, ids in enumerate(tokens)
            ]
        ),
        shared_pieces=where(
            [first_with.setdefault(tuple(ids), label) != label for label, ids in zip(labels, pieces, strict=True)]
        ),
        holds_separator=where([SEPARATOR in text or separator in ids for text, ids in zip(texts, pieces, strict=True)]),
        not_sentencepiece=where([ids != own for ids, own in zip(pieces, by_sentencepiece, strict=True)]),
        cut_otherwise=where(
            [sorted(ids) != sorted(ported) for ids, ported in zip(pieces, by_transformers, strict=True)]
        ),
        ties=where(
            [
                ids != ported and sorted(ids) == sorted(ported)
                for ids, ported in zip(pieces, by_transformers, strict=True)
            ]
        ),
    )
