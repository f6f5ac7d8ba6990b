"""The promoted checkpoint, which `booru suggest` asks: the pointer to it, going back, and keeping what was promoted."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import duplicate, snapshot, staged
from booru_pipeline.lake.trial import is_kept, name_part, release_part, trial_key
from booru_pipeline.model.provenance import EarlierCheckpoint
from booru_pipeline.pipeline.checkpoints import find_earlier, find_named
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.key import release_order

_FIGURES: Final = "figures in the report"
_REMEMBERED: Final = 20  # promotions that can be gone back over


class Promotion(BaseModel, frozen=True):
    """A checkpoint that is promoted, or was.

    Attributes:
        release: The release whose checkpoint it is, or the trial's key.
        key: Of its record, by which one that was rebuilt is told apart.
        date: When, ISO 8601, UTC.
        reason: Why.
    """

    release: str
    key: str
    date: str
    reason: str


class Promoted(Promotion, frozen=True):
    """The pointer to the promoted checkpoint.

    Attributes:
        release: Empty if none is promoted.
        before: Those that were promoted before, the newest first.
        left: Those that somebody went back from: they were promoted once, and are kept like the others.
    """

    before: tuple[Promotion, ...] = ()
    left: tuple[Promotion, ...] = ()

    @property
    def itself(self) -> tuple[Promotion, ...]:
        """The promoted one without the others; nothing if none is."""
        return (Promotion(**self.model_dump(exclude={"before", "left"})),) if self.release else ()


_NONE: Final = Promoted(release="", key="", date="", reason="")


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
    noted = _read(lake)
    return noted if noted.release else None


def _read(lake: Lake) -> Promoted:
    """What was noted, with an empty release if none is promoted."""
    try:
        return Promoted.model_validate_json(lake.bring(lake.promoted).read_bytes())
    except (OSError, ValueError):
        return _NONE


def read_promoted(lake: Lake) -> Promoted | None:
    """The promoted checkpoint; None if none is promoted, or it is gone or was rebuilt since."""
    pointer = read_pointer(lake)
    return None if _problem(lake, pointer) else pointer


def promoted_before(lake: Lake) -> str | None:
    """The release or trial that `go_back` would promote; None if there is none."""
    return next((former.release for former in _read(lake).before if not _problem(lake, former)), None)


def checkpoint_in_use(lake: Lake) -> tuple[str, str]:
    """The promoted checkpoint, by release or trial, or else the newest of a release, and why it is not the promoted one
    or "".

    Raises:
        BooruError: There is no checkpoint.
    """
    pointer = read_pointer(lake)
    problem = _problem(lake, pointer)
    if pointer is not None and not problem:
        return pointer.release, ""
    newest = lake.newest(lake.checkpoint)
    return newest, f"{problem}: the newest is taken, {newest}"


def promote(lake: Lake, name: str, reason: str) -> Promoted:
    """Set the pointer, in one step. A checkpoint that is promoted already keeps its date and reason.

    Args:
        lake: Where the pointer is.
        name: As `find_named` takes it.
        reason: Why.

    Raises:
        BooruError: There is no such checkpoint, or it has no record.
    """
    release = find_named(lake, lake.checkpoint, name)
    record = lake.record(lake.checkpoint(release))
    if record is None:
        raise BooruError(
            f"{lake.checkpoint(release)} has no record of what it was made from. "
            f"Make it again with `booru run --release {release_part(release)}`."
        )
    return _set(lake, release, record.key, reason)


def go_back(lake: Lake) -> Promoted:
    """Promote again what was promoted before, passing over what is gone.

    Raises:
        BooruError: Nothing was, or nothing of it is left.
    """
    noted = _read(lake)
    before = noted.before
    for place, former in enumerate(before):
        if not _problem(lake, former):
            left = (*noted.itself, *before[:place], *noted.left)[:_REMEMBERED]
            again = Promoted(**{**dict(former), "date": _now()}, before=before[place + 1 :], left=left)
            _write(lake, again)
            return again
    gone = f" What was, is gone: {', '.join(former.release for former in before)}." if before else ""
    raise BooruError(
        f"no other checkpoint was promoted before, so there is none to go back to.{gone} `booru status` shows which "
        "there are, `booru promote NAME` chooses one."
    )


def clear(lake: Lake) -> None:
    """Promote none; what was promoted is remembered.

    Raises:
        BooruError: The pointer cannot be written.
    """
    noted = _read(lake)
    _write(lake, _NONE.model_copy(update={"before": (*noted.itself, *noted.before), "left": noted.left}))


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
    if current is not None and release_order(release_part(current.release)) > release_order(release):
        return Settlement(False, f"{current.release} is promoted, which is later")
    _set(lake, release, key, judgement)
    before = f"; {current.release} was promoted before" if current else ""
    return Settlement(True, f"{judgement}{before}")


def _set(lake: Lake, release: str, key: str, reason: str) -> Promoted:
    noted = _read(lake)
    if (noted.release, noted.key) == (release, key):
        return noted
    before = (*noted.itself, *noted.before)[:_REMEMBERED]
    pointer = Promoted(release=release, key=key, date=_now(), reason=reason, before=before, left=noted.left)
    _write(lake, pointer)
    return pointer


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(lake: Lake, pointer: Promoted) -> None:
    with staged(lake.promoted, lake.staging) as draft:
        draft.write_text(pointer.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _problem(lake: Lake, pointer: Promotion | None) -> str:
    """Why the pointer's checkpoint cannot be asked; empty if it can."""
    if pointer is None:
        return "no checkpoint is promoted"
    record = lake.record(lake.checkpoint(pointer.release))
    if record is None:
        return f"the promoted checkpoint of {pointer.release} is gone"
    if record.key != pointer.key:
        return f"the promoted checkpoint of {pointer.release} was rebuilt since and has not been promoted again"
    return ""


