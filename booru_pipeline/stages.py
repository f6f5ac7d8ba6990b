"""The stages of the pipeline, and what of a release is fresh, stale or missing.

A stage's artifact carries a `Record` with a key: a hash of the code version, the options, and the keys of what it was
made from, down to the raw bytes. It is fresh as long as the present inputs and options give the same key, so freshness
is decided without reading any data, and the same way from the shell, the sensor and the UI.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field

from booru_pipeline.artifact import Record, fingerprint, read_note
from booru_pipeline.corpus.options import ShardOptions
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.labels.options import DatasetOptions, VocabularyOptions
from booru_pipeline.lake import Lake
from booru_pipeline.presets import TINY
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline.training.options import TrainingOptions


class Stage(StrEnum):
    """What is made of a release, in order; the value is the asset's name. Each is made from the one before."""

    TAG_TABLE = "tag_table"
    TRAINING_SHARDS = "training_shards"
    VOCABULARY = "vocabulary"
    TOKENIZED_DATASET = "tokenized_dataset"
    CHECKPOINT = "checkpoint"
    EVALUATION_REPORT = "evaluation_report"

    @property
    def upstream(self) -> str:
        """The name of the asset it is made from."""
        stages = list(Stage)
        row = stages.index(self)
        return stages[row - 1].value if row else RAW_RELEASE


RAW_RELEASE: Final = "raw_release"
ALIASES: Final = "aliases"  # what the training shards are made from besides a tag table
IMPLICATIONS: Final = "implications"  # what the report is made from besides a checkpoint

# Raise a stage's number when its code gives another artifact from the same input; what was made before is then stale.
CODE_VERSIONS: Final[Mapping[Stage, str]] = {
    **dict.fromkeys(Stage, "1"),
    Stage.TRAINING_SHARDS: "2",
    Stage.EVALUATION_REPORT: "2",
}

# Options that decide how a stage is watched, and not what it gives: another choice makes nothing stale.
_WATCHING: Final = {
    "threads",
    "evaluations",
    "log_interval_s",
    "log_interval_steps",
    "state_interval_s",
    "state_interval_steps",
    "states_kept",
    "wandb_project",
    "wandb_artifact",
}

PATHS: Final[Mapping[Stage, Callable[[Lake, str], Path]]] = {
    Stage.TAG_TABLE: Lake.tag_table,
    Stage.TRAINING_SHARDS: Lake.training_shards,
    Stage.VOCABULARY: Lake.vocabulary,
    Stage.TOKENIZED_DATASET: Lake.tokenized_dataset,
    Stage.CHECKPOINT: Lake.checkpoint,
    Stage.EVALUATION_REPORT: Lake.evaluation_report,
}


class Recipe(BaseModel):
    """Everything that decides what is made of a release, apart from its bytes."""

    preset: str = Field(
        TINY,
        description="Base model: tiny (random weights, no download), t5-small, t5-v1_1-small, t5-v1_1-base, "
        "flan-t5-base, a local model folder, or a hub name.",
    )
    tag_table: TagTableOptions = TagTableOptions()
    training_shards: ShardOptions = ShardOptions()
    vocabulary: VocabularyOptions = VocabularyOptions()
    tokenized_dataset: DatasetOptions = DatasetOptions()
    checkpoint: TrainingOptions = TrainingOptions()
    evaluation_report: EvaluationOptions = EvaluationOptions()

    def options_model(self, stage: Stage) -> BaseModel:
        """A stage's options."""
        model: BaseModel = getattr(self, stage.value)
        return model

    def options(self, stage: Stage) -> dict[str, Any]:
        """A stage's options as JSON."""
        options = self.options_model(stage).model_dump(mode="json")
        # The base model enters where its tokenizer does; later stages inherit it through the vocabulary's key.
        return {"preset": self.preset, **options} if stage is Stage.VOCABULARY else options


