"""A base model's weights from a pickle to safetensors, in a process that reads numbers alone and has no network.

A pickle can run any code when it is read. `torch.load` with `weights_only` unpickles nothing but tensors and the like;
should that ever fail, the process that does it can still neither connect nor start another.

    python -m booru_pipeline.vocabulary.pickled_weights FOLDER DRAFT    # that process
"""

import ctypes
import json
import os
import pickle
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from booru_pipeline.errors import BooruError

_INDEX: Final = "pytorch_model.bin.index.json"
_WHOLE: Final = "pytorch_model.bin"
_KEPT: Final = (".json", ".model", ".txt", ".md")
_FORBIDDEN: Final = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.startfile")
_NO_NETWORK: Final = 0x40000000 | 0x10000000  # CLONE_NEWNET | CLONE_NEWUSER of Linux's unshare(2)


def convert(folder: Path, draft: Path) -> None:
    """Write a base model's folder anew, with its weights as safetensors.

    Args:
        folder: As the hub has it: `config.json`, a tokenizer, and `pytorch_model.bin`, whole or in shards.
        draft: The folder to make.

    Raises:
        BooruError: There is no such pickle, it holds something else than weights, or it is broken.
    """
    if not (folder / "config.json").is_file():
        raise BooruError(f"{folder} is not a model folder: it has no config.json.")
    try:
        found = files_of(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = type(error).__name__
        raise BooruError(f"{folder / _INDEX} is no index of weights ({why}). Copy it again.") from error
    if not found:
        raise BooruError(f"{folder} has no {_WHOLE}: there is nothing to convert.")
    command = [sys.executable, "-m", "booru_pipeline.vocabulary.pickled_weights", str(folder), str(draft)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise BooruError(f"the weights in {folder} cannot be converted: {said[0]} Nothing was written.")


def files_of(folder: Path) -> list[Path]:
    """The pickles of a folder's weights; none if there are none. ValueError and its like: their index is broken."""
    index = folder / _INDEX
    if index.is_file():
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [folder / Path(name).name for name in dict.fromkeys(names)]
    return [folder / _WHOLE] if (folder / _WHOLE).is_file() else []


def _main(folder: Path, draft: Path) -> None:
    import torch
    from safetensors.torch import save_file

    _shut_in()
    weights: dict[str, torch.Tensor] = {}
    for path in files_of(folder):
        try:
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            _end(f"{path.name} holds something else than weights, and was not read.")
        except (OSError, RuntimeError, EOFError, KeyError) as error:
            _end(f"{path.name} cannot be read ({type(error).__name__}): copy it again.")
        if not isinstance(found, dict) or not all(isinstance(part, torch.Tensor) for part in found.values()):
            _end(f"{path.name} holds something else than weights by name.")
        weights |= found
    once: dict[int, str] = {}
    for name, part in list(weights.items()):  # T5 names its embedding several times
        first = once.setdefault(part.data_ptr(), name)
        if first != name and weights[first].shape == part.shape:
            del weights[name]
    draft.mkdir()
    kept = {name: part.clone().contiguous() for name, part in weights.items()}
    save_file(kept, str(draft / "model.safetensors"), metadata={"format": "pt"})
    for path in sorted(folder.iterdir()):
        if path.suffix in _KEPT and path.name != _INDEX and path.is_file():
            shutil.copyfile(path, draft / path.name)


def _end(why: str) -> None:
    print(why, file=sys.stderr)
    os._exit(1)


def _shut_in() -> None:
    """No network and no other program from here on: by the kernel where it lets us, and by Python's own hook."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).unshare(_NO_NETWORK)

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if event.startswith(_FORBIDDEN):
            raise PermissionError(f"{event} is not allowed while a pickle is read")

    sys.addaudithook(refuse)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
