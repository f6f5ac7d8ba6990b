"""The stages of the pipeline, and the keys that their artifacts have.

A stage's artifact carries a `Record` with a key: a hash of the code version, the options, and the keys of what it was
made from, down to the raw bytes. `freshness.py` compares it with the key that the present inputs and options give.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field

from booru_pipeline.audit.options import AuditOptions
from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.hashing import fingerprint
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline.training.options import TrainingOptions
from booru_pipeline.training_shards.options import ShardOptions
from booru_pipeline.vocabulary.base_model import TINY
from booru_pipeline.vocabulary.options import VocabularyOptions

RAW_RELEASE: Final = "raw_release"


class Stage(StrEnum):
    """Stages of a release, in order; the value is the asset's name. Each is made from the one before.

    Attributes:
        options_key: The resource key of its options in the graph. It stands in stored run configs, so it stays.
        code_version: Raise it when the stage's code gives another artifact from the same input; what was made before is
            then stale.
        order: 0 for the first, and so on.
    """

    options_key: str
    code_version: str
    order: int

    TAG_TABLE = "tag_table", "tag_table_options", "2"
    TRAINING_SHARDS = "training_shards", "shard_options", "3"
    VOCABULARY = "vocabulary", "vocabulary_options", "2"
    TOKENIZED_DATASET = "tokenized_dataset", "dataset_options", "2"
    CHECKPOINT = "checkpoint", "training_options", "3"
    EVALUATION_REPORT = "evaluation_report", "evaluation_options", "6"
    TAG_AUDIT = "tag_audit", "audit_options", "1"

    def __new__(cls, name: str, options_key: str = "", code_version: str = "1") -> "Stage":
        stage = str.__new__(cls, name)
        stage._value_ = name
        stage.options_key, stage.code_version, stage.order = options_key, code_version, len(cls.__members__)
        return stage

    def upto(self) -> list["Stage"]:
        """The stages from the first to this one."""
        return list(Stage)[: self.order + 1]

    def before(self) -> list["Stage"]:
        """The stages before this one."""
        return list(Stage)[: self.order]

    @property
    def upstream(self) -> str:
        """The name of the asset it is made from."""
        return [RAW_RELEASE, *(stage.value for stage in self.before())][-1]

    def path(self, lake: Lake, release: str) -> Path:
        """The path of a release's artifact: the lake has a method of the stage's name."""
        path: Path = getattr(lake, self.value)(release)
        return path


ALIASES: Final = "aliases"
IMPLICATIONS: Final = "implications"
# The tag relations that a stage is made from.
_READ: Final[Mapping[Stage, tuple[str, ...]]] = {
    Stage.TRAINING_SHARDS: (ALIASES,),
    Stage.EVALUATION_REPORT: (IMPLICATIONS,),
    Stage.TAG_AUDIT: (ALIASES, IMPLICATIONS),
}


@dataclass(frozen=True)
class Sources:
    """Fingerprints of what a release is made from, besides options and code.

    Attributes:
        raw: Of its files.
        aliases: Of the tag aliases, which the training shards replace: later stages see canonical tags only. The audit
            asks whether tags lack an alias.
        implications: Of the tag implications, which the report and the audit read.
    """

    raw: str
    aliases: str
    implications: str

    def relations(self, stage: Stage) -> dict[str, str]:
        """Those of the tag relations that a stage is made from, by name."""
        read = {ALIASES: self.aliases, IMPLICATIONS: self.implications}
        return {name: read[name] for name in _READ.get(stage, ())}


# Options that are constants now. Keys are made with them as before, or what was made with them would be stale; whoever
# changes such a constant raises the stage's code version.
CONSTANTS: Final[Mapping[Stage, Mapping[str, Any]]] = {
    Stage.CHECKPOINT: {"span_density": 0.15, "span_length": 3.0},
}


class Recipe(BaseModel):
    """Everything that decides what is made of a release, apart from its bytes.

    An option whose other values make nothing stale says so, and why, as `makes_nothing_stale` of its JSON Schema: what
    only decides when to stop, what is accepted, how fast it goes, or what is said and kept on the way.
    """

    preset: str = Field(
        TINY,
        min_length=1,
        description="Base model: tiny (random weights, no download), t5-small, t5-v1_1-small, t5-v1_1-base, "
        "flan-t5-base, a local model folder, or a hub name.",
    )
    tag_table: TagTableOptions = TagTableOptions()
    training_shards: ShardOptions = ShardOptions()
    vocabulary: VocabularyOptions = VocabularyOptions()
    tokenized_dataset: DatasetOptions = DatasetOptions()
    checkpoint: TrainingOptions = TrainingOptions()
    evaluation_report: EvaluationOptions = EvaluationOptions()
    tag_audit: AuditOptions = AuditOptions()

    def options_model(self, stage: Stage) -> BaseModel:
        """A stage's options."""
        model: BaseModel = getattr(self, stage.value)
        return model

    def options(self, stage: Stage) -> dict[str, Any]:
        """A stage's options as JSON."""
        options = self.options_model(stage).model_dump(mode="json")
        # The base model enters where its tokenizer does; later stages inherit it through the vocabulary's key.
        return {"preset": self.preset, **options} if stage is Stage.VOCABULARY else options


