"""Freshness: what of a release is up to date, stale or missing.

An artifact is fresh as long as the code and inputs in its record are the present ones, and its options too, as far as
they make a difference. So this is decided without reading any data, and the same way from the shell, the sensor and the
UI.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record, read_note
from booru_pipeline.pipeline.differences import cut_short, judged_otherwise, other_options
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
        note: What is worth knowing of what is fresh.
    """

    stage: Stage
    state: State
    why: str = ""
    by_options: bool = False
    note: str = ""

    def __str__(self) -> str:
        """As everybody says it: `checkpoint is stale: seed was 0, is 1`."""
        return f"{self.stage.value} is {self.state}{f': {self.why}' if self.why else ''}"

    @property
    def is_fresh(self) -> bool:
        """Whether nothing has to be made."""
        return self.state in (State.FRESH, State.RETIRED, State.NOT_NEEDED)


def release_status(lake: Lake, release: str, sources: Sources, recipe: Recipe) -> list[Status]:
    """Compare a release's artifacts with what the present inputs and options would give, stage by stage."""
    upstream = sources.raw
    statuses: list[Status] = []
    for stage in Stage:
        expected = expected_record(stage, release, upstream, sources, recipe)
        path = stage.path(lake, release)
        made = lake.record(path)
        status = compare(made, expected, recipe, lake, path) if made is not None else None
        upstream = made.key if made is not None and status is not None and status.is_fresh else expected.key
        if status is None or not status.is_fresh:
            if any(former.state is State.RETIRED for former in statuses):
                # It cannot be made of what is not there. An audit asks the checkpoint, which goes before its report.
                status = Status(stage, State.RETIRED)
            elif status is None:
                status = _missing(lake, expected, recipe)
        statuses.append(status)
    return statuses


def compare(made: Record, expected: Record, recipe: Recipe, lake: Lake, path: Path | None) -> Status:
    """Compare an artifact's record with the one that it would have now; at a path, the artifact itself if need be.

    Args:
        made: Of the artifact.
        expected: What it would be if it were made now.
        recipe: How it would be made.
        lake: Where it is.
        path: The artifact; None if it is there no more.
    """
    stage = Stage(expected.stage)
    words = {RAW_RELEASE: "the raw files", ALIASES: "the aliases", IMPLICATIONS: "the implications"}
    changed = [name for name, key in expected.inputs.items() if made.inputs.get(name, key) != key]
    if changed:
        given = [words[name] for name in changed if had_the_samples(made.inputs[name], expected.inputs[name])]
        cause = f": {given[0]} were the sample's, which other releases no longer get" if given else ""
        return Status(stage, State.STALE, f"{' and '.join(words.get(name, name) for name in changed)} changed{cause}")
    others = other_options(made, expected, recipe)
    if path is not None and (judgement := judged_otherwise(lake, path, made, expected)):
        others.append(judgement)
    # With options that are as good, other keys are of other code.
    as_good = {**expected.options, **{name: made.options[name] for name in expected.options if name in made.options}}
    relations = {name: key for name, key in expected.inputs.items() if name != stage.upstream}
    same_code = stage_record(stage, made.release, expected.inputs[stage.upstream], as_good, relations).key == made.key
    why = [*others, *([] if same_code else ["the code that makes it changed"])]
    if why:
        return Status(stage, State.STALE, "; ".join(why), by_options=same_code)
    return Status(stage, State.FRESH, note=cut_short(lake, path, made, expected, recipe) if path is not None else "")


def _missing(lake: Lake, expected: Record, recipe: Recipe) -> Status:
    """The status of what is not there; it may be that retention removed it."""
    stage = Stage(expected.stage)
    retired = read_note(lake.bring(lake.retired(stage.value, expected.release)))
    if retired is None:
        return Status(stage, State.MISSING)
    status = compare(retired, expected, recipe, lake, None)
    if status.is_fresh:
        return Status(stage, State.RETIRED)
    return Status(stage, State.MISSING, f"removed, and {status.why}", status.by_options)


def due_stages(statuses: Sequence[Status], *, retired_too: bool = False) -> list[Stage]:
    """The first stage that is not fresh and all after it; with `retired_too`, what retention removed is not fresh."""
    late = [not item.is_fresh or (retired_too and item.state is State.RETIRED) for item in statuses]
    return [item.stage for item in statuses[late.index(True) :]] if any(late) else []


def expected_records(release: str, sources: Sources, recipe: Recipe) -> dict[Stage, Record]:
    """The records that a release's artifacts would have if they were all made now."""
    records: dict[Stage, Record] = {}
    upstream = sources.raw
    for stage in Stage:
        records[stage] = expected_record(stage, release, upstream, sources, recipe)
        upstream = records[stage].key
    return records


def expected_record(stage: Stage, release: str, upstream: str, sources: Sources, recipe: Recipe) -> Record:
    """The record that an artifact would have if it were made now, from what has the key `upstream`."""
    return stage_record(stage, release, upstream, recipe.options(stage), sources.relations(stage))
