"""Tokenizers: T5's own SentencePiece, or one trained here, with a piece for every character and a token a label.

Imports transformers; import this module lazily.
"""

import base64
import io
import json
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import sentencepiece
import transformers
from sentencepiece import sentencepiece_model_pb2 as model_format
from tokenizers import AddedToken

from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.vocabulary.base_files import bring_base
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.text import SEPARATOR
from booru_pipeline.vocabulary.vocabulary import SENTENCEPIECE_FILE, SpecialTokens

_TINY_PIECES: Final = 2000
_TOKENIZER_FILES: Final = ("tokenizer.json", SENTENCEPIECE_FILE)
_SENTINELS: Final = 100
_LONGEST: Final = 512  # what T5 was pre-trained with; its relative positions set no limit of their own
NOT_LEARNED: Final = frozenset("\u2581\0")
_NEW_PIECE_PENALTY: Final = 10.0  # log-probability below the rarest piece: no text that T5 could cut changes
_SPARE_PIECES: Final = tuple(map(chr, range(0xF0000, 0xF0080)))  # of private use, so no label has them


def is_spare(piece: str) -> bool:
    """Whether a piece is one of those that stand for no text yet, see `vocabulary.extension`."""
    return piece in _SPARE_PIECES


def base_tokenizer(base_model: BaseModel, texts: Sequence[str]) -> tuple[transformers.PreTrainedTokenizerBase, int]:
    """The base model's tokenizer, able to cut every one of the texts, with a token for the separator.

    T5's SentencePiece model has no `~`, `^`, `<`, backslash or backtick: of 136,632 Danbooru labels 102 contain one
    (`>_<`). Such characters become pieces of the model, not added tokens, since an added token takes the white space
    around it and the text would not come back. T5's normaliser turns other ones into what it has (`…` into `...`, `½`,
    full-width letters), so that two labels would be one: where a text has such, the tokenizer is without the
    normaliser, and they become pieces too.

    It has spare pieces, which later labels' characters take the place of.

    Args:
        base_model: `tiny` gets a SentencePiece unigram model trained on the texts; others are loaded.
        texts: Label texts.

    Returns:
        The tokenizer, and the first id that the base model's own did not have.

    Raises:
        BooruError: The tokenizer is not on this machine and cannot be downloaded, or is no SentencePiece unigram model.
    """
    if base_model.source is None:
        tokenizer = _train(texts)
    else:
        tokenizer = _load(base_model.source)
        if SEPARATOR in tokenizer.get_added_vocab():
            raise BooruError(
                f"the tokenizer of {base_model.name} has our tokens already: is it one of our checkpoints? "
                "Give the model that it was made from."
            )
    first_added = len(tokenizer)
    if base_model.source is not None:
        tokenizer = _able_to_cut(tokenizer, texts, base_model.name)
    # In T5 a line end is white space like any other, so as a token of its own it changes no text that it could cut.
    tokenizer.add_tokens([AddedToken(SEPARATOR, normalized=False)])
    return tokenizer, first_added


def _load(source: str) -> transformers.PreTrainedTokenizerBase:
    folder = bring_base(source)
    # transformers makes an empty T5 tokenizer of a folder without one, which knows no text at all.
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise BooruError(
            f"{source} has no tokenizer: none of {', '.join(_TOKENIZER_FILES)} is there. "
            "Write it with `tokenizer.save_pretrained(folder)`, or copy the base model's spiece.model there."
        )
    try:
        return transformers.AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # tokenizers raises plain Exception for a broken file
        raise BooruError(
            f"cannot read the tokenizer in {folder}: {first_line(error)}. Write it again with "
            "`tokenizer.save_pretrained(folder)`."
        ) from error


def special_tokens(tokenizer: transformers.PreTrainedTokenizerBase, first_added: int) -> SpecialTokens:
    """Ids of the tokens that are no label's."""
    sentinels = [f"<extra_id_{number}>" for number in range(_SENTINELS)]
    vocabulary = tokenizer.get_vocab()
    return SpecialTokens(
        pad=int(tokenizer.pad_token_id),
        eos=int(tokenizer.eos_token_id),
        separator=int(vocabulary[SEPARATOR]),
        first_added=first_added,
        sentinels=tuple(vocabulary[token] for token in sentinels if token in vocabulary),
        longest=min(int(tokenizer.model_max_length), _LONGEST),
    )


def sentencepiece_model(tokenizer: transformers.PreTrainedTokenizerBase) -> bytes:
    """The tokenizer's pieces as a SentencePiece model, whose ids are the tokenizer's.

    With T5's own tokenizer it cuts text as T5's `spiece.model` does, and has the added characters besides.

    Returns:
        A serialized `ModelProto` (sentencepiece_model.proto of google/sentencepiece).
    """
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    kinds = model_format.ModelProto.SentencePiece
    special = {token["id"] for token in content["added_tokens"]}
    model = model_format.ModelProto()
    for row, (piece, score) in enumerate(content["model"]["vocab"]):
        kind = kinds.UNKNOWN if row == tokenizer.unk_token_id else kinds.CONTROL if row in special else kinds.NORMAL
        model.pieces.add(piece=piece, score=score, type=kind)
    model.trainer_spec.model_type = model_format.TrainerSpec.UNIGRAM
    model.trainer_spec.vocab_size = len(model.pieces)
    model.trainer_spec.pad_id = tokenizer.pad_token_id
    model.trainer_spec.eos_id = tokenizer.eos_token_id
    model.trainer_spec.unk_id = tokenizer.unk_token_id
    model.trainer_spec.bos_id = -1
    model.normalizer_spec.name = "from the tokenizer"
    if charsmap := (content["normalizer"] or {}).get("precompiled_charsmap"):
        model.normalizer_spec.precompiled_charsmap = base64.b64decode(charsmap)
    return bytes(model.SerializeToString())


