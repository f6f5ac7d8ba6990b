"""What takes long says what it does, how far it is, and how long it may take yet.

Code that may take over five seconds runs in a `step`. Who started it, a run or a command, decides with `told_to` where
the words go; without that nothing is said. The words come from a thread of their own, so that a library's call that
takes minutes is no silence either.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import Final, TypeVar

FIRST_S: Final = 5.0
"""Seconds that may pass in silence."""
_MOST_S: Final = 60.0  # between two lines; each pause is twice as long as the one before it

Item = TypeVar("Item")
Result = TypeVar("Result")

_say: ContextVar[Callable[[str], None] | None] = ContextVar("say", default=None)
_current: ContextVar["Step | None"] = ContextVar("current", default=None)


class Step:
    """Work that is under way.

    Attributes:
        what: In words that fit before a colon, such as `counting pairs`.
        total: Of what is worked on, in any unit; None if that is not known.
        done: Of it so far.
        inner: The step that is under way within this one.
    """

    def __init__(self, what: str, total: float | None, measure: Callable[[], float] | None) -> None:
        self.what = what
        self.total = total
        self.done = 0.0
        self._measure = measure
        self._began = time.monotonic()
        self.inner: Step | None = None

    @property
    def taken(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def advance(self, by: float = 1.0) -> None:
        """So much more is done."""
        self.done += by

    def line(self) -> str:
        """What to say now, such as `counting pairs: 40 % after 12 s, about 18 s to go`."""
        taken = self.taken
        share = self._share()
        if not 0 < share <= 1:
            return f"{self.what}: {duration(taken)} so far"
        left = duration(taken * (1 - share) / share)
        return f"{self.what}: {share:.0%} after {duration(taken)}, about {left} to go"

    def _share(self) -> float:
        if self._measure is not None:
            return self._measure()
        return self.done / self.total if self.total else 0.0


@contextmanager
def told_to(say: Callable[[str], None]) -> Iterator[None]:
    """Within the block, `say` is given the lines of steps that take long. It is called from other threads."""
    token = _say.set(say)
    try:
        yield
    finally:
        _say.reset(token)


def tell(line: str) -> None:
    """Say a line now, if anybody wants to know."""
    if (say := _say.get()) is not None:
        say(line)


def is_told() -> bool:
    """Whether anybody wants to know."""
    return _say.get() is not None


@contextmanager
def step(what: str, total: float | None = None, measure: Callable[[], float] | None = None) -> Iterator[Step]:
    """Tell of the block every now and then if it takes over five seconds.

    Args:
        what: What is done, in words that fit before a colon.
        total: How much there is to do; the block calls `advance` as it goes. None if that is not known.
        measure: Gives the share that is done, 0 to 1, where something else counts; 0 or less means not known. It is
            called from another thread.
    """
    this, say, outer = Step(what, total, measure), _say.get(), _current.get()
    if say is None:
        yield this
        return
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(this, say, over), name=f"telling of {what}", daemon=True)
    token = _current.set(this)
    if outer is not None:
        outer.inner = this  # who is inside for long knows better
    teller.start()
    try:
        yield this
    finally:
        if outer is not None:
            outer.inner = None
        _current.reset(token)
        over.set()
        teller.join()


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What `work` makes of each item, in order, two at a time; their steps are told of like any other.

    For what numpy, scipy and torch do outside of Python's lock. Not more than two: each has memory of its own.
    """
    with ThreadPoolExecutor(2) as pool:
        try:
            started = [pool.submit(copy_context().run, work, item) for item in items]
            for one in wait(started, return_when=FIRST_EXCEPTION).done:
                one.result()
            return [one.result() for one in started]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # the block still waits for the two that are under way


def _tell(this: Step, say: Callable[[str], None], over: threading.Event) -> None:
    pause = FIRST_S
    while not over.wait(pause):
        inner = this.inner
        if inner is None or inner.taken < FIRST_S / 2:  # many short ones would never speak
            with suppress(Exception):  # what cannot be said must not end the work
                say(this.line())
        pause = min(2 * pause, _MOST_S)


def duration(seconds: float) -> str:
    """Seconds as people say them: `12 s`, `3 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
