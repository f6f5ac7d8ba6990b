"""Typed settings of the graph, shown and changeable in the UI's launchpad."""

from copy import copy
from pathlib import Path
from typing import Any

import dagster as dg
import pydantic
from pydantic import Field

from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.defs.runs.instance import tag_process
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.store import open_store
from booru_pipeline.pipeline.settings import Settings, StoreOptions
from booru_pipeline.pipeline.stages import Recipe, Stage
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline.training.options import TrainingOptions
from booru_pipeline.training_shards.options import ShardOptions
from booru_pipeline.training_shards.relations import Relations, find_relations
from booru_pipeline.vocabulary.base_model import TINY, BaseModel, resolve_base_model
from booru_pipeline.vocabulary.options import VocabularyOptions


class Folders(dg.ConfigurableResource):
    """Where raw releases are and where artifacts go."""

    raw: str = Field(description="The folder of releases. Nothing is ever written there.")
    home: str = Field(description="The folder of artifacts and of Dagster's history.")
    relations: str = Field("", description=Settings.model_fields["relations"].description)
    reports_url: str = Field(
        Settings.model_fields["reports_url"].default, description=Settings.model_fields["reports_url"].description
    )
    skip_ambiguous_aliases: bool = Field(False, description=Settings.model_fields["skip_ambiguous_aliases"].description)
    store_url: str = Field("", description=StoreOptions.model_fields["url"].description)
    store_options: dict[str, Any] = Field({}, description=StoreOptions.model_fields["options"].description)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note which process executes the run: when it is gone, the run is too, and somebody must say so."""
        if context.run is not None and context.instance is not None:
            tag_process(context.instance, context.run.run_id)

    @property
    def raw_folder(self) -> Path:
        return Path(self.raw)

    @property
    def lake(self) -> Lake:
        return Lake(Path(self.home), open_store(self.store_url, self.store_options))

    @property
    def tag_relations(self) -> Relations:
        """The tag aliases and implications, or a BooruError if they are not there or broken."""
        configured = Path(self.relations) if self.relations else None
        return find_relations(configured, self.raw_folder, skip_ambiguous=self.skip_ambiguous_aliases)


class BaseModelChoice(dg.ConfigurableResource):
    """What fine-tuning starts from."""

    preset: str = Field(TINY, description=Recipe.model_fields["preset"].description)

    def resolve(self) -> BaseModel:
        """The base model, or a BooruError if there is none of that name."""
        return resolve_base_model(self.preset)


class TagTableResource(TagTableOptions, dg.ConfigurableResource):
    """How a raw release becomes a tag table."""


class ShardsResource(ShardOptions, dg.ConfigurableResource):
    """How posts are split."""


class VocabularyResource(VocabularyOptions, dg.ConfigurableResource):
    """Which tags become labels."""


class DatasetResource(DatasetOptions, dg.ConfigurableResource):
    """Which posts become captions."""


class TrainingResource(TrainingOptions, dg.ConfigurableResource):
    """How the model is fine-tuned."""


class EvaluationResource(EvaluationOptions, dg.ConfigurableResource):
    """How the model is evaluated."""


_OPTIONS: dict[Stage, type[dg.ConfigurableResource]] = {
    Stage.TAG_TABLE: TagTableResource,
    Stage.TRAINING_SHARDS: ShardsResource,
    Stage.VOCABULARY: VocabularyResource,
    Stage.TOKENIZED_DATASET: DatasetResource,
    Stage.CHECKPOINT: TrainingResource,
    Stage.EVALUATION_REPORT: EvaluationResource,
}


def folders_from(settings: Settings) -> Folders:
    """The folders that the settings name."""
    return Folders(
        raw=str(settings.raw_folder),
        home=str(settings.lake.home),
        relations=str(settings.relations_folder or ""),
        skip_ambiguous_aliases=settings.skip_ambiguous_aliases,
        store_url=settings.store.url,
        store_options=settings.store.storage_options,
        reports_url=settings.reports_url,
    )


def run_config(settings: Settings) -> dict[str, Any]:
    """The options as run config, so that a run is made with them whatever it finds set, and the UI shows them."""
    resources: dict[str, Any] = {"base_model": {"config": {"preset": settings.preset}}}
    for stage in Stage:
        resources[stage.options_key] = {
            "config": settings.options_model(stage).model_dump(mode="json", exclude_none=True)
        }
    return {"resources": resources}


def resources_from(settings: Settings) -> dict[str, object]:
    """The graph's resources with the values of the settings."""
    resources: dict[str, object] = {
        "folders": folders_from(settings),
        "base_model": BaseModelChoice(preset=settings.preset),
        # Time for a training that is cancelled to write its state; dagster.yaml gives the run 120 s.
        "pipes": dg.PipesSubprocessClient(termination_timeout_seconds=100),
    }
    for stage, kind in _OPTIONS.items():
        resources[stage.options_key] = _with_defaults(kind, settings.options_model(stage))()
    return resources


def _with_defaults(kind: type[dg.ConfigurableResource], options: pydantic.BaseModel) -> type[dg.ConfigurableResource]:
    """The resource with other defaults: who changes one field in the launchpad keeps the settings of the others.

    Dagster forgets all the values that a resource was made with if a run names any of its fields.
    """
    fields: dict[str, Any] = {}
    for name, value in options:
        field = copy(kind.model_fields[name])
        field.default = value
        fields[name] = (field.annotation, field)
    return pydantic.create_model(kind.__name__, __base__=kind, __doc__=kind.__doc__, **fields)
