"""Danbooru's lists of tags as files: where they are, in which form, and what they say, entry by entry."""

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.release.content import open_raw
from booru_pipeline.release.names import canonical_tag
from booru_pipeline.release.walk import identity, is_text

FORMS: Final = ".json, .jsonl, .ndjson, .csv or .tsv, plain or compressed (.gz, .zst, .bz2, .xz, or a .zip of one file)"
ANOTHER_FOLDER: Final = "name another folder with --relations or BOORU_RELATIONS."

# Danbooru has 80,000 implications and aliases, in 10 MB. What is larger is a mistake or an attack.
_LARGEST: Final = 1 << 28
_CORRECT: Final = "Correct the line or remove it."
_FORM: Final = re.compile(r"\.(?:json|jsonl|ndjson|csv|tsv)(?:\.(?:gz|gzip|zst|zstd|bz2|xz|zip))?", re.IGNORECASE)
_DATE: Final = r"(?:[-_]\d{4}-?\d{2}-?\d{2})?"  # e621's exports have one
_JSON_SPACE: Final = re.compile(r"[ \t\n\r]*")
_TRUE: Final = frozenset({"true", "t", "1", "yes"})
_FALSE: Final = frozenset({"false", "f", "0", "no"})


class Entry(NamedTuple):
    """What one entry of a list says.

    Attributes:
        line: The line on which it begins, from 1.
        values: Its values by name; those of a CSV file are strings.
    """

    line: int
    values: Mapping[str, Any]


def files_of(folder: Path, stem: str) -> dict[Path, bool]:
    """All that is called as a list is, such as `tag_aliases.csv.gz`, and whether its form is one that is read, by name.

    Raises:
        BooruError: The folder cannot be read.
    """
    called = re.compile(rf"{stem}{_DATE}(?P<ending>\..*)", re.IGNORECASE | re.DOTALL)
    try:
        with os.scandir(folder) as entries:
            names = {entry.name: entry.is_dir() for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise BooruError(f"{folder} cannot be read: {error.strerror}. Make it readable, or {ANOTHER_FOLDER}") from error
    found = {}
    for name, is_folder in sorted(names.items()):
        if match := called.fullmatch(name):
            is_read = _FORM.fullmatch(match["ending"]) is not None
            if is_read or not is_folder:
                found[folder / name] = is_read
    return found


def find_list(folder: Path, stem: str) -> Path | None:
    """The file of a list, or None if there is nothing that is called so.

    Raises:
        BooruError: Two files are, or only such as are not read.
    """
    called = files_of(folder, stem)
    found = list({identity(path): path for path, is_read in called.items() if is_read}.values())
    if len(found) > 1:
        raise BooruError(f"{found[0]} and {found[1]} are two files of one list. Remove one of them.")
    if called and not found:
        other = printable(str(next(iter(called))))
        raise BooruError(
            f"{other} is not read: a list is {stem} with one of the endings {FORMS}. Convert or rename it, or "
            f"{ANOTHER_FOLDER}"
        )
    return found[0] if found else None


def read_pairs(path: Path, itself: str, *, spellings: bool = False) -> dict[tuple[str, str], int]:
    """The first line of each pair (antecedent, consequent) that is active, names as `canonical_tag` has them.

    Where both are spellings of one name, it is passed over, or kept as it is spelled, if asked for.

    Args:
        path: A file of aliases or implications, see `entries`.
        itself: What a tag is that stands on both sides, for people: `an alias of itself`.
        spellings: Keep the antecedent as it is spelled where its canonical name is the consequent's: `:D` for `:d`.

    Raises:
        BooruError: It cannot be read, an entry is broken, or a name stands on both sides.
    """
    lines: dict[tuple[str, str], int] = {}
    for line, values in entries(path, ("antecedent_name", "consequent_name")):
        status = values.get("status", "active")
        if not isinstance(status, str) or not status:
            refuse(path, [line], f"status is {_shown(status)}, not a word such as active.")
        if status.strip().lower() != "active":
            continue
        pair = _name(values, "antecedent_name", path, line), _name(values, "consequent_name", path, line)
        if values["antecedent_name"] == values["consequent_name"]:
            refuse(path, [line], f"{pair[0]} is {itself}.")
        if pair[0] == pair[1] and spellings:
            pair = values["antecedent_name"], pair[1]
        if pair[0] != pair[1]:
            lines.setdefault(pair, line)
    return lines


def read_deprecated(path: Path) -> frozenset[str]:
    """The names of a list of deprecated tags, as `canonical_tag` has them: all but those that say that they are not.

    Raises:
        BooruError: The file cannot be read, or an entry is broken.
    """
    names = set()
    for line, values in entries(path, ("name",)):
        name, deprecated = _name(values, "name", path, line), values.get("is_deprecated", True)
        said = str(deprecated).strip().lower() if isinstance(deprecated, bool | str | int) else ""
        if said not in _TRUE | _FALSE:
            refuse(path, [line], f"is_deprecated is {_shown(deprecated)}, not true or false.")
        if said in _TRUE:
            names.add(name)
    return frozenset(names)


def entries(path: Path, needed: Sequence[str]) -> Iterator[Entry]:
    """The entries of a list, in order; which form it has is seen by how it begins.

    The forms are JSON, as an object a line (Danbooru's BigqueryExportService) or as arrays (its API's pages, one after
    the other), and CSV with a header that names the columns, in any order, separated by commas, semicolons or tabs.

    Args:
        path: The file, plain or compressed, see `open_raw`.
        needed: The names that a CSV file must have columns of. Whether a JSON object has them is not looked at.

    Raises:
        BooruError: While iterating: the file cannot be read, is in no such form, or is broken; with the line.
    """
    text = _text(path)
    begins = text.lstrip()[:1]
    if begins in ("{", "["):
        yield from _json_entries(text, path, arrays=begins == "[")
    elif begins:
        yield from _csv_entries(text, path, needed)


def refuse(path: Path, lines: Sequence[int], problem: str, remedy: str = _CORRECT) -> NoReturn:
    """Raise the BooruError about some lines of a list."""
    where = f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}"
    raise BooruError(f"{path}, {where}: {problem} {remedy}")


