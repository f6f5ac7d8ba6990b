"""Asked to stop, by Ctrl-C or SIGTERM, while this process executes runs: the one under way is canceled."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import dagster as dg
import psutil
from dagster import DagsterEventType, EventLogEntry

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SAME_S: Final = 0.5  # `timeout` and some terminals send the first one twice
_PATIENCE_S: Final = 2.0


class Stop:
    """Notices the signals beside whoever handles them, and ends the process at the second one.

    Dagster puts handlers of its own in place while it executes a run: they end the step, and say of neither the signal
    nor the run that a person wanted it so.

    Args:
        notice: Called once, from another thread, when the first signal has come.

    Attributes:
        signal: The first one's number; None before it.
    """

    def __init__(self, notice: Callable[[], None]) -> None:
        self.signal: int | None = None
        self._notice = notice
        self._noted = threading.Event()
        self._run: tuple[dg.DagsterInstance, str] | None = None

    @property
    def status(self) -> int:
        """The exit status of a process that a signal ended, as shells have it."""
        return 128 + (self.signal or signal.SIGINT)

    @contextmanager
    def watched(self) -> Iterator["Stop"]:
        """Look for signals as long as the block runs. One outside of a Dagster run is a KeyboardInterrupt."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        former = {number: signal.getsignal(number) for number in _SIGNALS}
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        # Python writes a signal's number there before any handler runs.
        former_descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, args=(reader,), name="stop", daemon=True).start()
        try:
            yield self
        finally:
            signal.set_wakeup_fd(former_descriptor)
            for number, handler in former.items():
                signal.signal(number, handler)
            writer.close()  # which ends the thread

    @contextmanager
    def cancels(self, instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
        """Mark the run that the block executes as canceled if a signal ends it."""
        self._run = instance, run_id
        instance.add_event_listener(run_id, self._on_event)
        try:
            yield
        finally:
            if self.signal is not None:
                self._cancel()
            self._run = None

    def _listen(self, reader: socket.socket) -> None:
        first = 0.0
        with reader, suppress(OSError):
            while number := reader.recv(1):
                if number[0] not in _SIGNALS:
                    continue
                if self.signal is None:
                    self.signal, first = number[0], time.monotonic()
                    self._noted.set()
                    self._notice()
                elif time.monotonic() - first > _SAME_S:
                    self._end_at_once()

    def _on_event(self, entry: EventLogEntry) -> None:
        """Before Dagster decides how a run has ended that an interrupt ended, say that it was to be."""
        event = entry.dagster_event
        if event is not None and event.event_type == DagsterEventType.STEP_FAILURE and self._run is not None:
            source = event.step_failure_data.error_source
            if source is not None and source.name == "INTERRUPT" and self._noted.wait(_PATIENCE_S):
                instance, run_id = self._run
                if (run := instance.get_run_by_id(run_id)) is not None:
                    instance.report_run_canceling(run)

    def _cancel(self) -> None:
        if self._run is not None:
            instance, run_id = self._run
            run = instance.get_run_by_id(run_id)
            if run is not None and run.status not in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS):
                instance.report_run_canceled(run)

    def _end_at_once(self) -> None:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        noting = threading.Thread(target=self._cancel, daemon=True)
        noting.start()
        noting.join(_PATIENCE_S)  # the main thread may hold the history's lock
        os._exit(self.status)
