"""Options in plain words: their kinds, their values, and what pydantic refuses of them."""

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from booru_pipeline.errors import printable

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


def refusals(error: "ValidationError", model: type["BaseModel"]) -> dict[tuple[str, ...], str]:
    """What a model of options refuses, in plain words: by option, as the path to it, what is to be said after its name,
    such as ` is -1; allowed: number > 0`. An option of a section has the path (section, option); what is wrong with a
    section as a whole has the section's.
    """
    found: dict[tuple[str, ...], str] = {}
    for item in error.errors(include_url=False):
        path, schema = option_at(item["loc"], model)
        if item["type"] == "extra_forbidden":
            path = (*path, printable(str(item["loc"][len(path)])))
            phrase = " is no option"
        elif item["type"] == "value_error":  # of our own validators, which speak plainly
            phrase = f": {printable(str(item['ctx']['error']))}"
        else:
            inside = len(item["loc"]) > len(path) and schema.get("type") == "array"
            phrase = f" {'has' if inside else 'is'} {_shown(item['input'])}; allowed: {kind_in_words(schema)}"
        found.setdefault(path, phrase)
    return found


@functools.cache
def _schema_of(model: type["BaseModel"]) -> dict[str, Any]:
    return model.model_json_schema()


def option_at(location: tuple[int | str, ...], model: type["BaseModel"]) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """The path to the option that pydantic's location is in, and the option's JSON Schema."""
    root = _schema_of(model)
    schema: Mapping[str, Any] = root
    path: list[str] = []
    for part in location:
        schema_of = schema.get("properties", {})
        if part not in schema_of:
            break
        path.append(str(part))
        schema = schema_of[part]
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return tuple(path), schema


def _shown(value: Any) -> str:
    """A value as somebody gave it: numbers that came as text are numbers."""
    if not isinstance(value, str):
        return written(value)
    try:
        return str(float(value)) and value
    except ValueError:
        return repr(value) if value else "empty"


def written(value: Any) -> str:
    """A value as booru.toml has it; a dash for none."""
    return "-" if value is None else json.dumps(value, default=str, ensure_ascii=False)


def kind_in_words(schema: Mapping[str, Any]) -> str:
    """A JSON Schema's type and bounds in words, such as `whole number >= 1`."""
    if "enum" in schema:
        return " or ".join(schema["enum"])
    if "anyOf" in schema:
        return " or ".join(kind_in_words(part) for part in schema["anyOf"] if part.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {kind_in_words(schema['items'])}{', not empty' if schema.get('minItems') else ''}"
    if "properties" in schema:
        return "a section"
    names = {"integer": "whole number", "boolean": "true or false", "string": "text", "object": "table"}
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = " and ".join(f"{sign} {schema[bound]:g}" for bound, sign in signs.items() if bound in schema)
    name = "path" if schema.get("format") == "path" else names.get(schema.get("type", ""), schema.get("type", "text"))
    return f"{name} {bounds}".strip() + (", not empty" if schema.get("minLength") else "")
