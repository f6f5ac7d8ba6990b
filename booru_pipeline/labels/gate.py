"""The gate: no label is lost between the tag table and the model's tokens."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError
from booru_pipeline.labels.text import text_label
from booru_pipeline.labels.vocabulary import Vocabulary

GATE_FILE: Final = "gate.json"


@dataclass(frozen=True)
class GateReport:
    """What the gate found, over every label of the vocabulary.

    Attributes:
        labels: How many were looked at.
        unknown_piece: Labels whose text has a piece that the tokenizer does not know.
        text_lost: Labels whose text does not come back from its pieces as the label.
        token_lost: Labels whose own token does not come back as the label.
        shared_pieces: Labels whose text has the same pieces as another's.
    """

    labels: int
    unknown_piece: list[str]
    text_lost: list[str]
    token_lost: list[str]
    shared_pieces: list[str]

    @property
    def failures(self) -> dict[str, list[str]]:
        """Labels that do not pass, by reason."""
        lists = {name: value for name, value in asdict(self).items() if isinstance(value, list)}
        return {name: labels for name, labels in lists.items() if labels}

    @property
    def passed(self) -> bool:
        return not self.failures

    def write(self, folder: Path) -> None:
        """Keep the report in the dataset's folder."""
        (folder / GATE_FILE).write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_gate(dataset: Path) -> GateReport:
    """The report that a dataset was written with.

    Raises:
        BooruError: There is no dataset.
    """
    path = dataset / GATE_FILE
    if not path.is_file():
        raise BooruError(f"there is no dataset at {dataset}. Make it with `booru run --to tokenized_dataset`.")
    return GateReport(**json.loads(path.read_text(encoding="utf-8")))


def inspect(vocabulary: Vocabulary) -> GateReport:
    """Send every label of a vocabulary through its tokenizer and back."""
    import transformers

    from booru_pipeline.labels.tokenizer import encode_pieces, label_token

    tokenizer = transformers.AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder)
    labels = vocabulary.labels
    pieces = encode_pieces(tokenizer, vocabulary.table["text"].to_pylist())
    texts = tokenizer.batch_decode(pieces, clean_up_tokenization_spaces=False)
    tokens = tokenizer([label_token(label) for label in labels], add_special_tokens=False)["input_ids"]

    first_with: dict[tuple[int, ...], str] = {}
    shared = []
    for label, ids in zip(labels, pieces, strict=True):
        if first_with.setdefault(tuple(ids), label) != label:
            shared.append(label)
    return GateReport(
        labels=len(labels),
        unknown_piece=[
            label for label, ids in zip(labels, pieces, strict=True) if not ids or tokenizer.unk_token_id in ids
        ],
        text_lost=[label for label, text in zip(labels, texts, strict=True) if text_label(text) != label],
        token_lost=[
            label
            for row, (label, ids) in enumerate(zip(labels, tokens, strict=True))
            if ids != [vocabulary.first_token_id + row]
        ],
        shared_pieces=shared,
    )
