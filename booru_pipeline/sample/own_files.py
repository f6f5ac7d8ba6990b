"""Writing a sample's files into a folder: none is replaced or removed there that a sample did not write.

`sample_files.json` has the SHA-256 of what was written, by name. A file whose bytes are others is a person's.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError

MANIFEST_NAME: Final = "sample_files.json"

_Hashes = dict[str, list[str]]  # by name; two of a file that is being replaced
_DRAFT: Final = ".new"


def write_own(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Have a folder hold a sample's files and no others of an earlier sample.

    All is looked at before the first byte is written. Each file is replaced in one step, and one that is there as it
    should be is not touched. Killed in the middle, it can be done again.

    Args:
        folder: Made if it is not there.
        contents: The files' bytes by name, relative to the folder.

    Raises:
        BooruError: The folder has something else in the way, or it cannot be written.
    """
    wanted = {name: sha256(content).hexdigest() for name, content in contents.items()}
    final = {name: [content_hash] for name, content_hash in wanted.items()}
    try:
        known = _read_manifest(folder)
        there = {name: _hash_of(folder / name) for name in {*wanted, *known} if os.path.lexists(folder / name)}
        strange = [name for name, found in there.items() if found not in {wanted.get(name), *known.get(name, ())}]
        strange += _in_the_way(folder, {*wanted, *known}, everything=not known)
        if strange:
            raise _refusal(folder / min(strange))
        folder.mkdir(parents=True, exist_ok=True)
        new = [name for name, content_hash in wanted.items() if there.get(name) != content_hash]
        old = [name for name in there if name not in wanted]
        if new or old:  # first that both the former and the new bytes are a sample's
            both = {name: sorted({*known.get(name, ()), *final.get(name, ())}) for name in {*wanted, *known}}
            _replace(folder / MANIFEST_NAME, _manifest(both))
        for name in new:
            _replace(folder / name, contents[name])
        for name in old:
            (folder / name).unlink()
            with suppress(OSError):  # it has other files
                (folder / name).parent.rmdir()
        if new or old or known != final:
            _replace(folder / MANIFEST_NAME, _manifest(final))
    except OSError as error:
        raise BooruError(
            f"cannot write {error.filename or folder}: {error.strerror}. Choose a folder that can be written."
        ) from error


def _in_the_way(folder: Path, own: set[str], *, everything: bool) -> Iterator[str]:
    """Files of a folder that are no sample's and would stand beside one, by name.

    That is every one in a folder without samples, since a sample is to meet no real release; later on, those that a
    release of the sample would be taken together with.
    """
    releases = {name.rpartition("/")[2].partition("_")[0].lower() for name in own if "/" in name}  # v2021a
    for path, folders, names in os.walk(folder):
        for name in names + [name for name in folders if os.path.islink(Path(path, name))]:
            relative = Path(path, name).relative_to(folder).as_posix()
            beside = everything or name.lower().startswith(tuple(f"{release}_" for release in releases))
            above = any(mine.startswith(f"{relative}/") for mine in own)  # a link to a folder elsewhere
            if (beside or above) and not name.startswith(".") and relative not in {*own, MANIFEST_NAME}:
                yield relative


def _read_manifest(folder: Path) -> _Hashes:
    """What samples wrote into a folder; empty if none did.

    Raises:
        BooruError: A file of that name is there that is no sample's.
    """
    path = folder / MANIFEST_NAME
    if not os.path.lexists(path):
        return {}
    content = path.read_bytes()
    try:
        known: _Hashes = json.loads(content)["files"]
        if _manifest(known) == content:
            return known
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise _refusal(path)


def _refusal(path: Path) -> BooruError:
    return BooruError(
        f"{path} is not as a sample left it, or of no sample: nothing was written. Choose another folder with --raw, "
        "or move it away."
    )


def _manifest(files: Mapping[str, list[str]]) -> bytes:
    about = "SHA-256 of what `booru sample` wrote here. It replaces and removes such files, and no others."
    return json.dumps({"about": about, "files": dict(sorted(files.items()))}, indent=1).encode() + b"\n"


def _hash_of(path: Path) -> str:
    """A file's SHA-256; of what is no file, nothing that one can be."""
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}{_DRAFT}")  # no name of a release's file, and replaced if it was left
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
