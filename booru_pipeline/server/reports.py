"""Reports over http: a browser opens no file from a page that came over http, as the web UI's pages do."""

import html
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from booru_pipeline.lake.lake import Lake

_INDEX: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Reports</title>
<link rel="icon" href="data:,">
<h1>Reports</h1>
<ul>{items}</ul>
<p><a href="/">Ask the model</a></p>
</html>
"""


class _Folder(StaticFiles):
    async def check_config(self) -> None:
        """The folder comes with its first report."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"  # a report that is made again has the same address
        return response


def report_routes(lake: Lake) -> list[BaseRoute]:
    """An index at `/reports/`, and the folders of reports and experiments, read-only; nothing else of the home."""

    def index(_: Request) -> HTMLResponse:
        keys = [*lake.releases_with(lake.evaluation_report), *lake.trials_with(lake.evaluation_report)]
        pages = [lake.evaluation_report(key) / "report.html" for key in keys]
        pages += sorted(lake.experiments.glob("*/*/*.html"))
        paths = [lake.name_of(page) for page in pages if page.is_file()]  # some may be in a store only
        items = "".join(f'<li><a href="/{quote(path)}">{html.escape(path)}</a></li>' for path in paths)
        return HTMLResponse(_INDEX.format(items=items or "<li>none yet</li>"))

    folders = [
        Mount(f"/{folder.name}", _Folder(directory=folder, html=True, check_dir=False))
        for folder in (lake.reports, lake.experiments)
    ]
    return [Route("/reports/", index), *folders]
