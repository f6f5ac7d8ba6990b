"""The first line of a raw TSV file."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError

_LONGEST_HEADER: Final = 1 << 16
_ALSO_CALLED: Final = {"danb_fr": "danb_tag"}  # the BC_20xx layout


def read_header(path: Path, required: Sequence[str]) -> list[str]:
    """Column names of a TSV file (plain or gzip) in lower case, in the file's order.

    A column that some layouts call otherwise is given under the name asked for: `danb_tag` as `danb_fr`.

    Raises:
        BooruError: The file is empty, not gzip though it says so, or lacks one of the required columns.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            line = file.readline(_LONGEST_HEADER)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BooruError(f"{path} is not a whole gzip file ({error}). Download it again.") from error
    if not line.strip():
        raise BooruError(f"{path} is empty: line 1 should name the columns. Download it again.")
    names = line.decode("utf-8-sig", errors="replace").rstrip("\r\n").split("\t")
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in ", ".join(names)[:200])
    columns = [name.strip().lower() for name in names]
    for name, other in _ALSO_CALLED.items():
        if name in required and name not in columns and other in columns:
            columns[columns.index(other)] = name
    missing = [name for name in required if name not in columns]
    if missing:
        raise BooruError(
            f"{path}, line 1: column {missing[0].upper()} is missing (the header has {shown}). "
            "Put the header back or download the file again."
        )
    return columns
