"""Where settings come from: `--set`, other flags, the environment, the config file; the first that has one counts."""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.pipeline.option_words import kind_in_words, option_at, written

PREFIX: Final = "BOORU_"
CONFIG_FILE: Final = "booru.toml"
CONFIG_VARIABLE: Final = "BOORU_CONFIG"

Names = tuple[str, ...]  # of an option: its section and its name, or its name alone

_FLAGS: Final[dict[Names, str]] = {
    ("checkpoint", "time_limit_s"): "--time-limit",
    ("retention", "checkpoints"): "--keep",
    **{(name,): f"--{name}" for name in ("raw", "home", "relations", "preset")},
}


@dataclass(frozen=True)
class Layer:
    """The values of one source.

    Attributes:
        values: By option, a section's as a mapping.
        source: What set an option, such as `BOORU_HOME`, `booru.toml` or `--preset`.
        spelled: How an option's name is written there.
        place: The source, with the line if there are lines.
        besides: What else can be set there and is no option.
    """

    values: Mapping[str, Any]
    source: Callable[[Names], str]
    spelled: Callable[[Names], str]
    place: Callable[[Names], str]
    besides: tuple[Names, ...] = ()

    def has(self, path: Names) -> bool:
        """Whether it sets an option, or something in a section."""
        content: Any = self.values
        for name in path:
            if not isinstance(content, Mapping) or name not in content:
                return False
            content = content[name]
        return True


@dataclass(frozen=True)
class Layers:
    """All sources, the one that wins first."""

    layers: Sequence[Layer] = field(default_factory=tuple)

    @property
    def values(self) -> dict[str, Any]:
        """The values in force, where any source has one."""
        result: dict[str, Any] = {}
        for layer in reversed(self.layers):
            result = merged(result, layer.values)
        return result

    def layer_of(self, path: Names) -> Layer | None:
        """The one that sets an option, or something in a section."""
        return next((layer for layer in self.layers if layer.has(path)), None)

    def unknown(self, model: type[BaseModel]) -> Iterator[tuple[Names, Layer]]:
        """What is set and is no option of the model, and where."""
        for layer in self.layers:
            for name, value in layer.values.items():
                options = _options(model, name)
                if name not in model.model_fields:
                    yield (name,), layer
                elif options and isinstance(value, Mapping):
                    yield from (((name, option), layer) for option in value if option not in options)


def _options(model: type[BaseModel], section: str) -> Mapping[str, Any]:
    """The fields of a section; none if it is an option, or nothing."""
    info = model.model_fields.get(section)
    return getattr(info.annotation, "model_fields", {}) if info else {}


def option_paths(model: type[BaseModel]) -> list[Names]:
    """Every option."""
    found: list[Names] = []
    for name in model.model_fields:
        section = _options(model, name)
        found += [(name, option) for option in section] if section else [(name,)]
    return found


def suggestion(path: Names, layer: Layer, model: type[BaseModel]) -> str | None:
    """What was meant, as it is written there: an option of that name in another section, or what is nearest."""
    paths = [*option_paths(model), *layer.besides]
    names = tuple(_dotted(path).replace("__", ".").split("."))
    elsewhere = [other for other in paths if other[-1] == names[-1]]
    is_section = len(path) == 1 and isinstance(layer.values[path[0]], Mapping)
    known = [(name,) for name in model.model_fields if _options(model, name)] if is_section else paths
    # Within a section that there is, its name must not make up for an option's that is like none.
    in_section = [other for other in known if other[:-1] == names[:-1]]
    found = (
        elsewhere[:1]
        or _near(names[-1], in_section or known, lambda other: other[-1])
        or ([] if len(names) > 1 and in_section else _near(_dotted(names), known, _dotted))
        or _near("_".join(names), known, lambda other: other[-1])
    )
    return layer.spelled(found[0]) if found else None


def _near(name: str, paths: Sequence[Names], written: Callable[[Names], str]) -> list[Names]:
    near = _nearest(name, map(written, paths))
    return [path for path in paths if written(path) == near]


def _dotted(path: Names) -> str:
    return ".".join(path)


