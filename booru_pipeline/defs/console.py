"""What the shell says of a run, a line a fact: from Dagster's events, less what only Dagster's log needs."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

import dagster as dg
from dagster import DagsterEventType, EventLogEntry
from dagster._core.execution import compute_logs
from rich import filesize
from rich.markup import escape

from booru_pipeline.defs.assets.trial import TRIAL_CHECKPOINT, TRIAL_REPORT
from booru_pipeline.defs.runs.history import Failure
from booru_pipeline.defs.runs.stopping import Stop
from booru_pipeline.errors import first_line
from booru_pipeline.lake.trial import is_trial
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.training.job import resumes_at

_OF_A_CHECKPOINT: Final = {"steps": "steps", "seconds of training": "s of training", "posts per second": "posts/s"}
_OF_A_REPORT: Final = {"test posts": "test posts"}
# Figures of an artifact that a line has room for: the metadata's name, and the word after the number.
_FIGURES: Final[Mapping[str, Mapping[str, str]]] = {
    Stage.TAG_TABLE: {"posts": "posts", "dagster/row_count": "tags", "rejected lines": "lines rejected", "bytes": ""},
    Stage.TRAINING_SHARDS: {"dagster/row_count": "posts", "tags": "tags", "aliases replaced": "aliases replaced"},
    Stage.VOCABULARY: {"dagster/row_count": "labels"},
    Stage.TOKENIZED_DATASET: {"dagster/row_count": "posts", "labels per caption": "labels each"},
    Stage.CHECKPOINT: _OF_A_CHECKPOINT,
    Stage.EVALUATION_REPORT: _OF_A_REPORT,
    Stage.TAG_AUDIT: {
        "missing, shown": "tags missing",
        "suspect, shown": "suspect",
        "implications, shown": "implications proposed",
    },
    TRIAL_CHECKPOINT: _OF_A_CHECKPOINT,
    TRIAL_REPORT: _OF_A_REPORT,
}
_DAGSTERS_OWN: Final = "[pipes]"  # what Dagster logs about the pipe to a training begins with it


class Teller:
    """Says the lines of one run.

    Args:
        say: Takes a line with rich's markup.
        release: The run's, or None if it is of none.
        stop: Nothing more is said once a signal has come.
    """

    def __init__(self, say: Callable[[str], None], release: str | None, stop: Stop) -> None:
        self._step = ""
        self._last_words = ""
        self._say = say
        self._stop = stop
        self._release = release
        self._head, self._indent = (f"{release}  ", "  ") if release else ("", "")
        self._began = time.monotonic()

    def listen(self, entry: EventLogEntry) -> None:
        """Take an event of the run; Dagster calls it for each."""
        event = entry.dagster_event
        if event is None:
            self._log(entry)
        elif event.event_type == DagsterEventType.STEP_START:
            self._step, self._began = str(event.step_key), time.monotonic()
            if self._release is None or event.step_key in _FIGURES:
                self._line(f"[dim]{escape(str(event.step_key))} …[/]")
        elif event.event_type == DagsterEventType.ASSET_MATERIALIZATION and event.step_key in _FIGURES:
            seconds = time.monotonic() - self._began
            figures = figures_of(str(event.step_key), event.materialization.metadata)
            self._line(f"[green]{event.step_key}[/] in {seconds:.1f} s{figures and f': {figures}'}")
        elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and not stops(check):
                name = f"{check.check_name} of {check.asset_key.to_user_string()}"
                self._line(f"[yellow]{self._indent}check failed: {name}[/]")

    @property
    def where_it_stopped(self) -> str:
        """What to tell people of a run that a signal ended."""
        again = "`booru run`" if self._release and not is_trial(self._release) else "the same command"
        step = resumes_at(self._last_words)
        if step is not None:
            return f"stopped at step {step}; {again} goes on from there"
        stage = next((stage for stage in _FIGURES if self._step.startswith(stage)), self._step)
        where = f" in {stage}" if stage else ""
        return f"stopped{where}; nothing is half-written; {again} goes on"

    def _log(self, entry: EventLogEntry) -> None:
        level, text = int(entry.level), entry.user_message
        if level >= logging.ERROR:
            self._last_words = text  # what fails is said once, at the end
        elif level >= logging.INFO and not text.startswith(_DAGSTERS_OWN):
            self._line(f"[{'yellow' if level >= logging.WARNING else 'dim'}]{self._indent}{escape(text)}[/]")

    def _line(self, text: str) -> None:
        if self._stop.signal is None:
            self._say(f"{self._head}{text}")


def stops(check: dg.AssetCheckEvaluation) -> bool:
    """Whether a check that did not pass ends its run; the run's failure says so then."""
    return bool(check.blocking) and check.severity == dg.AssetCheckSeverity.ERROR


def figures_of(stage: str, metadata: Mapping[str, dg.MetadataValue[Any]]) -> str:
    """Figures of an artifact in words, such as `300 posts, 8,342 tags, 0 lines rejected, 1.3 MB`; empty if none."""
    found = {name: metadata[name].value for name in _FIGURES.get(stage, {}) if name in metadata}
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
    return ", ".join(
        filesize.decimal(int(value))
        if name == "bytes"
        else f"{value:,{'' if isinstance(value, int) else '.6g'}} {_FIGURES[stage][name]}"
        for name, value in numbers.items()
    )


def failure_in_words(failure: Failure, release: str | None) -> str:
    """What to tell people at the shell of a run that failed: the sentence, and what to type next."""
    if failure.mendable:
        return failure.text if release is None or release in failure.text else f"release {release}: {failure.text}"
    where = " of release ".join(filter(None, [failure.step, release])) or "the run"
    again = "`booru run`" if release else "the same command"
    return (
        f"{where} failed: {first_line(failure.text)}.\nThe whole log is in the UI: `booru dev`. {again} tries it again."
    )


@contextmanager
def steps_unseen() -> Iterator[None]:
    """Within the block what steps print goes to the run's log alone, as the UI shows it, and not to the terminal.

    Dagster copies it there by programs of its own, which Ctrl-C ends with tracebacks.
    """
    former = compute_logs.tail_to_stream

    def nowhere(path: str, stream: Any) -> AbstractContextManager[tuple[None, None]]:
        return nullcontext((None, None))

    compute_logs.tail_to_stream = nowhere  # type: ignore[assignment]
    try:
        yield
    finally:
        compute_logs.tail_to_stream = former
