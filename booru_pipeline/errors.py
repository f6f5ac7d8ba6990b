"""Errors that people are meant to read, and what is said of other libraries' errors in them."""

import difflib
import errno
import functools
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

# A full, read-only or rationed disk: nothing that trying again would mend.
DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})


class BooruError(Exception):
    """Bad input or a bad place: the message names the thing (file, line, setting) and the remedy.

    The command line prints it without a traceback and exits with status 1; in the Dagster UI it is the run's failure.
    """


class Stopped(BooruError):
    """A person or a supervisor ended what was under way, by a signal.

    Attributes:
        status: The exit status of the process.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def first_line(error: object) -> str:
    """The first line of an error's text, without its full stop; the error's type if it has no text."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")


def printable(text: str) -> str:
    """The text with what a terminal would obey, or could not show, written as an escape such as `\\x1b`.

    Bytes that are no text in the locale, which Python keeps as half a surrogate pair, are written as bytes.
    """
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def printable_lines(text: str) -> str:
    """Text of several lines, each as `printable` has it."""
    return "\n".join(map(printable, text.split("\n")))


def _escape(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else letter.encode("unicode_escape").decode("ascii")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody may have meant; None if none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)), None)


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
