"""Which checkpoint is asked, which one a training goes on from, and which ones an evaluation compares with."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import discard, staged
from booru_pipeline.lake.record import read_record
from booru_pipeline.model.objective_name import objective_name
from booru_pipeline.model.provenance import EarlierCheckpoint, read_provenance
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.key import release_order
from booru_pipeline.training.options import TrainingOptions

_FIGURES: Final = "figures in the report"


class Promoted(BaseModel, frozen=True):
    """The pointer to the promoted checkpoint.

    Attributes:
        release: Whose checkpoint is promoted.
        key: Of its record, by which one that was rebuilt is told apart.
        date: When, ISO 8601, UTC.
        reason: Why.
    """

    release: str
    key: str
    date: str
    reason: str


@dataclass(frozen=True)
class Settlement:
    """The effect of an evaluation on the pointer.

    Attributes:
        is_promoted: Whether the checkpoint evaluated is the promoted one now.
        why: In words.
    """

    is_promoted: bool
    why: str


def read_pointer(lake: Lake) -> Promoted | None:
    """Read the pointer, whether its checkpoint is still there or not; None if there is none that can be read."""
    try:
        return Promoted.model_validate_json(lake.bring(lake.promoted).read_bytes())
    except (OSError, ValueError):
        return None


def read_promoted(lake: Lake) -> Promoted | None:
    """The promoted checkpoint; None if none is promoted, or it is gone or was rebuilt since."""
    pointer = read_pointer(lake)
    return None if _problem(lake, pointer) else pointer


def checkpoint_in_use(lake: Lake) -> tuple[str, str]:
    """The release of the promoted checkpoint, or else of the newest, and why it is not the promoted one or "".

    Raises:
        BooruError: There is no checkpoint.
    """
    pointer = read_pointer(lake)
    problem = _problem(lake, pointer)
    if pointer is not None and not problem:
        return pointer.release, ""
    newest = lake.newest(lake.checkpoint)
    return newest, f"{problem}: the newest is taken, {newest}"


def promote(lake: Lake, release: str, reason: str) -> Promoted:
    """Set the pointer, in one step. A checkpoint that is promoted already keeps its date and reason.

    Raises:
        BooruError: The release has no checkpoint, or one without a record.
    """
    key = lake.newest(lake.checkpoint, release)
    record = lake.record(lake.checkpoint(key))
    if record is None:
        raise BooruError(
            f"{lake.checkpoint(key)} has no record of what it was made from. "
            f"Make it again with `booru run --release {key}`."
        )
    return _set(lake, key, record.key, reason)


def clear(lake: Lake) -> None:
    """Promote none.

    Raises:
        BooruError: The pointer cannot be removed.
    """
    if lake.bring(lake.promoted).exists():
        discard(lake.promoted, lake.staging)


def settle(lake: Lake, release: str, key: str, judgement: str, *, loses: bool) -> Settlement:
    """Promote the checkpoint of a release, of this record's key, unless its evaluation speaks against it.

    What is said about it is one sentence for people; the figures are in the report. An earlier release does not take
    over from a later one by being evaluated again, and a promoted checkpoint stays promoted if it now loses to its
    parent: a person decides that, with `booru promote`.

    Args:
        lake: Where the pointer is.
        release: Of the checkpoint.
        key: Of its record.
        judgement: How it stands, or what speaks against it, in one sentence.
        loses: Whether something does.
    """
    current = read_promoted(lake)
    if current is not None and (current.release, current.key) == (release, key):
        but = f", though now {judgement}; {_FIGURES}" if loses else ""
        return Settlement(True, f"since {current.date}: {current.reason}{but}")
    if loses:
        stays = f"; {current.release} stays promoted" if current else ""
        return Settlement(False, f"{judgement}{stays}; {_FIGURES}")
    if current is not None and release_order(current.release) > release_order(release):
        return Settlement(False, f"{current.release} is promoted, which is later")
    _set(lake, release, key, judgement)
    before = f"; {current.release} was promoted before" if current else ""
    return Settlement(True, f"{judgement}{before}")


def _set(lake: Lake, release: str, key: str, reason: str) -> Promoted:
    current = read_pointer(lake)
    if current is not None and (current.release, current.key) == (release, key):
        return current
    date = datetime.now(UTC).isoformat(timespec="seconds")
    pointer = Promoted(release=release, key=key, date=date, reason=reason)
    with staged(lake.promoted, lake.staging) as draft:
        draft.write_text(pointer.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return pointer


def _problem(lake: Lake, pointer: Promoted | None) -> str:
    """Why the pointer's checkpoint cannot be asked; empty if it can."""
    if pointer is None:
        return "no checkpoint is promoted"
    record = lake.record(lake.checkpoint(pointer.release))
    if record is None:
        return f"the promoted checkpoint of {pointer.release} is gone"
    if record.key != pointer.key:
        return f"the promoted checkpoint of {pointer.release} was rebuilt since and has not been promoted again"
    return ""


def find_parent(
    lake: Lake, release: str, base: str, options: TrainingOptions, log: logging.Logger
) -> EarlierCheckpoint | None:
    """The newest earlier checkpoint, if the strategy is to go on from it and it was trained in the same way."""
    if options.strategy != "continue":
        return None
    from booru_pipeline.dataset.build import DatasetSummary  # imports scipy

    earlier = lake.releases_before(lake.checkpoint, release)
    if not earlier:
        log.info(f"no release before {release} has a checkpoint: training starts from {base}")
        return None
    folder = lake.bring(lake.checkpoint(earlier[-1]))
    record, provenance = read_record(folder), read_provenance(folder)
    captions = DatasetSummary.read(lake.tokenized_dataset(release)).captions
    objective = objective_name(options.objective, captions.encoding_name)
    ours = {"base model": base, "encoding": captions.encoding, "objective": objective.value}
    theirs = {
        "base model": provenance["base_model"]["name"],
        "encoding": provenance.get("encoding"),
        "objective": provenance.get("objective"),
    }
    different = [f"{name} was {theirs[name]}, is {ours[name]}" for name in ours if ours[name] != theirs[name]]
    if record is None or different:
        why = "; ".join(different) or "it has no record"
        log.warning(f"the checkpoint of {earlier[-1]} is no parent ({why}): training starts from {base}")
        return None
    return EarlierCheckpoint(earlier[-1], record.key, folder)


def find_earlier(lake: Lake, release: str) -> EarlierCheckpoint | None:
    """A release's checkpoint, or None if it has none with a record."""
    folder = lake.checkpoint(release)
    record = lake.record(folder)
    if record is None:
        return None
    dataset = lake.tokenized_dataset(release)
    made = lake.record(dataset)
    is_its_own = made is not None and made.key == record.inputs.get(Stage.CHECKPOINT.upstream)
    return EarlierCheckpoint(release, record.key, lake.bring(folder), lake.bring(dataset) if is_its_own else None)


def find_predecessor(lake: Lake, release: str) -> EarlierCheckpoint | None:
    """The checkpoint that a release's went on from, or else the newest of the earlier ones; None for the first."""
    earlier = lake.releases_before(lake.checkpoint, release)
    went_on_from = (read_provenance(lake.bring(lake.checkpoint(release))).get("parent") or {}).get("release")
    candidates = [key for key in earlier if key == went_on_from] + earlier[::-1]
    return next((found for key in candidates if (found := find_earlier(lake, key))), None)
