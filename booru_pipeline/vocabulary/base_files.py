"""The files of a base model: a folder on this machine, or brought from the hub after saying what that takes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.progress import tell

CONVERT: Final = "`booru convert FOLDER NEW_FOLDER`, and then `--preset NEW_FOLDER`"

_PICKLES: Final = ("pytorch_model*.bin",)
_WEIGHTS: Final = ("model*.safetensors", "model.safetensors.index.json")
_OTHERS: Final = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "spiece.model",
)


def bring_base(source: str, *, weights: bool = False) -> Path:
    """The folder with a base model's configuration and tokenizer, and with its weights if they are asked for.

    What the hub has of a model is more, such as the same weights for other programs; nothing of that is brought. What
    is not on this machine yet is told with its size before it is downloaded.

    Args:
        source: A folder, or a hub name such as `google/flan-t5-base`.
        weights: Whether they are needed.

    Raises:
        BooruError: It is not on this machine and cannot be downloaded, or the hub has its weights as a pickle alone.
    """
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    wanted = [*_OTHERS, *(_WEIGHTS if weights else ())]
    try:
        due = _due(source, wanted)
        if weights and not any(name.endswith(".safetensors") for name, _, _ in due):
            pickles = _due(source, _PICKLES)
            if pickles:
                name, size, _ = pickles[0]
                raise BooruError(
                    f"the hub has the weights of {source} as a pickle alone ({name}, {_megabytes(size)}), which can "
                    f"run any code when it is read. `hf download {source} --local-dir FOLDER`, then {CONVERT}."
                )
        missing = [(name, size) for name, size, is_here in due if not is_here]
        if missing:
            names = ", ".join(name for name, _ in sorted(missing, key=lambda file: -file[1]))
            tell(f"downloading {source}, once: {_megabytes(sum(size for _, size in missing))} ({names})")
        return Path(snapshot_download(source, allow_patterns=wanted))
    except BooruError:
        raise
    except Exception as error:  # of the network; huggingface_hub's errors have no common base
        return _here(source, wanted, weights, error)


def _due(source: str, patterns: Sequence[str]) -> list[tuple[str, int, bool]]:
    """Files on the hub of these patterns: name, bytes, and whether they are on this machine."""
    from huggingface_hub import snapshot_download

    found = snapshot_download(source, allow_patterns=list(patterns), dry_run=True)
    assert not isinstance(found, str)
    return [(file.filename, file.file_size or 0, file.is_cached) for file in found]


def _here(source: str, wanted: Sequence[str], weights: bool, error: Exception) -> Path:
    """The folder of what was downloaded before, if it is all there."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(source, allow_patterns=list(wanted), local_files_only=True))
    except Exception:  # as above
        folder = None
    if folder is None or (weights and not any(folder.glob("*.safetensors"))):
        raise BooruError(
            f"cannot load the base model {source}: {first_line(error)}. Connect once so that it is downloaded, or give "
            "a local model folder in its place, or use --preset tiny."
        ) from error
    return folder


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"
