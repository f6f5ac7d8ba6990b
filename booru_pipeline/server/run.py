"""Serving: a socket, the application, and a note in the home that tells `booru suggest` whom to ask."""

import json
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.server.app import make_app
from booru_pipeline.server.careful import Impatient
from booru_pipeline.server.client import asked_with
from booru_pipeline.server.listening import address_of
from booru_pipeline.server.shelf import Shelf

if TYPE_CHECKING:
    from booru_pipeline.lake.lake import Lake

_CLIENTS = 512


def serve(settings: Settings, listening: socket.socket, host: str) -> None:
    """Serve until the process is told to end; in another thread than the main one, until the process ends."""
    with listening:
        config = uvicorn.Config(
            make_app(Shelf(settings), host),
            http=Impatient,
            ws="none",
            log_level="error",  # what others send that is no HTTP is none of our user's business
            access_log=False,
            server_header=False,
            limit_concurrency=_CLIENTS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=2,
        )
        _tell(settings, address_of(host, listening.getsockname()[1]))
        _Server(config, settings.lake).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Takes the note back while it ends: after that uvicorn raises the signal again that it was told to end by."""

    def __init__(self, config: uvicorn.Config, lake: "Lake") -> None:
        super().__init__(config)
        self._lake = lake

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        take_back(self._lake)
        await super().shutdown(sockets)


def _tell(settings: Settings, address: str) -> None:
    """Leave a note of the address. A home that cannot be written is served all the same."""
    with suppress(OSError):
        lake = settings.lake
        if lake.home.is_dir():
            note = {"address": address, "pid": os.getpid(), "with": asked_with(settings)}
            lake.server_note.write_text(json.dumps(note) + "\n", encoding="utf-8")


def take_back(lake: "Lake") -> None:
    """Remove the note of a server of this process."""
    with suppress(OSError, ValueError):
        if json.loads(lake.server_note.read_text(encoding="utf-8"))["pid"] == os.getpid():
            lake.server_note.unlink()


def serve_beside(settings: Settings, listening: socket.socket, host: str) -> None:
    """Serve from a thread, as long as this process runs."""
    threading.Thread(target=serve, args=(settings, listening, host), name="server", daemon=True).start()