def stage_record(
    stage: Stage,
    release: str,
    upstream: str,
    options: Mapping[str, Any],
    also_read: Mapping[str, str] | None = None,
    aliases: str | None = None,
    implications: str | None = None,
) -> Record:
    """The record of an artifact that is about to be made.

    Args:
        stage: Which.
        release: The release's key.
        upstream: Key of the artifact that it is made from, or the raw files' fingerprint.
        options: The stage's options as JSON.
        also_read: Keys of earlier releases' artifacts that it reads too.
        aliases: Fingerprint of the tag aliases, for the training shards; the other stages see canonical tags only.
        implications: Fingerprint of the tag implications, for the report; the other stages do not read them.
    """
    inputs = {stage.upstream: upstream}
    inputs |= {name: key for name, key in ((ALIASES, aliases), (IMPLICATIONS, implications)) if key is not None}
    options = {name: value for name, value in options.items() if name not in _WATCHING}
    return Record(
        stage=stage.value,
        release=release,
        key=fingerprint(stage.value, CODE_VERSIONS[stage], inputs, options),
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
    path = PATHS[above](lake, release)
    record = lake.record(path)
    if record is None:
        raise BooruError(
            f"{stage.value} of {release} is made from {path}, which is not there. "
            f"Make it with `booru run --release {release} --to {above.value}`."
        )
    return record.key


class State(StrEnum):
    """How an artifact stands to what the present inputs and options would give."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    RETIRED = "retired"


@dataclass(frozen=True)
class Status:
    """Whether a release's artifact is there and up to date.

    Attributes:
        stage: Which.
        state: `fresh`, `stale`, `missing`, or `retired`: it would be fresh, but retention removed it.
        why: What is different, if stale, or since retention removed it.
        by_options: Whether other options are all that is different.
    """

    stage: Stage
    state: State
    why: str = ""
    by_options: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether nothing has to be made."""
        return self.state in (State.FRESH, State.RETIRED)


def release_status(
    lake: Lake, release: str, raw_fingerprint: str, recipe: Recipe, aliases: str, implications: str
) -> list[Status]:
    """What of a release is fresh, stale or missing, stage by stage.

    A checkpoint that was trained anew from the base model is fresh where the recipe would have it go on from an earlier
    one: `retrain` is what people do once in a while to make up for what such a chain forgets.

    Args:
        lake: Where the artifacts are.
        release: The release's key.
        raw_fingerprint: What its raw files are.
        recipe: The options of all stages.
        aliases: Fingerprint of the tag aliases.
        implications: Fingerprint of the tag implications.
    """
    upstream = raw_fingerprint
    statuses: list[Status] = []
    for stage in Stage:
        expected = _expected(stage, release, upstream, recipe.options(stage), aliases, implications)
        record = lake.record(PATHS[stage](lake, release))
        upstream = expected.key
        fresh = (expected.key, _retrained(expected).key)
        if record is not None and record.key in fresh:
            statuses.append(Status(stage, State.FRESH))
            upstream = record.key
        elif statuses and statuses[-1].state is State.RETIRED:
            statuses.append(Status(stage, State.RETIRED))  # it cannot be made of what is not there
        elif record is None:
            retired = read_note(lake.bring(lake.retired(stage.value, release)))
            if retired is not None and retired.key in fresh:
                statuses.append(Status(stage, State.RETIRED))
            else:
                by_options = retired is not None and _differs_by_options(retired, expected)
                why = f"removed, and {_difference(retired, expected)}" if retired is not None else ""
                statuses.append(Status(stage, State.MISSING, why, by_options))
        else:
            by_options = _differs_by_options(record, expected)
            statuses.append(Status(stage, State.STALE, _difference(record, expected), by_options))
    return statuses


def target_keys(
    release: str, raw_fingerprint: str, recipe: Recipe, aliases: str, implications: str
) -> dict[Stage, str]:
    """The keys that a release's artifacts would have if they were all made now: bytes, options, aliases, code."""
    keys: dict[Stage, str] = {}
    upstream = raw_fingerprint
    for stage in Stage:
        upstream = _expected(stage, release, upstream, recipe.options(stage), aliases, implications).key
        keys[stage] = upstream
    return keys


def _expected(
    stage: Stage, release: str, upstream: str, options: Mapping[str, Any], aliases: str, implications: str
) -> Record:
    return stage_record(
        stage,
        release,
        upstream,
        options,
        aliases=aliases if stage is Stage.TRAINING_SHARDS else None,
        implications=implications if stage is Stage.EVALUATION_REPORT else None,
    )


def _retrained(expected: Record) -> Record:
    """The record of the same checkpoint, trained from the base model."""
    if expected.stage != Stage.CHECKPOINT:
        return expected
    stage = Stage(expected.stage)
    return stage_record(
        stage, expected.release, expected.inputs[stage.upstream], {**expected.options, "strategy": "retrain"}
    )


def _differs_by_options(record: Record, expected: Record) -> bool:
    return record.inputs == expected.inputs and record.options != expected.options


def _difference(record: Record, expected: Record) -> str:
    words = {RAW_RELEASE: "the raw files", ALIASES: "the aliases", IMPLICATIONS: "the implications"}
    changed = [name for name, key in expected.inputs.items() if record.inputs.get(name, key) != key]
    if changed:
        return f"{' and '.join(words.get(name, name) for name in changed)} changed"
    names = [
        name
        for name in {**record.options, **expected.options}
        if record.options.get(name) != expected.options.get(name)
    ]
    if names:
        return ", ".join(
            f"{name} was {record.options.get(name)}, is {expected.options.get(name)}" for name in sorted(names)
        )
    return "the code that makes it changed"
