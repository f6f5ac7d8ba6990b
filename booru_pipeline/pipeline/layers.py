"""Where settings come from: `--set` and other flags, the environment, the config file."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from booru_pipeline.errors import BooruError


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """`checkpoint.learning_rate=0.005` and the like as nested mappings. The last one of a name counts.

    Values are TOML; what is no TOML is text, so that `checkpoint.optimizer=adamw` needs no quotes. Numbers stay text
    too, which the option itself reads: a text option may be all digits.

    Raises:
        BooruError: One is not of the form section.name=value.
    """
    found: dict[str, Any] = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        *sections, option = name.strip().split(".")
        if not equals or not all([*sections, option]):
            raise BooruError(f"--set {override}: write section.name=value, such as checkpoint.learning_rate=0.005.")
        place = found
        for section in sections:
            place = place.setdefault(section, {})
        place[option] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
    return value if isinstance(value, str | list | dict) else text


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one; where both have a value, that of `above` counts."""
    result = dict(below)
    for name, value in above.items():
        other = result.get(name)
        result[name] = merged(other, value) if isinstance(other, dict) and isinstance(value, dict) else value
    return result
