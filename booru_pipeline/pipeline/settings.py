"""The one settings object: flags, then environment, then the config file, then defaults."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, ValidationError, field_validator

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.store import open_store
from booru_pipeline.pipeline.layers import Layer, Layers, Names, read_layers, suggestion
from booru_pipeline.pipeline.option_words import refusals
from booru_pipeline.pipeline.stages import CONSTANTS, Recipe, Sources
from booru_pipeline.release.find import Release
from booru_pipeline.release.fingerprint import release_fingerprint
from booru_pipeline.training_shards.relations import Relations, find_relations

_SECRET: Final = re.compile(r"(^|_)(key|secret|token|pass|passwd|password|credentials?|sas)(_|$)", re.IGNORECASE)


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is no http or https URL")
    parts.port  # noqa: B018  (a ValueError if it is none)
    return value


class AutomationOptions(BaseModel, extra="forbid"):
    """Unattended work, and who is told of it."""

    # Dagster's daemon comes by every 5 s and passes over what was scanned 4.99 s ago, so 5 here would be 5 or 10.
    # For the same reason rest_s = 15 would take one scan more than 14, which the third scan fulfils.
    look_interval_s: int = Field(4, ge=1, description="Seconds between two scans of the raw folder.")
    rest_s: int = Field(
        14,
        ge=0,
        description="Seconds for which a release's files are the same, at two scans or more, before it is read.",
    )
    cron: str = Field(
        "0 4 * * 1",
        description="When everything is verified, caught up with and evaluated again, as cron has it: minute, hour, "
        "day, month, weekday. Empty: never.",
    )
    run_timeout_s: int = Field(
        172_800,
        ge=0,
        description="Seconds after which a run that was started unattended is ended; its training can go on later. "
        "0 = no limit.",
    )
    attempts: int = Field(
        5, ge=1, description="How often a release is tried whose run was killed. A run that failed is not tried again."
    )
    webhook: Annotated[str, AfterValidator(lambda value: value and _check_url(value))] = Field(
        "", description="URL that is told of each failed run, as JSON. Empty: nobody."
    )


class RetentionOptions(BaseModel, extra="forbid"):
    """Limits of what `booru clean` keeps."""

    checkpoints: int = Field(
        3, ge=1, description="Newest checkpoints that are kept, with the promoted one and those they went on from."
    )
    trials: int = Field(
        20, ge=1, description="Newest trials that are kept, with the promoted one and the one promoted before it."
    )
    reports: int = Field(
        20, ge=1, description="Newest reports, and newest audits, that are kept; a kept checkpoint keeps its own."
    )
    days: float = Field(
        14, ge=0, description="Days for which training states and wandb folders are kept that no kept checkpoint needs."
    )
    history_days: float = Field(
        180,
        ge=0,
        description="Days for which Dagster's runs are kept with their logs; those that made what is there, and the "
        "newest of each release, are kept for longer.",
    )


class StoreOptions(BaseModel, extra="forbid"):
    """A place of artifacts besides the home."""

    url: str = Field(
        "",
        description="A URL that fsspec knows, such as s3://bucket/folder: artifacts are published there as well, and "
        "fetched from there where the home lacks them. Empty: they are in the home only.",
    )
    endpoint_url: str = Field(
        "", description="The server of an S3 store that is not Amazon's, such as http://host:9000."
    )
    options: dict[str, Any] = Field(
        {},
        description="More of fsspec's storage options. No credentials, which the UI would show: those come from where "
        "the kind of store looks for them, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )

    @field_validator("options")
    @classmethod
    def _has_no_secret(cls, value: dict[str, Any]) -> dict[str, Any]:
        if secret := next((name for name in _names(value) if _SECRET.search(name)), None):
            raise ValueError(
                f"{secret} looks like a credential, and the UI shows this setting. Put it into the environment, "
                "such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or into a profile that AWS_PROFILE names"
            )
        return value

    @property
    def storage_options(self) -> dict[str, Any]:
        """As fsspec takes them."""
        return {**self.options, **({"endpoint_url": self.endpoint_url} if self.endpoint_url else {})}


def _names(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        yield name
        if isinstance(value, dict):
            yield from _names(value)


class Folders(BaseModel):
    """Places: of the raw releases, the artifacts, the tags' relations and the reports."""

    raw: Path = Field(Path("booru_raw"), description="The folder of releases. Nothing is ever written there.")
    home: Path = Field(Path("booru_home"), description="The folder of artifacts and of Dagster's history.")
    relations: Path | None = Field(
        None,
        description="A folder with Danbooru's lists tag_aliases, tag_implications and deprecated_tags, or some of "
        "them, each as JSON or CSV, compressed or not. By default those of the raw folder, if it has any, or else "
        "none.",
    )
    skip_ambiguous_aliases: bool = Field(
        False, description="Leave out aliases that stand for two tags or go in a circle, instead of refusing the file."
    )

    reports_url: Annotated[str, AfterValidator(_check_url)] = Field(
        "http://127.0.0.1:3001",
        description="Where the reports are served over http; the UI's links to them start with it.",
    )
    store: StoreOptions = StoreOptions()

    @property
    def lake(self) -> Lake:
        """The artifacts, under absolute paths: Dagster's processes may run elsewhere."""
        return Lake(self.home.expanduser().resolve(), open_store(self.store.url, self.store.storage_options))

    @property
    def raw_folder(self) -> Path:
        """The folder of releases as an absolute path."""
        return self.raw.expanduser().resolve()

    @property
    def relations_folder(self) -> Path | None:
        """The configured folder of aliases and implications as an absolute path."""
        return self.relations.expanduser().resolve() if self.relations is not None else None

    @property
    def tag_relations(self) -> Relations:
        """The tag aliases and implications; read again each time.

        Raises:
            BooruError: They are not there or broken.
        """
        return find_relations(self.relations_folder, self.raw_folder, skip_ambiguous=self.skip_ambiguous_aliases)

    def fingerprint(self, release: Release) -> str:
        """The fingerprint of a release's files; unchanged ones are not read again."""
        return release_fingerprint(release, self.lake.raw_fingerprints)

    def sources(self, release: Release, relations: tuple[str, str]) -> Sources:
        """Fingerprints of what a whole release is made from; `relations` are `tag_relations.fingerprints`."""
        return Sources(self.fingerprint(release), *relations)


