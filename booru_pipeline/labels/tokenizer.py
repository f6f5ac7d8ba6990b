"""Tokenizers: T5's own SentencePiece, or one trained here, with a piece for every character and a token a label.

Imports transformers; import this module lazily.
"""

import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import sentencepiece
import transformers
from tokenizers import AddedToken

from booru_pipeline.errors import BooruError
from booru_pipeline.presets import BaseModel

_TINY_PIECES: Final = 2000
_NEW_PIECE_PENALTY: Final = 10.0  # log-probability below the rarest piece: no text that T5 could cut changes


def base_tokenizer(base_model: BaseModel, texts: Sequence[str]) -> transformers.PreTrainedTokenizerBase:
    """The base model's tokenizer, able to cut every one of the texts.

    T5's SentencePiece model has no `~`, `^`, `<`, backslash or backtick: of 136,632 Danbooru labels 102 contain one
    (`>_<`). Such characters become pieces of the model, not added tokens, since an added token takes the white space
    around it and the text would not come back.

    Args:
        base_model: `tiny` gets a SentencePiece unigram model trained on the texts; others are loaded.
        texts: Label texts.

    Raises:
        BooruError: The tokenizer is not on this machine and cannot be downloaded, or is no SentencePiece unigram model.
    """
    if base_model.source is None:
        tokenizer = _train(texts)
    else:
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(base_model.source)
        except (OSError, ValueError, ImportError) as error:
            raise BooruError(
                f"cannot load the tokenizer of {base_model.source}: {str(error).splitlines()[0]} "
                "Connect to the network once, give a local folder with --preset FOLDER, or use --preset tiny."
            ) from error
    missing = _characters_without_piece(tokenizer, texts)
    return _with_pieces(tokenizer, missing, base_model.name) if missing else tokenizer


def encode_pieces(tokenizer: transformers.PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Piece ids of each text, without an end of sequence."""
    return list(tokenizer(list(texts), add_special_tokens=False)["input_ids"])


def label_token(label: str) -> str:
    """The token that stands for a whole label. No label contains white space, so none can run into the next."""
    return f"<{label}>"


def add_label_tokens(tokenizer: transformers.PreTrainedTokenizerBase, labels: Sequence[str]) -> int:
    """Add one token a label, in order.

    Returns:
        The first label's id; the others follow.
    """
    first = len(tokenizer)
    added = tokenizer.add_tokens([AddedToken(label_token(label), normalized=False) for label in labels])
    if added != len(labels):
        raise BooruError(
            f"only {added} of {len(labels)} labels are new to the tokenizer: is the base model one of ours, "
            "fine-tuned before? Give the model that it was made from."
        )
    return first


def _train(texts: Sequence[str]) -> transformers.PreTrainedTokenizerBase:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sorted(texts)),
        model_writer=model,
        model_type="unigram",
        vocab_size=_TINY_PIECES,
        hard_vocab_limit=False,  # a small vocabulary of labels has fewer pieces to give
        character_coverage=1.0,
        normalization_rule_name="identity",  # text must come back as it was
        pad_id=0,  # T5's order of the special pieces
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,  # the same model every time
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [(processor.id_to_piece(row), processor.get_score(row)) for row in range(len(processor))]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=100)


def _characters_without_piece(tokenizer: transformers.PreTrainedTokenizerBase, texts: Sequence[str]) -> list[str]:
    characters = sorted({character for text in texts for character in text if not character.isspace()})
    return [
        character
        for character, ids in zip(characters, encode_pieces(tokenizer, characters), strict=True)
        if tokenizer.unk_token_id in ids
    ]


def _with_pieces(
    tokenizer: transformers.PreTrainedTokenizerBase, characters: Sequence[str], name: str
) -> transformers.PreTrainedTokenizerBase:
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        path = Path(folder, "tokenizer.json")
        content = json.loads(path.read_text(encoding="utf-8"))
        model = content["model"]
        if model["type"] != "Unigram":
            raise BooruError(
                f"{name} has a {model['type']} tokenizer that lacks {' '.join(characters)}. "
                "Choose a T5 with a SentencePiece unigram model, such as t5-small."
            )
        if len(model["vocab"]) != len(tokenizer):
            raise BooruError(f"{name} has tokens of its own after its pieces. Choose the model that it was made from.")
        score = min(score for _, score in model["vocab"]) - _NEW_PIECE_PENALTY
        model["vocab"].extend([character, score] for character in characters)
        path.write_text(json.dumps(content), encoding="utf-8")
        return transformers.AutoTokenizer.from_pretrained(folder)