def read_layers(model: type[BaseModel], overrides: Sequence[str], flags: Mapping[str, Any]) -> Layers:
    """Read all sources of the model's options.

    Raises:
        BooruError: One cannot be read: an override without a name or value, a variable that is no JSON though its
            option is a list or a table, a config file that is not there though it was named, or is no TOML.
    """

    def flag(path: Names) -> str:
        return _FLAGS.get(path, f"the value given for {_dotted(path)}")

    return Layers(
        [
            Layer(parse_overrides(overrides), _set, _dotted, _set),
            Layer({name: value for name, value in flags.items() if value is not None}, flag, _dotted, flag),
            Layer(_environment(model), _variable, _variable, _variable, besides=(("config",),)),
            _file([name for name in model.model_fields if _options(model, name)]),
        ]
    )


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
        path = tuple(part.strip() for part in name.split("."))
        if not equals or not all(path) or len(path) > 2:
            raise BooruError(
                f"--set {printable(override)}: write section.name=value, such as checkpoint.learning_rate=0.005."
            )
        found = merged(found, _nested(path, _value(text.strip())))
    return found


def _nested(path: Names, value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    result: dict[str, Any] = value
    return result


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


def _set(_: Names) -> str:
    return "--set"


def _variable(path: Names) -> str:
    return PREFIX + "__".join(path).upper()


def _environment(model: type[BaseModel]) -> dict[str, Any]:
    """What variables set. An empty one is the empty text for an option that is text, and not set for any other.

    `BOORU_` variables that are no option's count as meant for one if they have the form of a section's, with `__`, or a
    name that is nearly an option's. Others pass: Kubernetes, tests and deployments have their own of that prefix.
    """
    known = {_variable(path): path for path in [*option_paths(model), *((name,) for name in model.model_fields)]}
    near_to = [name.removeprefix(PREFIX) for name in (*known, CONFIG_VARIABLE)]
    found: dict[str, Any] = {}
    for variable, text in sorted(os.environ.items()):
        name = variable.upper()
        own = name.removeprefix(PREFIX)
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        if name in known:
            found = merged(found, _from_text(model, known[name], variable, text))
        elif "__" in own or _nearest(own, near_to):
            found[own.lower()] = text  # which is no option's name, and will be refused
    return found


def _from_text(model: type[BaseModel], path: Names, variable: str, text: str) -> dict[str, Any]:
    """A variable's value, nested; lists and tables are JSON, and the rest is read by the option."""
    fields = _options(model, path[0]) if len(path) > 1 else model.model_fields
    annotation = fields[path[-1]].annotation
    if not text and annotation is not str:
        return {}
    _, schema = option_at(path, model)
    if schema.get("type") not in ("array", "object"):
        return _nested(path, text)
    try:
        return _nested(path, json.loads(text))
    except ValueError:
        example = written(fields[path[-1]].default)
        hint = f", as JSON, such as {example}" if schema["type"] == "array" else ", as JSON"
        raise BooruError(
            f"{variable}: setting {_dotted(path)} is {printable(text)!r}; allowed: {kind_in_words(schema)}{hint}."
        ) from None


def config_file() -> Path:
    """The config file that is read, if it is there."""
    return Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE)


def _file(sections: Collection[str]) -> Layer:
    file = config_file()
    if os.environ.get(CONFIG_VARIABLE) and not file.is_file():
        raise BooruError(f"{CONFIG_VARIABLE} names {file}, which is not there. Make it or unset the variable.")
    try:
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        values = tomllib.loads(text)
    except OSError as error:
        raise BooruError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeError as error:
        raise BooruError(f"{file} is no UTF-8 text. Correct it.") from error
    except ValueError as error:
        raise BooruError(f"{file} is no TOML: {printable(str(error))}. Correct it.") from error

    def place(path: Names) -> str:
        line = _line_of(text, path)
        return f"{file} line {line}" if line else str(file)

    def spelled(path: Names) -> str:
        if path[0] in sections:
            return " ".join([f"[{path[0]}]", *path[1:]])
        return f"{path[0]}, above all sections"

    return Layer(values, lambda path: str(file), spelled, place)


def _line_of(text: str, path: Names) -> int | None:
    """The line of a TOML file that sets an option or begins a section; None if it is written in some rarer way."""
    section: Names = ()
    for number, line in enumerate(text.splitlines(), 1):
        if heading := re.match(r"\s*\[([^\[\]]+)\]", line):
            section = tuple(part.strip().strip("\"'") for part in heading[1].split("."))
            names = section
        else:
            names = (*section, *(part.strip().strip("\"'") for part in line.partition("=")[0].split(".")))
        if names == path:
            return number
    return None


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody may have meant; None if none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)), None)
