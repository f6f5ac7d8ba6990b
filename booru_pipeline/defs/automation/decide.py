"""Decisions on unattended runs: which releases are due, which of them can start, and what the others wait for.

The sensor, the schedule and `booru status` decide here, all from `freshness.release_status` and Dagster's history.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import dagster as dg

from booru_pipeline.defs.runs.history import Outcome, PastRun, failure_of, runs_of
from booru_pipeline.pipeline.freshness import State, Status, due_stages, expected_records, release_status
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import Sources, Stage
from booru_pipeline.release.find import Found, Release
from booru_pipeline.release.fingerprint import is_known

# A scan is made over RPC, which ends after a minute by default. What is not read by then is read at the next one.
_READING_S: Final = 20.0
_LOADING: Final = Stage.TRAINING_SHARDS.upto()


@dataclass(frozen=True)
class Request:
    """A run to ask for.

    Attributes:
        release: Of which release.
        stages: What to make, in order.
        whole: Whether it is the release's chain, and not only its loading while the chain waits.
        target: The key that the last stage's artifact is to have; empty if nothing is to be other than it is.
        attempt: 1, or more if runs for the same target were killed or the schedule asks once more.
        why: For the log.
        unchecked: The stage before these, if its checks may not have been evaluated since it was made.
    """

    release: Release
    stages: list[Stage]
    whole: bool
    target: str = ""
    attempt: int = 1
    why: str = ""
    unchecked: list[Stage] = field(default_factory=list)

    @property
    def run_key(self) -> str:
        """Another one for other bytes, options, aliases or code, and for another attempt; else the same."""
        key = f"{self.release.key}:{self.target or 'verify'}"
        return key if self.attempt == 1 else f"{key}:{self.attempt}"


@dataclass(frozen=True)
class Decision:
    """The runs to ask for, and what becomes of the other releases.

    Attributes:
        requests: Runs to ask for, in release order.
        waiting: What is not asked for and why, a sentence a release.
        fresh: Releases of which everything is there, in release order.
        left: Releases that are left as a person made them, in release order.
        statuses: Stage by stage, of the releases that may be read.
    """

    requests: list[Request] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    statuses: dict[str, list[Status]] = field(default_factory=dict)


def goal_of(release: str, found: Found) -> Stage:
    """The last stage that is made unattended. A hand-tagged release is an addition to others: it gets no model."""
    return Stage.TRAINING_SHARDS if release in found.additions else Stage.TAG_AUDIT


def decide(
    settings: Settings,
    instance: dg.DagsterInstance,
    found: Found,
    unstable: Mapping[str, str],
    relations: tuple[str, str],
    *,
    again: bool = False,
) -> Decision:
    """Decide which runs to ask for.

    A release's chain starts when the earlier releases have their training shards, or their checkpoints if one training
    goes on from the other. Until then it is only loaded.

    Args:
        settings: Where things are and how they are to be made.
        instance: Whose history tells what was tried.
        found: The raw folder's releases.
        unstable: Why a whole release must not be read yet, by key.
        relations: `tag_relations.fingerprints`.
        again: Ask again for what failed, was canceled, or was made and removed since.
    """
    scan = _Scan(settings, instance, relations, found, again)
    whole = {release.key: release for release in found.releases}
    problems = {item.key: item.problem for item in found.incomplete} | dict(unstable)
    scan.decision.waiting.extend(item.problem for item in found.incomplete if item.key not in found.keys)
    until = time.monotonic() + _READING_S
    for key in found.keys:
        if key in problems:
            scan.wait(key, problems[key])
        elif time.monotonic() > until and not is_known(whole[key], settings.lake.raw_fingerprints):
            scan.wait(key, f"the files of {key} are read at the next scan")
        else:
            scan.at(whole[key])
    return scan.decision


class _Scan:
    """One scan of all releases, in release order."""

    def __init__(
        self,
        settings: Settings,
        instance: dg.DagsterInstance,
        relations: tuple[str, str],
        found: Found,
        again: bool,
    ) -> None:
        self.decision = Decision()
        self._settings = settings
        self._instance = instance
        self._relations = relations
        self._found = found
        self._again = again
        self._gate = Stage.CHECKPOINT if settings.checkpoint.strategy == "continue" else Stage.TRAINING_SHARDS
        self._blocker: str | None = None  # what the later releases wait for: the first one's stage

    def wait(self, key: str, why: str) -> None:
        """Note that a release, and so all later ones, must wait."""
        self.decision.waiting.append(why)
        self._block(key)

    def at(self, release: Release) -> None:
        """Decide about a whole release."""
        key = release.key
        sources = self._settings.sources(release, self._relations)
        goal = goal_of(key, self._found)
        statuses = release_status(self._settings.lake, key, sources, self._settings)[: goal.order + 1]
        self.decision.statuses[key] = statuses
        due = due_stages(statuses)
        left = bool(due) and self._decide(release, sources, statuses, due)
        if left or not due:
            (self.decision.left if left else self.decision.fresh).append(key)
        # An artifact made by hand with other options does not block later releases.
        made = [status.is_fresh or (left and (status.state is State.STALE or status.by_options)) for status in statuses]
        if not all(made[: self._gate_of(key).order + 1]):
            self._block(key)

    def _gate_of(self, key: str) -> Stage:
        return min(self._gate, goal_of(key, self._found), key=lambda stage: stage.order)

    def _block(self, key: str) -> None:
        self._blocker = self._blocker or f"the {self._gate_of(key).value.replace('_', ' ')} of {key}"

    def _decide(self, release: Release, sources: Sources, statuses: Sequence[Status], due: list[Stage]) -> bool:
        """Ask for a release or say what it waits for; gives whether it is left as a person made it."""
        key, goal = release.key, statuses[-1].stage
        later = f"waits for {self._blocker}"
        loading = [stage for stage in due if stage in _LOADING]
        whole = self._blocker is None or goal in _LOADING
        if not whole and not loading:
            self.decision.waiting.append(f"{key} {later}")
            return False
        stages = due if whole else loading
        records = expected_records(key, sources, self._settings)
        target = records[stages[-1]].key
        # What fails to load alone fails to load in a chain.
        same = {target, records[goal].key, records[Stage.TRAINING_SHARDS].key} if loading else {target}
        runs = runs_of(self._instance, key)
        first = next(status for status in statuses if not status.is_fresh)
        by_hand = _by_hand(key, runs, first)
        refusal = _under_way(key, runs) or by_hand or self._tried(key, runs, stages, target, same, first)
        if refusal is not None:
            self.decision.waiting.append(refusal)
            return refusal == by_hand
        attempt = 1 + sum(run.target == target for run in runs)
        # A run that was killed may have published an artifact that its blocking checks have not seen.
        killed = bool(runs) and runs[0].outcome is Outcome.INTERRUPTED
        unchecked = stages[0].before()[-1:] if killed else []
        self.decision.requests.append(Request(release, stages, whole, target, attempt, str(first), unchecked))
        if not whole:
            self.decision.waiting.append(f"{key} will be loaded, and then {later}")
        return False

    def _tried(
        self, key: str, runs: Sequence[PastRun], stages: Sequence[Stage], target: str, same: set[str], first: Status
    ) -> str | None:
        """A refusal if the same was asked for before and asking once more is for people to decide."""
        last = next((run for run in runs if run.target is not None), None)
        if last is None or last.target not in same or last.outcome is Outcome.OVERTAKEN or self._again:
            return None
        by_hand = f"start it by hand or with `booru run --release {key}`"
        if last.outcome is Outcome.INTERRUPTED:
            # Made before, overtaken, or killed after it had made a stage: nothing is wrong with what comes next.
            later = itertools.takewhile(lambda run: run.outcome is not Outcome.SUCCEEDED, runs)
            alike = [run for run in later if run.target == last.target and run.stages == frozenset(stages)]
            tried = sum(run.outcome is Outcome.INTERRUPTED for run in alike)
            enough = tried >= self._settings.automation.attempts
            return f"{key} was interrupted {tried} times at {first.stage.value}; {by_hand}" if enough else None
        if last.outcome is Outcome.FAILED:
            failure = failure_of(self._instance, last.id)
            where = f" at {failure.step}" if failure.step else ""
            return (
                f"{key} failed{where} (run {last.id[:8]}) and is asked for again when its files or the settings "
                f"change, or by hand: {failure.first_line}"
            )
        if last.outcome is Outcome.CANCELED:
            return f"{key} was canceled (run {last.id[:8]}); {by_hand}"
        if last.target != target:
            return None  # loaded, and now comes the chain
        return (
            f"{key} was made by run {last.id[:8]} and has been changed or removed since ({first.stage.value} is "
            f"{first.state}); `booru run --release {key}` or the schedule makes it again"
        )


def _under_way(key: str, runs: Sequence[PastRun]) -> str | None:
    """A refusal if the release is being made, whoever started it."""
    run = next((run for run in runs if run.outcome is Outcome.UNDER_WAY), None)
    return f"{key} is being made by run {run.id[:8]} of {run.job}" if run else None


def _by_hand(key: str, runs: Sequence[PastRun], first: Status) -> str | None:
    """A refusal if a person made it with other options on purpose."""
    succeeded = next((run for run in runs if run.outcome is Outcome.SUCCEEDED), None)
    if not first.by_options or succeeded is None or succeeded.asked_by is not None:
        return None
    return (
        f"{key} was made by hand with other options ({first}) and is left as it is; "
        f"`booru run --release {key}` makes it with the present ones"
    )