def keep_promoted(lake: Lake, release: str) -> str | None:
    """Before a release or trial gets another checkpoint: keep the one it has if it is promoted, or was.

    It stays as a trial whose name is a number, `2021d@1`, with its report, and what pointed to it points there.

    Args:
        lake: Where it is.
        release: The release's key, or the trial's.

    Returns:
        The key of the trial that it stays as; None if there is nothing to keep.
    """
    noted, path = _read(lake), lake.checkpoint(release)
    record = lake.record(path)
    known = (*noted.itself, *noted.before, *noted.left)
    if record is None or all((one.release, one.key) != (release, record.key) for one in known):
        return None
    of = release_part(release)
    trials = [trial for trial in lake.trials_with(lake.checkpoint) if is_kept(trial) and release_part(trial) == of]
    # A kill may have come between the copy and the pointer. One key can be made twice, at other times.
    same = [trial for trial in trials if _made(lake, lake.checkpoint(trial)) == (record.key, record.made)]
    kept = next(iter(same), None)
    if kept is None:
        taken = [int(name_part(trial)) for trial in trials]
        kept = trial_key(of, str(max(taken, default=0) + 1))
    report = lake.evaluation_report(release)
    made = lake.record(report)
    _copy(lake, path, lake.checkpoint(kept))
    if made is not None and made.inputs.get(Stage.EVALUATION_REPORT.upstream) == record.key:
        _copy(lake, report, lake.evaluation_report(kept))

    def moved(one: Promotion) -> Promotion:
        same = (one.release, one.key) == (release, record.key)
        return one.model_copy(update={"release": kept}) if same else one

    parts = {"before": tuple(map(moved, noted.before)), "left": tuple(map(moved, noted.left))}
    (now,) = map(moved, noted.itself or (_NONE,))
    _write(lake, Promoted(**{**dict(now), **parts}))
    return kept


def _copy(lake: Lake, path: Path, to: Path) -> None:
    """Publish an artifact under another name as well, of hard links where the file system has them."""
    if lake.record(to) is not None:
        return
    with snapshot(lake.bring(path), lake.staging) as copy, staged(to, lake.staging) as draft:
        duplicate(copy, draft)


def _made(lake: Lake, path: Path) -> tuple[str, str]:
    """An artifact's key and when it was made; empty if there is none."""
    record = lake.record(path)
    return (record.key, record.made) if record else ("", "")


def find_promoted_before(lake: Lake, name: str) -> EarlierCheckpoint | None:
    """The promoted checkpoint, if it is another than that of a release or trial and not of a later release."""
    pointer = read_promoted(lake)
    if pointer is None or pointer.release == name:
        return None
    is_later = release_order(release_part(pointer.release)) > release_order(release_part(name))
    return None if is_later else find_earlier(lake, pointer.release)
