"""The copy of dagster.yaml in DAGSTER_HOME: renewed as long as nobody has edited it."""

import hashlib
import os
from pathlib import Path
from typing import Final

_MARK: Final = "# Given by booru, which renews it as long as it is as given: "
# SHA-256 of what was given before copies said so themselves.
_FORMER: Final = frozenset(
    {
        "95f70a6bdcf6fb9dd016962fe4d3a893541fe69b3c6c6934ea1a53680d21c802",
        "2e22b4cbb7bfee815e4d06704df793b5e977e0a2f082dca85fa855339531fefd",
        "ffaba1bac4c0a3d93c6ddd30bc69cbd95c69b66da57c86c66c1cc0622d3e5411",
        "3a857451895de6740f4272cf1e2240fbd3a04f859454d59dfa2b4ba271074ea2",
    }
)


def give_config(template: Path, config: Path) -> None:
    """Write the settings with a first line that says what they were, unless those that are there are a person's own.

    Raises:
        OSError: They cannot be read or written.
    """
    body = template.read_bytes()
    wanted = f"{_MARK}{_digest(body)}\n".encode() + body
    there = config.read_bytes() if config.exists() else None
    if there == wanted or (there is not None and not _as_given(there)):
        return
    draft = config.with_name(f".{config.name}.{os.getpid()}")
    draft.write_bytes(wanted)
    draft.replace(config)  # who reads meanwhile sees the one or the other


def _as_given(content: bytes) -> bool:
    first, _, body = content.partition(b"\n")
    return first == f"{_MARK}{_digest(body)}".encode() or _digest(content) in _FORMER


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
