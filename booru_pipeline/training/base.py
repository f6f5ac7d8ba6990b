"""Whether a base model is one to start from, before its weights are read."""

from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from booru_pipeline.errors import BooruError
from booru_pipeline.labels.encoding import SpecialTokens

_MODEL_TYPE: Final = "t5"
_PICKLES: Final = "pytorch_model*.bin"
_WEIGHTS: Final = "model*.safetensors"


def check_base(source: str, special: SpecialTokens) -> None:
    """Look at a base model's configuration and files.

    Args:
        source: A folder written by `save_pretrained`, or a hub name.
        special: Tokens of the vocabulary, which was cut with the base's tokenizer.

    Raises:
        BooruError: It is not on this machine and cannot be downloaded, is no T5, brings code or pickles instead of
            safetensors, or the tokenizer is not its own.
    """
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, ConnectionError) as error:
        raise BooruError(
            f"cannot load the base model {source}: {(str(error).splitlines() or [type(error).__name__])[0]} "
            "Connect once so that it is downloaded, or give a local model folder as the preset."
        ) from error
    if config.model_type != _MODEL_TYPE:
        raise BooruError(
            f"the base model {source} is a {config.model_type}, not a T5. Choose a T5, T5 v1.1 or FLAN-T5."
        )
    if Path(source).is_dir():
        _check_files(Path(source))
    if special.first_added > config.vocab_size:
        raise BooruError(
            f"the tokenizer does not fit the base model {source}: it has {special.first_added:,} tokens, the model "
            f"{config.vocab_size:,} rows. Put the tokenizer that the model was trained with into its folder."
        )
    if (special.pad, special.eos) != (config.pad_token_id, config.eos_token_id):
        raise BooruError(
            f"the tokenizer does not fit the base model {source}: padding and end of sequence are {special.pad} and "
            f"{special.eos}, in the model {config.pad_token_id} and {config.eos_token_id}. Put the tokenizer that the "
            "model was trained with into its folder."
        )


def _check_files(folder: Path) -> None:
    weights = sorted(folder.glob(_WEIGHTS))
    if not weights:
        pickles = sorted(folder.glob(_PICKLES))
        if pickles:
            raise BooruError(
                f"the base model {folder} has its weights as a pickle ({pickles[0].name}), which can run any code when "
                "it is read. Convert it where you trust it: load it with transformers and call `save_pretrained`."
            )
        raise BooruError(f"the base model {folder} has no weights: there is no model.safetensors. Copy it there.")
    for path in weights:
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise BooruError(f"{path} is not a whole safetensors file ({error}). Copy it again.") from error
