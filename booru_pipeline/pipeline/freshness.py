"""Freshness: what of a release is up to date, stale or missing.

An artifact is fresh as long as the present inputs and options give the key in its record, so this is decided without
reading any data, and the same way from the shell, the sensor and the UI.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record, read_note
from booru_pipeline.pipeline.stages import ALIASES, IMPLICATIONS, RAW_RELEASE, Recipe, Sources, Stage, stage_record
from booru_pipeline.training_shards.relations import had_the_samples


class State(StrEnum):
    """States of an artifact, compared with what the present inputs and options would give."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    RETIRED = "retired"
    # What Dagster's history and the release's kind add to these, for `booru status`.
    FAILED = "failed"
    NOT_NEEDED = "not needed"


@dataclass(frozen=True)
class Status:
    """Whether a release's artifact is there and up to date.

    Attributes:
        stage: Whose artifact.
        state: `retired` is what would be fresh, but retention removed it.
        why: What is different, if stale, or since retention removed it; why it failed.
        by_options: Whether other options are all that is different.
    """

    stage: Stage
    state: State
    why: str = ""
    by_options: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether nothing has to be made."""
        return self.state in (State.FRESH, State.RETIRED, State.NOT_NEEDED)


def release_status(lake: Lake, release: str, sources: Sources, recipe: Recipe) -> list[Status]:
    """Compare a release's artifacts with what the present inputs and options would give, stage by stage.

    A checkpoint that was trained from the base model is fresh where the recipe would have it go on from an earlier one:
    `retrain` is what people do once in a while to make up for what such a chain forgets.
    """
    upstream = sources.raw
    statuses: list[Status] = []
    for stage in Stage:
        expected = _expected(stage, release, upstream, sources, recipe)
        made = lake.record(stage.path(lake, release))
        upstream = expected.key
        fresh = (expected.key, _retrained(expected).key)
        if made is not None and made.key in fresh:
            status = Status(stage, State.FRESH)
            upstream = made.key
        elif statuses and statuses[-1].state is State.RETIRED:
            status = Status(stage, State.RETIRED)  # it cannot be made of what is not there
        elif made is not None:
            status = Status(stage, State.STALE, _difference(made, expected), _differs_by_options(made, expected))
        elif (retired := read_note(lake.bring(lake.retired(stage.value, release)))) is None:
            status = Status(stage, State.MISSING)
        elif retired.key in fresh:
            status = Status(stage, State.RETIRED)
        else:
            why = f"removed, and {_difference(retired, expected)}"
            status = Status(stage, State.MISSING, why, _differs_by_options(retired, expected))
        statuses.append(status)
    return statuses


def due_stages(statuses: Sequence[Status], *, retired_too: bool = False) -> list[Stage]:
    """The first stage that is not fresh and all after it; with `retired_too`, what retention removed is not fresh."""
    late = [not item.is_fresh or (retired_too and item.state is State.RETIRED) for item in statuses]
    return [item.stage for item in statuses[late.index(True) :]] if any(late) else []


def expected_records(release: str, sources: Sources, recipe: Recipe) -> dict[Stage, Record]:
    """The records that a release's artifacts would have if they were all made now."""
    records: dict[Stage, Record] = {}
    upstream = sources.raw
    for stage in Stage:
        records[stage] = _expected(stage, release, upstream, sources, recipe)
        upstream = records[stage].key
    return records


def _expected(stage: Stage, release: str, upstream: str, sources: Sources, recipe: Recipe) -> Record:
    return stage_record(stage, release, upstream, recipe.options(stage), sources.relations(stage))


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
        given = [words[name] for name in changed if had_the_samples(record.inputs[name], expected.inputs[name])]
        why = f": {given[0]} were the sample's, which other releases no longer get" if given else ""
        return f"{' and '.join(words.get(name, name) for name in changed)} changed{why}"
    # An option that only one of the two has came or went with the code.
    options = [
        (name, record.options[name], expected.options[name]) for name in record.options.keys() & expected.options.keys()
    ]
    others = sorted(f"{name} was {was}, is {now}" for name, was, now in options if was != now)
    return ", ".join(others) or "the code that makes it changed"
