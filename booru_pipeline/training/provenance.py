"""Where a checkpoint comes from: `provenance.json` in its folder."""

import json
from pathlib import Path
from typing import Any, Final

PROVENANCE_FILE: Final = "provenance.json"


def read_provenance(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint's folder says of itself: release, releases trained on, base model, parent, options, metrics.

    Raises:
        OSError: There is none.
    """
    content: dict[str, Any] = json.loads((checkpoint / PROVENANCE_FILE).read_text(encoding="utf-8"))
    return content
