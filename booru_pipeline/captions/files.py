"""Files of captions: found and checked before anything is written, and written whole or not at all."""

import datetime
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from booru_pipeline.errors import BooruError, printable

_METADATA: Final = re.compile(r"meta_.*\.json", re.IGNORECASE)  # what sd-scripts' finetune/ writes
_LONGEST: Final = 1 << 20  # of a caption, in bytes; a post's tags take less than a hundredth of it
_INDENT: Final = re.compile(r"\s*\{\r?\n([ \t]+)\"")


@dataclass(frozen=True)
class CaptionFile:
    """A file that was read: a `.txt`, which is one text, or kohya's metadata, which have one for each picture.

    Attributes:
        path: Where it is.
        inside: Its path in the folder that was named, or its name alone.
        texts: The captions.
        content: What it holds, without a mark of byte order.
        metadata: Of JSON, the whole; `keys` lead to its captions.
    """

    path: Path
    inside: Path
    texts: Sequence[str]
    content: str
    had_mark: bool = False
    metadata: dict[str, Any] | None = None
    keys: Sequence[tuple[str, str]] = field(default=())

    def written(self, texts: Sequence[str]) -> bytes:
        """Its bytes with other texts; trainers would read a mark of byte order as part of the first tag."""
        if self.metadata is None:
            return texts[0].encode()
        if list(texts) == list(self.texts):
            return self.content.encode()
        for (picture, key), text in zip(self.keys, texts, strict=True):
            self.metadata[picture][key] = text
        indent = _INDENT.match(self.content)
        form: dict[str, Any] = {"indent": indent[1]} if indent else {"indent": None}
        # A half of a surrogate pair can be written as an escape only.
        is_ascii = self.content.isascii() or any("\ud800" <= letter <= "\udfff" for letter in "".join(texts))
        end = self.content[len(self.content.rstrip()) :]
        return (json.dumps(self.metadata, ensure_ascii=is_ascii, **form) + end).encode()


