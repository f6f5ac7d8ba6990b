"""How a training shows itself: a bar where a person looks at a terminal, lines everywhere else."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from booru_pipeline.training.tracking import under_pipes


class Display:
    """Lines of the log."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def step(self, done: float) -> None:
        """Show how much is done, a share in [0, 1]; called every step."""

    def say(self, figures: str, *, keep: bool) -> None:
        """Show figures.

        Args:
            figures: One line.
            keep: Whether they are to stay where only the last ones are shown.
        """
        self._log.info(figures)


class _Bar(Display):
    def __init__(self, log: logging.Logger, progress: Progress) -> None:
        super().__init__(log)
        self._progress = progress
        self._task = progress.add_task("", total=1.0)

    def step(self, done: float) -> None:
        self._progress.update(self._task, completed=done)

    def say(self, figures: str, *, keep: bool) -> None:
        self._progress.update(self._task, description=figures)
        if keep:
            super().say(figures, keep=keep)


@contextmanager
def display(log: logging.Logger, *, is_main: bool) -> Iterator[Display]:
    """The display that fits where standard error goes."""
    if not is_main or under_pipes() or not sys.stderr.isatty():
        yield Display(log)
        return
    columns = (BarColumn(20), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as progress:
        yield _Bar(log, progress)
