"""Fingerprints of things that JSON can write."""

import hashlib
import json
from typing import Any


def fingerprint(*parts: Any) -> str:
    """A short stable hash (16 hex digits) of JSON-serialisable parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
