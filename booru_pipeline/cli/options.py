"""Every option with its type, default and meaning, its value in force and where that is from: `booru settings`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from booru_pipeline.hydration.options import HydrationOptions
from booru_pipeline.pipeline.option_words import kind_in_words, written
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.training.options import PRETRAINED_PLAN, TINY_PLAN, resolve
from booru_pipeline.vocabulary.base_model import TINY

MAIN: Final = "settings"  # the section of what stands above all sections in booru.toml
_HYDRATION: Final = "hydration"  # the experiment's options, which its own command and launchpad take
_BASE: Final = "base_model"
_INTRODUCTIONS: Final = {
    MAIN: "Where things are, above all sections of `booru.toml`.",
    _HYDRATION: "Of `booru experiment hydration`, as `--set name=value`, and of its launchpad; not of `booru.toml`.",
}


@dataclass(frozen=True)
class Option:
    """One settable field.

    Attributes:
        section: Its heading in booru.toml; `settings` for what stands above all headings.
        name: The field's.
        kind: Its type and bounds, in words.
        default: As in booru.toml, or by preset where presets differ.
        description: What it does.
        variable: The environment variable that sets it; empty if none does.
        makes_nothing_stale: Why another value makes nothing stale; empty if it does.
    """

    section: str
    name: str
    kind: str
    default: str
    description: str
    variable: str
    makes_nothing_stale: str = ""

    @property
    def in_full(self) -> str:
        """What it does, and that it makes nothing stale if so."""
        kept = self.makes_nothing_stale
        return f"{self.description} Makes nothing stale: {kept[0].lower()}{kept[1:]}" if kept else self.description


def all_options() -> list[Option]:
    """Every settable field, section by section."""
    schema = Settings.model_json_schema()
    main = {name: item for name, item in schema["properties"].items() if "$ref" not in item}
    found = list(_options_of(MAIN, main, "BOORU_"))
    for section, item in schema["properties"].items():
        if section not in main:
            properties = schema["$defs"][item["$ref"].rpartition("/")[2]]["properties"]
            found += _options_of(section, properties, f"BOORU_{section.upper()}__")
    return [*found, *_options_of(_HYDRATION, HydrationOptions.model_json_schema()["properties"], "")]


def _options_of(section: str, properties: Mapping[str, Any], prefix: str) -> Iterator[Option]:
    for name, schema in properties.items():
        default = written(schema.get("default"))
        tiny, pretrained = (getattr(plan, name, None) for plan in (TINY_PLAN, PRETRAINED_PLAN))
        if (section, name) == (_HYDRATION, _BASE):
            default = f"the preset; in the launchpad {default}"
        if section == "checkpoint" and schema.get("default") is None and tiny is not None:
            other = "its own" if name == "width" else written(pretrained)
            default = f"{written(tiny)} (tiny), {other} (pre-trained)"
        variable = f"{prefix}{name.upper()}" if prefix else ""
        description, kept = schema.get("description", ""), schema.get("makes_nothing_stale", "")
        yield Option(section, name, kind_in_words(schema), default, description, variable, kept)


def value_of(option: Option, settings: Settings) -> tuple[Any, str]:
    """The value in force of an option, as JSON has it, and what set it: a flag, an environment variable, the config
    file, the preset, or `default`.

    Raises:
        BooruError: The options of the checkpoint contradict each other.
    """
    if option.section == _HYDRATION:
        value = HydrationOptions().model_dump(mode="json")[option.name]
        return (settings.preset, "preset") if option.name == _BASE else (value, "default")
    path = [option.name] if option.section == MAIN else [option.section, option.name]
    model = settings if option.section == MAIN else getattr(settings, option.section)
    value = model.model_dump(mode="json")[option.name]
    if source := settings.source(*path):
        return value, source
    if value is None and option.section == "checkpoint":
        plan = resolve(settings.checkpoint, pretrained=settings.preset != TINY)
        if not hasattr(plan, option.name):  # what no preset has a say in
            return None, "default"
        # A pre-trained base has a width of its own: the plan's 0.
        value = None if option.name == "width" and not plan.width else getattr(plan, option.name)
        return value, f"preset {settings.preset}"
    return value, "default"


def to_markdown(options: Sequence[Option]) -> str:
    """docs/options.md: a table for each section."""
    lines = [
        "# Options",
        "",
        "Written by `booru settings --markdown`. `booru settings [SECTION]` shows the values in force and where each",
        "is from. `--set section.name=value` wins over other flags, they over the environment, that over `booru.toml`,",
        "that over the default. A dash is no value: the description says what happens then. In the environment, lists",
        "and tables are JSON. An empty variable is the empty text if the option is text, and counts as not set if not.",
        "",
        "Another value makes stale what was made with the former one, and what was made of that in turn, unless the",
        "option says that it makes nothing stale.",
    ]
    for section in dict.fromkeys(option.section for option in options):
        heading = section if section in _INTRODUCTIONS else f"[{section}]"
        field = Settings.model_fields.get(section)
        doc = (field.annotation.__doc__ or "").strip().splitlines()[0] if field and field.annotation else ""
        lines += ["", f"## {heading}", "", _INTRODUCTIONS.get(section, doc), ""]
        lines += ["| option | type | default | what it does | environment |", "| --- | --- | --- | --- | --- |"]
        for item in (option for option in options if option.section == section):
            cells = [
                f"`{item.name}`",
                item.kind,
                item.default,
                item.in_full,
                f"`{item.variable}`" if item.variable else "",
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