def makes_nothing_stale(stage: Stage) -> frozenset[str]:
    """Options of a stage whose other values make nothing stale; see `Recipe`."""
    fields = type(Recipe().options_model(stage)).model_fields
    return frozenset(
        name
        for name, field in fields.items()
        if isinstance(field.json_schema_extra, dict) and "makes_nothing_stale" in field.json_schema_extra
    )


# Of those, the ones that enter keys all the same: they may decide whether a stage succeeds, so what failed is tried
# again with another value. All others enter none.
_TRIED_AGAIN: Final = {
    "max_reject_share",
    "min_coverage",
    "time_limit_s",
    "gradient_checkpointing",
    "compile",
    "batch_size",
}
NOT_IN_KEYS: Final[dict[Stage, frozenset[str]]] = {stage: makes_nothing_stale(stage) - _TRIED_AGAIN for stage in Stage}
# Options that came when there were homes already: at these values they are no part of a key, so that those stay fresh.
CAME_LATER: Final[dict[Stage, dict[str, Any]]] = {Stage.CHECKPOINT: {"adapter": "none", "adapter_rank": 16}}


def stage_record(
    stage: Stage,
    release: str,
    upstream: str,
    options: Mapping[str, Any],
    relations: Mapping[str, str] | None = None,
    also_read: Mapping[str, str] | None = None,
) -> Record:
    """The record of an artifact that is about to be made.

    Args:
        stage: Which.
        release: The release's key.
        upstream: Key of the artifact that it is made from, or the raw files' fingerprint.
        options: The stage's options as JSON.
        relations: Fingerprints of the tag relations that it is made from, by name; see `Sources.relations`.
        also_read: Keys of earlier releases' artifacts that it reads too.
    """
    inputs = {stage.upstream: upstream, **(relations or {})}
    options = {**CONSTANTS.get(stage, {}), **options}
    options = {name: value for name, value in options.items() if name not in NOT_IN_KEYS[stage]}
    later = CAME_LATER.get(stage, {})
    options = {name: value for name, value in options.items() if name not in later or value != later[name]}
    return Record(
        stage=stage.value,
        release=release,
        key=fingerprint(stage.value, stage.code_version, inputs, options),
        inputs=inputs,
        options=options,
        also_read=dict(also_read or {}),
    )


def upstream_key(lake: Lake, stage: Stage, release: str) -> str:
    """The key of the artifact that a stage is made from.

    Raises:
        BooruError: It is not there.
    """
    above = Stage(stage.upstream)
    path = above.path(lake, release)
    record = lake.record(path)
    if record is None:
        raise BooruError(
            f"{stage.value} of {release} is made from {path}, which is not there. "
            f"Make it with `booru run --release {release} --to {above.value}`."
        )
    return record.key


def all_trials(lake: Lake) -> list[str]:
    """Keys of the trials of which any stage's artifact is there."""
    return list(dict.fromkeys(trial for stage in Stage for trial in lake.trials_with(partial(stage.path, lake))))