def _text(path: Path) -> str:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise BooruError(f"{path} cannot be read: {error.strerror}. Make it readable, or {ANOTHER_FOLDER}") from error
    with open_raw(path) as stream:
        content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise BooruError(f"{path} has more than {_LARGEST:,} bytes, more than a list has. Download it again.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        refuse(path, [line], "this is not UTF-8.", "Save the file as UTF-8, or correct the line or remove it.")


def _json_entries(text: str, path: Path, *, arrays: bool) -> Iterator[Entry]:
    decode = json.JSONDecoder().raw_decode
    line, counted = 1, 0  # line of the offset `counted`
    inside = after = False  # in an array; after an entry of it, where a comma is due
    at = 0
    while True:
        match = _JSON_SPACE.match(text, at)
        at = match.end() if match else at
        line, counted = line + text.count("\n", counted, at), at
        if at == len(text):
            break
        letter = text[at]
        if arrays and not inside:
            if letter != "[":
                refuse(path, [line], "this is after the end of the array.")
            inside, after, at = True, False, at + 1
        elif inside and letter == "]":
            inside, at = False, at + 1
        elif inside and after:
            if letter != ",":
                refuse(path, [line], "a comma or ] is missing before this.")
            after, at = False, at + 1
        else:
            try:
                value, at = decode(text, at)
            except (ValueError, RecursionError):
                refuse(path, [line], "this is not JSON.")
            if not isinstance(value, dict):
                refuse(path, [line], f"this is not a JSON object with names and values, but {_shown(value)}.")
            yield Entry(line, value)
            after = True
    if inside:
        refuse(path, [line], "the file ends before its array does.", "Download it again.")


def _csv_entries(text: str, path: Path, needed: Sequence[str]) -> Iterator[Entry]:
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = next((sign for sign in "\t,;" if sign in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            if not header:
                _refuse_form(path, line, needed, first)
            refuse(path, [line], f"the quotes or line ends of this entry are broken ({printable(str(error))}).")
        if row is None:
            break
        if not any(field.strip() for field in row):
            continue
        names = [field.strip().lower() for field in row]
        if not header:
            header = names
            missing = [name for name in needed if name not in header]
            if len(missing) == len(needed):
                _refuse_form(path, line, needed, first)
            if missing:
                has = printable(", ".join(header))[:200]
                refuse(path, [line], f"column {missing[0]} is missing (the header has {has}).", "Put it back.")
        elif names != header:  # which two files joined have in the middle
            if len(row) != len(header):
                fields = f"{len(row)} field{'' if len(row) == 1 else 's'}"
                problem = f"this has {fields}, and the header has {len(header)} columns."
                refuse(path, [line], problem, "Put a name that holds the separator into quotes, or remove the line.")
            yield Entry(line, dict(zip(header, row, strict=True)))


def _refuse_form(path: Path, line: int, needed: Sequence[str], begins: str) -> NoReturn:
    refuse(
        path,
        [line],
        f"this is neither JSON nor the header of a CSV file with {' and '.join(needed)} (it begins with "
        f"{printable(begins[:40])}).",
        "Give JSON objects, one a line or in an array, or CSV with a header.",
    )


def _name(values: Mapping[str, Any], key: str, path: Path, line: int) -> str:
    name = values.get(key)
    if isinstance(name, str) and is_text(name) and (tag := canonical_tag(name)):
        return tag
    refuse(path, [line], f"{key} is {_shown(name)}, not the name of a tag.")


def _shown(value: Any) -> str:
    try:
        text = "missing" if value is None else json.dumps(value)
    except RecursionError:
        text = "nested deeply"
    return text if len(text) <= 40 else f"{text[:40]}…"