def read_captions(source: Path) -> list[CaptionFile]:
    """All captions of a folder and the folders in it, by path: `.txt`, and `meta_*.json`; or of one such file.

    What is hidden is passed over, and so are links to folders.

    Raises:
        BooruError: There are none, or one cannot be read or is no caption.
    """
    if not source.exists():
        raise BooruError(f"{_shown(source)} is not there. Name a folder of captions, or a metadata file of kohya's.")
    if not source.is_dir():
        if source.suffix.lower() not in (".txt", ".json"):
            raise BooruError(f"{_shown(source)} is neither a folder nor a .txt or .json file. Name one of these.")
        return [_read(source, Path(source.name))]
    found = [_read(path, path.relative_to(source)) for path in _walk(source)]
    if not found:
        raise BooruError(
            f"{_shown(source)} has no captions: no .txt file and no meta_*.json is in it or in the folders in it. "
            "Name the folder of the pictures' captions."
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise BooruError(
            f"{_shown(error.filename)} cannot be read: {error.strerror}. Make it readable, or move it elsewhere."
        ) from error

    for here, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and (name.lower().endswith(".txt") or _METADATA.fullmatch(name)):
                yield Path(here, name)


def _read(path: Path, inside: Path) -> CaptionFile:
    is_json = path.suffix.lower() == ".json"
    try:
        if not path.is_file():
            reason = "it leads nowhere" if path.is_symlink() and not path.exists() else "it is no file"
            raise BooruError(f"{_shown(path)} cannot be read: {reason}. Remove it, or give it another name.")
        if not is_json and path.stat().st_size > _LONGEST:
            raise BooruError(f"{_shown(path)} is no caption: it has more than {_LONGEST:,} bytes. Move it elsewhere.")
        content = path.read_bytes()
    except OSError as error:
        raise BooruError(f"{_shown(path)} cannot be read: {error.strerror}. Make it readable, or move it.") from error
    mark = content.startswith(b"\xef\xbb\xbf")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + 3 * mark
        raise BooruError(
            f"{_shown(path)}, line {content.count(bytes([10]), 0, at) + 1}, byte {at + 1}: it is not UTF-8. "
            "Save it as UTF-8, or move it out of the folder."
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise BooruError(f"{_shown(path)}, line {line}: it has a NUL byte, which is in no caption. Remove it.")
    return _metadata(path, inside, text, mark) if is_json else CaptionFile(path, inside, [text], text, mark)


def _metadata(path: Path, inside: Path, content: str, mark: bool) -> CaptionFile:
    """kohya's metadata. Its texts are the tags; captions, which are sentences there, only where no picture has tags."""
    try:
        found = json.loads(content, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise BooruError(
            f"{_shown(path)}, line {error.lineno}: it is no JSON: {error.msg}. Correct it, or make it again."
        ) from error
    except (_TwiceError, RecursionError) as error:
        raise BooruError(f"{_shown(path)} cannot be read: {printable(str(error))}. Correct it.") from error
    texts: dict[tuple[str, str], str] = {}
    for picture, entry in found.items() if isinstance(found, dict) else [("the whole", None)]:
        if not isinstance(entry, dict):
            raise BooruError(
                f"{_shown(path)}: {printable(picture)} is no object. kohya's metadata are an object with an object "
                'for each picture, such as {"1.png": {"tags": "1girl, solo"}}.'
            )
        for key in ("tags", "caption"):
            if isinstance(text := entry.get(key), str):
                texts[picture, key] = text
            elif text is not None:
                raise BooruError(f"{_shown(path)}: {key} of {printable(picture)} are no text. Make one text of them.")
    has_tags = any(key == "tags" for _, key in texts)
    keys = [(picture, key) for picture, key in texts if (key == "tags") == has_tags]
    if not keys:
        raise BooruError(f"{_shown(path)} has neither tags nor captions. Name the metadata that have them.")
    return CaptionFile(path, inside, [texts[key] for key in keys], content, mark, found, keys)


class _TwiceError(Exception):
    """A key is there twice, and one value would be lost."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(f"{next(key for key in keys if keys.count(key) > 1)!r} is there twice in one object")
    return found


def check_output(source: Path, output: Path) -> None:
    """Raises a BooruError unless something new can be written there, outside the folder that is read."""
    place = output.resolve()
    if source.resolve() in (place, *place.parents):
        raise BooruError(
            f"{_shown(output)} is in what is read. Name a place outside, or give --in-place and no OUTPUT."
        )
    if output.exists() or output.is_symlink():
        raise BooruError(f"{_shown(output)} is there already. Name a new one, or remove it first.")
    if not output.parent.is_dir():
        raise BooruError(f"{_shown(output.parent)} is no folder that is there. Make it first, or name another place.")


def write_output(files: Mapping[Path, bytes], source: Path, output: Path) -> None:
    """Write files, by their path inside, to a new folder, or a file where the source is one: whole, or not at all.

    Raises:
        BooruError: It cannot be written, or is there by now.
    """
    with _draft(output) as draft:
        if source.is_dir():
            _fill(draft, files)
        else:
            draft.write_bytes(next(iter(files.values())))
        _settle()
        check_output(source, output)
        os.rename(draft, output)


def write_in_place(files: Mapping[Path, bytes], source: Path) -> Path:
    """Copy the files to a new folder beside the source, and then replace each; permissions stay.

    Returns:
        The folder of the copies, which have the source's layout.

    Raises:
        BooruError: They cannot be written. Before the copies are complete nothing is changed.
    """
    top = source if source.is_dir() else source.parent
    linked = next((path for path in files if (top / path).is_symlink()), None)
    if linked is not None:
        raise BooruError(f"{_shown(top / linked)} is a link, and --in-place changes nothing elsewhere. Give an OUTPUT.")
    stamp = f"{source.name}.backup-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    with _draft(source.with_name(stamp)) as draft:
        _fill(draft, dict.fromkeys(files, b""), top)
        _settle()
        backup, number = source.with_name(stamp), 1
        while os.path.lexists(backup):
            number += 1
            backup = source.with_name(f"{stamp}-{number}")
        os.rename(draft, backup)
    try:
        for path, content in files.items():
            _replace(top / path, content)
        _settle()
    except OSError as error:
        raise BooruError(
            f"{_shown(error.filename or source)} cannot be written: {error.strerror}. What was there before is in "
            f"{_shown(backup)}; make some room, or the folder writable, and run this again."
        ) from error
    return backup


@contextmanager
def _draft(final: Path) -> Iterator[Path]:
    """A path on the same disk as the final one, which is removed at the end unless it was renamed."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{final.name}.", dir=final.parent) as folder:
            yield Path(folder, "draft")
    except OSError as error:
        raise BooruError(
            f"{_shown(final)} cannot be written: {error.strerror}. Free some space, or choose another place."
        ) from error


def _fill(folder: Path, files: Mapping[Path, bytes], copied: Path | None = None) -> None:
    """Make a folder of files; those of another folder, if one is given."""
    folder.mkdir()
    for parent in dict.fromkeys(path.parent for path in files):
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        if copied is None:
            (folder / path).write_bytes(content)
        else:
            shutil.copy2(copied / path, folder / path)


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        shutil.copymode(path, name)
        if hasattr(os, "chown"):
            with suppress(OSError):  # only root gives files away
                os.chown(name, path.stat().st_uid, path.stat().st_gid)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _settle() -> None:
    """Have all of it on the disk before the name that says so; in one call, since there may be very many files."""
    if hasattr(os, "sync"):
        os.sync()


def _shown(path: Path | str) -> str:
    return printable(str(path))
