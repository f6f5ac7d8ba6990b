"""Addresses to listen on."""

import ipaddress
import os
import socket
from typing import Final
from urllib.parse import urlsplit

from booru_pipeline.errors import BooruError

LISTENS_ON: Final = ("127.0.0.1", 3001)
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def address_of(host: str, port: int) -> str:
    """The URL that opens what listens there, on this machine."""
    name = _EVERYWHERE.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def local_address(url: str) -> tuple[str, int] | None:
    """Host and port on this machine's loopback that a URL names, or None if somebody else answers for it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_whole = parts.scheme == "http" and parts.path in ("", "/")
    return (host, parts.port or 80) if is_whole and is_loopback(host) else None


def listen(host: str, port: int, what: str = "answers and reports", remedy: str = "") -> socket.socket:
    """A socket that listens there.

    Args:
        host: A name or an address.
        port: 1 to 65535.
        what: Is not served if that cannot be.
        remedy: What to do; by default about the reports' address.

    Raises:
        BooruError: The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OverflowError as error:
        raise BooruError(f"no {what} on {host}:{port}: a port is a number up to 65535. Choose another one.") from error
    except socket.gaierror as error:
        raise BooruError(
            f"no {what} on {host}:{port}: {host} is no address of this machine. Choose another."
        ) from error
    except OSError as error:
        why = os.strerror(error.errno or 0)
        by_default = (
            f"End what listens there, or choose another port, as in BOORU_REPORTS_URL=http://127.0.0.1:{port + 1}: "
            "the UI's links follow it."
        )
        raise BooruError(f"no {what} on {host}:{port}: {why}. {remedy or by_default}") from error
