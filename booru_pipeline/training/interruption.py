"""Asked to end: SIGTERM from whoever runs the process, SIGINT from a cancelled Dagster run or from Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Turns the signals into a KeyboardInterrupt, or into a flag while there is something to bring to an end.

    Attributes:
        requested: Whether one of the signals has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._patient = True

    @contextmanager
    def watched(self) -> Iterator["Interruption"]:
        """Take the signals for as long as the block runs, and note them. Only the main thread may."""
        former: dict[int, Any] = {number: signal.signal(number, self._take) for number in _SIGNALS}
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def raised(self) -> None:
        """From now on a signal is raised, one that has come already at once."""
        self._patient = False
        if self.requested:
            raise KeyboardInterrupt

    @contextmanager
    def only_noted(self) -> Iterator[None]:
        """Within the block nothing is raised: it looks at `requested` when it can end."""
        self._patient = True
        try:
            yield
        finally:
            self._patient = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        # Ctrl-C reaches the payload twice, from the terminal and forwarded by Dagster: the second changes nothing.
        first, self.requested = not self.requested, True
        if first and not self._patient:
            raise KeyboardInterrupt
