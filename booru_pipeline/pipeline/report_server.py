"""Reports over http: a browser opens no file from a page that came over http, as the web UI's pages do."""

import html
import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake

if TYPE_CHECKING:
    from starlette.applications import Starlette

LISTENS_ON: Final = ("127.0.0.1", 3001)
_INDEX: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Reports</title>
<link rel="icon" href="data:,">
<h1>Reports</h1>
<ul>{items}</ul>
</html>
"""


def local_address(url: str) -> tuple[str, int] | None:
    """Host and port on this machine's loopback that a URL names, or None if somebody else answers for it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return None
    return (host, parts.port or 80) if is_loopback and parts.scheme == "http" and parts.path in ("", "/") else None


def listen(host: str, port: int, what: str = "reports", remedy: str = "") -> socket.socket:
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
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        by_default = (
            f"End what listens there, or choose another port, as in BOORU_REPORTS_URL=http://127.0.0.1:{port + 1}: "
            "the UI's links follow it."
        )
        raise BooruError(f"no {what} on {host}:{port}: {why}. {remedy or by_default}") from error


def serve_reports(lake: Lake, listening: socket.socket) -> None:
    """Serve until the process is told to end; in another thread than the main one, until the process ends."""
    import uvicorn

    with listening:
        config = uvicorn.Config(report_app(lake), log_level="warning", access_log=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listening])


def report_app(lake: Lake) -> "Starlette":
    """An index at `/`, and the folders of reports and experiments, read-only; nothing else of the home."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles
    from starlette.types import Scope

    class Folder(StaticFiles):
        async def check_config(self) -> None:
            """The folder comes with its first report."""

        async def get_response(self, path: str, scope: Scope) -> Response:
            response = await super().get_response(path, scope)
            response.headers["Cache-Control"] = "no-cache"  # a report that is made again has the same address
            return response

    def index(_: Request) -> HTMLResponse:
        keys = [*lake.releases_with(lake.evaluation_report), *lake.trials_with(lake.evaluation_report)]
        pages = [lake.evaluation_report(key) / "report.html" for key in keys]
        pages += sorted(lake.experiments.glob("*/*/*.html"))
        paths = [lake.name_of(page) for page in pages if page.is_file()]  # some may be in a store only
        items = "".join(f'<li><a href="{quote(path)}">{html.escape(path)}</a></li>' for path in paths)
        return HTMLResponse(_INDEX.format(items=items or "<li>none yet</li>"))

    folders = [
        Mount(f"/{folder.name}", Folder(directory=folder, html=True, check_dir=False))
        for folder in (lake.reports, lake.experiments)
    ]
    return Starlette(routes=[Route("/", index), *folders])
