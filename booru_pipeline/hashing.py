"""Fingerprints of files, and of things that JSON can write."""

import hashlib
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from booru_pipeline.progress import step

_LARGE: Final = 1 << 28  # bytes, which a slow disk needs seconds for


def fingerprint(*parts: Any) -> str:
    """A short stable hash (16 hex digits) of JSON-serialisable parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes (64 hex digits)."""
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        # A step is a thread, which a small file is not worth.
        told = step(f"reading {path.name}", measure=lambda: file.tell() / size) if size > _LARGE else nullcontext()
        with told:
            return hashlib.file_digest(file, "sha256").hexdigest()
