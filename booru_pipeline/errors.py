"""Errors that people are meant to read, and what is said of other libraries' errors in them."""

import errno
from typing import Final

# A full, read-only or rationed disk: nothing that trying again would mend.
DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})


class BooruError(Exception):
    """Bad input or a bad place: the message names the thing (file, line, setting) and the remedy.

    The command line prints it without a traceback and exits with status 1; in the Dagster UI it is the run's failure.
    """


class Stopped(BooruError):
    """A person or a supervisor ended what was under way, by a signal.

    Attributes:
        status: The exit status of the process.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def first_line(error: object) -> str:
    """The first line of an error's text, without its full stop; the error's type if it has no text."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")


def printable(text: str) -> str:
    """The text with what a terminal would obey, or could not show, written as an escape such as `\\x1b`.

    Bytes that are no text in the locale, which Python keeps as half a surrogate pair, are written as bytes.
    """
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def printable_lines(text: str) -> str:
    """Text of several lines, each as `printable` has it."""
    return "\n".join(map(printable, text.split("\n")))


def _escape(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else letter.encode("unicode_escape").decode("ascii")
