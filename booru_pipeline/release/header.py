"""The first line of a raw TSV file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.release.content import open_raw

_LONGEST_HEADER: Final = 1 << 16
_ALSO_CALLED: Final = {"danb_fr": "danb_tag"}  # the BC_20xx layout


def read_header(path: Path, required: Sequence[str]) -> list[str]:
    """Column names of a TSV file (plain or compressed) in lower case, in the file's order.

    A column that some layouts call otherwise is given under the origin's name: `danb_tag` as `danb_fr`.

    Raises:
        BooruError: The file is empty, cannot be read or is no text (see `open_raw`), or lacks one of the columns.
    """
    with open_raw(path) as file:
        line = file.readline(_LONGEST_HEADER)
    if not line.strip():
        raise BooruError(f"{path} is empty: line 1 should name the columns. Download it again.")
    header = line.decode("utf-8-sig", errors="surrogateescape").rstrip("\r\n")
    columns = [name.strip().lower() for name in header.split("\t")]
    for name, other in _ALSO_CALLED.items():
        if name not in columns and other in columns:
            columns[columns.index(other)] = name
    missing = [name for name in required if name not in columns]
    if missing and not header.replace("\t", "").isprintable():
        raise BooruError(
            f"{path}, line 1: this is not text that names columns (it begins with {printable(header[:30])}). "
            "Download it again; if it is an archive, unpack it."
        )
    if missing:
        shown = header.replace("\t", ", ")[:200]
        raise BooruError(
            f"{path}, line 1: column {missing[0].upper()} is missing (the header has {shown}). "
            "Put the header back or download the file again."
        )
    return [printable(name) for name in columns]
