"""What of a release is fresh, stale or missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record, read_note
from booru_pipeline.pipeline.stages import ALIASES, IMPLICATIONS, RAW_RELEASE, Recipe, Stage, stage_record


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
        record = lake.record(stage.path(lake, release))
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
