"""Trying again what can pass the second time: a disk or a network that did not answer."""

import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import Final, ParamSpec, TypeVar

import dagster as dg
import duckdb

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Not ENOSPC, EACCES, ENOENT and their like: somebody has to do something about those.
_PASSING: Final = {
    errno.EIO,
    errno.ESTALE,
    errno.EAGAIN,
    errno.EBUSY,
    errno.ETIMEDOUT,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENETRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENOTCONN,
}
_RETRIES: Final = 2
_WAIT_S: Final = 20


def retry_io(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have an asset tried again, twice, when a disk or a network did not answer, and on nothing else.

    Not for the checkpoint: a training that was interrupted goes on from its state in the next run.
    """

    @functools.wraps(function)
    def tried(*arguments: _P.args, **named: _P.kwargs) -> _R:
        try:
            return function(*arguments, **named)
        except Exception as error:
            if may_pass(error):
                raise dg.RetryRequested(max_retries=_RETRIES, seconds_to_wait=_WAIT_S) from error
            raise

    return tried


def may_pass(error: BaseException) -> bool:
    """Whether an error, or what caused it, is of a kind that goes away by itself."""
    return any(_is_passing(cause) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_passing(error: BaseException) -> bool:
    if type(error).__name__ == "OfflineModeIsEnabled":  # of the hub's client, and a ConnectionError
        return False
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError):
        return error.errno in _PASSING
    if isinstance(error, duckdb.IOException):  # it has the system's words only
        return any(os.strerror(number) in str(error) for number in _PASSING)
    httpx = sys.modules.get("httpx")  # the hub's client; nothing is imported here that was not used
    return httpx is not None and isinstance(error, httpx.TransportError)