class Settings(Folders, Recipe, extra="forbid"):
    """All settings: folders, recipe, automation, retention.

    Each field can be set in the environment (`BOORU_RAW`, `BOORU_CHECKPOINT__TIME_LIMIT_S`) or in `booru.toml` of the
    working directory (`[checkpoint]`, `time_limit_s = 600`); `BOORU_CONFIG` names another file.
    """

    automation: AutomationOptions = AutomationOptions()
    retention: RetentionOptions = RetentionOptions()
    _layers: Layers = PrivateAttr(default_factory=Layers)

    def source(self, *path: str) -> str | None:
        """What set an option, such as `--set`, `--preset`, `BOORU_HOME` or `booru.toml`; None if nothing did."""
        layer = self._layers.layer_of(path)
        return layer.source(path) if layer else None


def load_settings(overrides: Sequence[str] = (), **flags: Any) -> Settings:
    """Read the settings.

    Args:
        overrides: `section.name=value` each, as `--set` takes them: they win over everything, flags too.
        **flags: By option; a section's as a mapping. Those that are None count as not given.

    Raises:
        BooruError: The config file is not there though it was named, or a setting is unknown or has a bad value: a line
            for each, with the option, its value, where that is from, and what is allowed.
    """
    layers = read_layers(Settings, overrides, flags)
    if problems := [_unknown(path, layer) for path, layer in layers.unknown(Settings)]:
        raise BooruError("\n".join(problems))
    try:
        settings = Settings.model_validate(layers.values)
    except ValidationError as error:
        found = refusals(error, Settings)
        raise BooruError("\n".join(_refused(path, phrase, layers) for path, phrase in found.items())) from error
    settings._layers = layers
    return settings


def _unknown(path: Names, layer: Layer) -> str:
    where = printable(layer.place(path))
    name = ".".join(path).replace("__", ".")
    if name in {f"{stage}.{option}" for stage, options in CONSTANTS.items() for option in options}:
        return f"{where}: setting {name} is a constant now. Take it out."
    known = suggestion(path, layer, Settings)
    after = f"Did you mean {known}?" if known else "`booru settings` lists all."
    if where == layer.spelled(path):
        return f"{where} is no setting. {after}"
    return f"{where}: there is no setting {printable(name)}. {after}"


def _refused(path: Names, phrase: str, layers: Layers) -> str:
    layer = layers.layer_of(path)
    return f"{f'{layer.place(path)}: ' if layer else ''}setting {'.'.join(path)}{phrase}."
