"""The model that training starts from: a small T5 from random weights, or a pre-trained one with rows for labels."""

from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

from booru_pipeline.errors import BooruError
from booru_pipeline.labels.posts import Posts
from booru_pipeline.labels.vocabulary import Vocabulary
from booru_pipeline.training.cooccurrence import label_vectors
from booru_pipeline.training.options import TINY_PLAN

# One encoder and one decoder layer; the width is the plan's.
_TINY_SHAPE: dict[str, Any] = {
    "d_kv": 32,
    "d_ff": 256,
    "num_layers": 1,
    "num_decoder_layers": 1,
    "num_heads": 4,
}
# Of the embedding's last number, per unit of log posts. On the sample world after 60,000 posts: validation loss 5.13
# with it, 5.17 without. On 3,000 posts of the shared releases: 5.37 with it and co-occurrence, 5.51 with neither.
_POPULARITY_SCALE = 0.7


def tiny_model(
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: Vocabulary,
    train: Posts,
    *,
    dropout: float,
    seed: int,
    width: int = TINY_PLAN.width,
) -> T5ForConditionalGeneration:
    """A small T5 from random weights whose label embeddings start from what the train split shows.

    All numbers of a label's row but the last come from co-occurrence; the last is its log frequency, so that one
    direction of the decoder's state gives the unigram distribution, which T5, having no output bias, must learn else.

    Args:
        tokenizer: Of the vocabulary.
        vocabulary: Its labels.
        train: Posts of the train split.
        dropout: Used in training only.
        seed: Of the random weights.
        width: Numbers in a label's row.
    """
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            dropout_rate=dropout,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            d_model=width,
            **_TINY_SHAPE,
        )
    )
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = tokenizer.pad_token_id
    frequency = np.log(np.bincount(train.rows, minlength=len(vocabulary)) + 0.5)
    with torch.no_grad():
        rows = label_rows(model.shared.weight, vocabulary)
        rows[:, :-1] = torch.from_numpy(label_vectors(train, len(vocabulary), width - 1, seed))
        rows[:, -1] = torch.from_numpy(_POPULARITY_SCALE * (frequency - frequency.mean()))
    return model


def pretrained_model(
    source: str, tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary, *, dropout: float
) -> T5ForConditionalGeneration:
    """A pre-trained T5 with a row for each label: the mean of the rows of the pieces of the label's text.

    The separator of captions starts as the comma, which separates where T5 comes from, and characters that the base
    lacked as the mean of all its pieces. The rows of the base's own pieces are left as they are, in the input embedding
    and in the output layer, whether the two are one matrix (T5) or two (T5 v1.1, FLAN).

    Args:
        source: A folder written by `save_pretrained`, or a hub name.
        tokenizer: Of the vocabulary: the base's pieces and the labels.
        vocabulary: Labels with their pieces.
        dropout: Used in training only.

    Raises:
        BooruError: The model is not on this machine and cannot be downloaded, or is no T5.
    """
    try:
        model = AutoModelForSeq2SeqLM.from_pretrained(
            source, dtype=torch.float32, dropout_rate=dropout, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, ConnectionError) as error:
        raise BooruError(
            f"cannot load the base model {source}: {str(error).splitlines()[0]} "
            "Connect once so that it is downloaded, or give a local model folder as the preset."
        ) from error
    if not isinstance(model, T5ForConditionalGeneration):
        raise BooruError(f"the base model {source} is a {model.config.model_type}, not a T5. Choose a T5.")
    if getattr(model.config, "decoder_start_token_id", None) is None:
        model.config.decoder_start_token_id = model.config.pad_token_id
    if model.lm_head.weight is not model.shared.weight:
        # transformers 5 sets this to True for every T5 on loading, and resizing would then replace the output layer
        # by the input embedding. `scale_decoder_outputs` keeps saying how v1.1 computes its logits.
        model.config.tie_word_embeddings = False
    # T5's matrix is longer than its tokenizer (32,128 rows for 32,100 tokens), and may stay so.
    model.resize_token_embeddings(max(len(tokenizer), model.config.vocab_size), mean_resizing=False)
    special = vocabulary.special_tokens
    comma = tokenizer.convert_tokens_to_ids(",")
    with torch.no_grad():
        # A dict by identity: one matrix where the two are tied.
        for weight in {id(w): w for w in (model.shared.weight, model.lm_head.weight)}.values():
            weight[special.first_added : special.separator] = weight[: special.first_added].mean(0)
            weight[special.separator] = weight[comma]
            rows = label_rows(weight, vocabulary)
            for row, pieces in enumerate(vocabulary.piece_ids):
                rows[row] = weight[pieces].mean(0)
    return model


def label_rows(weight: torch.Tensor, vocabulary: Vocabulary) -> torch.Tensor:
    """The labels' rows of an embedding or output matrix, a view [labels, d_model]."""
    return weight.narrow(0, vocabulary.first_token_id, len(vocabulary))


def quiet_transformers() -> None:
    """Keep transformers' progress bars and notes out of the run's log."""
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
