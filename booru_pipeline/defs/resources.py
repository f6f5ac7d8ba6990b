"""Typed settings of the graph, shown and changeable in the UI's launchpad."""

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import pydantic
from pydantic import Field

from booru_pipeline.defs.runs.process import process_tag
from booru_pipeline.defs.runs.refusal import check_run, refused
from booru_pipeline.pipeline.settings import Folders, Settings, StoreOptions
from booru_pipeline.pipeline.stages import Recipe, Stage
from booru_pipeline.vocabulary.base_model import BaseModel, resolve_base_model

FoldersParam = dg.ResourceParam[Folders]  # what a step takes as its parameter `folders`


def _like(model: type[pydantic.BaseModel], name: str) -> Any:
    return Field(description=model.model_fields[name].description)


class FoldersResource(dg.ConfigurableResource[Folders]):
    """The folders as config: without paths, and flat, which is how stored runs name them."""

    recipe: ClassVar[Recipe] = Recipe()  # what the other resources' fields are by default
    raw: str = _like(Folders, "raw")
    home: str = _like(Folders, "home")
    relations: str = _like(Folders, "relations")
    reports_url: str = _like(Folders, "reports_url")
    skip_ambiguous_aliases: bool = _like(Folders, "skip_ambiguous_aliases")
    store_url: str = _like(StoreOptions, "url")
    store_options: dict[str, Any] = _like(StoreOptions, "options")

    def create_resource(self, context: dg.InitResourceContext) -> Folders:
        """Give the folders, and note which process executes the run: when it is gone, somebody must say so.

        Every run has folders, and gets them before its first step: here it is refused if it cannot be.
        """
        if context.run is not None and context.instance is not None:
            context.instance.add_run_tags(context.run.run_id, process_tag(context.run.run_id))
            check_run(context.run, context.instance, self.recipe)
        with refused("folders", Folders):
            return self._folders()

    def _folders(self) -> Folders:
        return Folders(
            raw=Path(self.raw),
            home=Path(self.home),
            relations=Path(self.relations) if self.relations else None,
            reports_url=self.reports_url,
            skip_ambiguous_aliases=self.skip_ambiguous_aliases,
            store=StoreOptions(url=self.store_url, options=self.store_options),
        )


class BaseModelChoice(dg.ConfigurableResource):
    """The base model that fine-tuning starts from."""

    preset: str = _like(Recipe, "preset")

    def resolve(self) -> BaseModel:
        """The base model, or a BooruError if there is none of that name."""
        return resolve_base_model(self.preset)


def run_config(settings: Settings) -> dict[str, Any]:
    """The options as run config, so that a run is made with them whatever it finds set, and the UI shows them."""
    options = {
        stage.options_key: settings.options_model(stage).model_dump(mode="json", exclude_none=True) for stage in Stage
    }
    named = {"base_model": {"preset": settings.preset}, **options}
    return {"resources": {key: {"config": config} for key, config in named.items()}}


def resources_from(settings: Settings) -> dict[str, object]:
    """The graph's resources with the values of the settings."""
    folders = {
        "raw": str(settings.raw_folder),
        "home": str(settings.lake.home),
        "relations": str(settings.relations_folder or ""),
        "reports_url": settings.reports_url,
        "skip_ambiguous_aliases": settings.skip_ambiguous_aliases,
        "store_url": settings.store.url,
        "store_options": settings.store.storage_options,
    }
    options = {stage: settings.options_model(stage) for stage in Stage}
    folders_resource = _with_defaults(FoldersResource, folders)
    folders_resource.recipe = settings
    return {
        "folders": folders_resource(),
        "base_model": _with_defaults(BaseModelChoice, {"preset": settings.preset})(),
        # Time for a training that is cancelled to write its state; dagster.yaml gives the run 120 s.
        "pipes": dg.PipesSubprocessClient(termination_timeout_seconds=100),
        **{
            stage.options_key: _checked(
                stage.options_key, _with_defaults(type(model), dict(model), dg.ConfigurableResource)(), type(model)
            )
            for stage, model in options.items()
        },
    }


def _with_defaults(kind: type[pydantic.BaseModel], values: Mapping[str, Any], *more: type[Any]) -> type[Any]:
    """A class of resources with these defaults: who changes one field in the launchpad keeps the values of the others.

    Dagster forgets all the values that a resource was made with if a run names any of its fields.
    """
    fields: dict[str, Any] = {}
    for name, value in values.items():
        field = copy(kind.model_fields[name])
        field.default = value
        fields[name] = (field.annotation, field)
    return pydantic.create_model(kind.__name__, __base__=(kind, *more), __doc__=kind.__doc__, **fields)


def _checked(key: str, resource: dg.ConfigurableResource, model: type[pydantic.BaseModel]) -> dg.ResourceDefinition:
    """The resource, with values refused that its model does not take when a run with them is launched.

    The launchpad itself knows types, and neither bounds nor which options go together.
    """

    def check(config: Mapping[str, Any]) -> Mapping[str, Any]:
        with refused(key, model):
            model.model_validate(config)
        return config

    definition = resource.get_resource_definition()
    return definition.configured(check, config_schema=definition.config_schema)
