"""What every request and answer goes through: which hosts, how large, how long, and the headers of a careful server."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

LARGEST: Final = 64 << 10  # bytes of a request's body
_PATIENCE_S: Final = 10.0  # for a request to come in whole
_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_OWN: Final = f"{_NOTHING}; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"
# A report is one file, with its styles, its script and its plots in it.
_REPORTS: Final = f"{_NOTHING}; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


class Careful:
    """Refuses what asks under a foreign name or is too large or too slow; adds headers to what is answered.

    A page elsewhere can make its own name lead to this machine (DNS rebinding), and would then read what is served: so
    a server that listens on loopback answers to loopback's names alone.

    Args:
        app: What answers.
        hosts: Names that it answers to; to all if empty.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        policy = _REPORTS if scope["path"].startswith(("/reports/", "/experiments/")) else _OWN

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in {**_ALWAYS, "Content-Security-Policy": policy}.items():
                    own.setdefault(name, value)
                own.setdefault("Cache-Control", "no-store")
            await send(message)

        if self._hosts and _name_of(headers.get("host", "")) not in self._hosts:
            await refusal(421, "this server answers under other names. Ask 127.0.0.1.")(scope, receive, told)
        elif _too_large(headers.get("content-length", "0")):
            await _LARGE(scope, receive, told)
        else:
            try:
                body = await asyncio.wait_for(_read(receive), _PATIENCE_S)
            except TimeoutError:
                await refusal(408, "the request did not come in whole in time. Send it again.")(scope, receive, told)
                return
            if body is None:
                await _LARGE(scope, receive, told)
                return
            await self._app(scope, _given(body, receive), told)


def refusal(status: int, why: str, **headers: str) -> JSONResponse:
    """An answer that is none: `{"error": why}`."""
    return JSONResponse({"error": why}, status, headers)


_LARGE: Final = refusal(413, f"the request is too large: {LARGEST:,} bytes at most.", Connection="close")


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _too_large(length: str) -> bool:
    return not length.isdecimal() or len(length) > 12 or int(length) > LARGEST


async def _read(receive: Receive) -> bytes | None:
    """The body; None if it is too large."""
    parts, size = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _given(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read, and then what comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


class Impatient(H11Protocol):
    """uvicorn's protocol, which by itself waits for ever for a request's first lines."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._late = self.loop.call_later(_PATIENCE_S, self._end_if_idle)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a request from its first byte on."""
        super().data_received(data)
        self._late.cancel()
        self._late = self.loop.call_later(_PATIENCE_S, self._end_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._late.cancel()
        super().connection_lost(exc)

    def _end_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