def encode_pieces(tokenizer: transformers.PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Piece ids of each text as transformers cuts it, without an end of sequence. See `gate` for how they differ."""
    return list(tokenizer(list(texts), add_special_tokens=False)["input_ids"])


def label_tokens(tokenizer: transformers.PreTrainedTokenizerBase, labels: Sequence[str]) -> list[str]:
    """The tokens that stand for whole labels, `<rabbit_ears>`.

    No label has white space, so none can run into the next, and `< pad >` is free for a label whose token the tokenizer
    has for itself: `<pad>` and `<extra_id_0>`, and pieces of its own.
    """
    ours = {token.content for token in tokenizer.added_tokens_decoder.values() if not token.special}
    taken = tokenizer.get_vocab().keys() - ours
    return [token_of(label, taken) for label in labels]


def token_of(label: str, taken: Collection[str]) -> str:
    """A label's token, where these are the tokenizer's own; see `label_tokens`."""
    return f"< {label} >" if f"<{label}>" in taken else f"<{label}>"


def add_label_tokens(tokenizer: transformers.PreTrainedTokenizerBase, labels: Sequence[str]) -> int:
    """Add one token a label, in order.

    Returns:
        The first label's id; the others follow.
    """
    first = len(tokenizer)
    added = tokenizer.add_tokens([AddedToken(token, normalized=False) for token in label_tokens(tokenizer, labels)])
    if added != len(labels):
        raise BooruError(
            f"only {added} of {len(labels)} labels are new to the tokenizer: is the base model one of ours, "
            "fine-tuned before? Give the model that it was made from."
        )
    return first


def _train(texts: Sequence[str]) -> transformers.PreTrainedTokenizerBase:
    model = io.BytesIO()
    # Not those with the trainer's own sign for white space, or a zero byte, which ends it; nor is nothing a sentence.
    learned = sorted(text for text in texts if text.split() and not NOT_LEARNED.intersection(text))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(learned or ["label"]),
        required_chars="".join(sorted(set("".join(learned)) - {" "})),  # of texts that it skips too, such as `<pad>`
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
    known, score = {piece for piece, _ in pieces}, min(score for _, score in pieces) - _NEW_PIECE_PENALTY
    pieces += [(piece, score) for piece in _SPARE_PIECES if piece not in known]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=100)


def _able_to_cut(
    tokenizer: transformers.PreTrainedTokenizerBase, texts: Sequence[str], name: str
) -> transformers.PreTrainedTokenizerBase:
    used = {character for text in texts for character in text if not character.isspace()}
    characters = sorted(used - NOT_LEARNED - {*_SPARE_PIECES})
    missing = [
        character
        for character, ids in zip(characters, encode_pieces(tokenizer, characters), strict=True)
        if tokenizer.unk_token_id in ids or _is_changed(tokenizer, character)
    ]
    is_changed = any(_is_changed(tokenizer, text) for text in texts)
    return _with_pieces(tokenizer, missing, name, normalised=not is_changed)


def _is_changed(tokenizer: transformers.PreTrainedTokenizerBase, text: str) -> bool:
    normalizer = tokenizer.backend_tokenizer.normalizer
    return normalizer is not None and bool(normalizer.normalize_str(text) != text)


def _with_pieces(
    tokenizer: transformers.PreTrainedTokenizerBase, characters: Sequence[str], name: str, *, normalised: bool
) -> transformers.PreTrainedTokenizerBase:
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        path = Path(folder, "tokenizer.json")
        content = json.loads(path.read_text(encoding="utf-8"))
        model = content["model"]
        if model["type"] != "Unigram":
            raise BooruError(
                f"{name} has a {model['type']} tokenizer. Choose a T5 with a SentencePiece unigram model, such as "
                "t5-small."
            )
        if len(model["vocab"]) != len(tokenizer):
            if not characters and normalised:
                return tokenizer
            raise BooruError(
                f"the tokenizer of {name} has tokens after its pieces, so new pieces would take their ids. "
                "Give the model that it was made from."
            )
        score = min(score for _, score in model["vocab"]) - _NEW_PIECE_PENALTY
        known = {piece for piece, _ in model["vocab"]}
        added = [*characters, *_SPARE_PIECES]
        model["vocab"].extend([character, score] for character in added if character not in known)
        if not normalised:
            content["normalizer"] = None
        path.write_text(json.dumps(content), encoding="utf-8")
        return transformers.AutoTokenizer.from_pretrained(folder)
