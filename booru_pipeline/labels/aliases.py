"""Tag aliases in the form of Danbooru's export."""

import json
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError

ALIASES_FILE: Final = "tag_aliases.json"


def load_aliases(folder: Path) -> dict[str, str]:
    """Read `tag_aliases.json` of a folder: one JSON object a line, as Danbooru exports them.

    Returns:
        Canonical tag by alias, active ones only (`bunny_ears` -> `rabbit_ears`); empty if there is no such file.

    Raises:
        BooruError: A line is not such an object.
    """
    path = folder / ALIASES_FILE
    if not path.is_file():
        return {}
    aliases: dict[str, str] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                if entry.get("status", "active") == "active":
                    aliases[entry["antecedent_name"]] = entry["consequent_name"]
            except (ValueError, KeyError, AttributeError) as error:
                raise BooruError(
                    f"{path}, line {number}: not an alias. A line is a JSON object with antecedent_name, "
                    "consequent_name and status; correct it or remove the line."
                ) from error
    return aliases
