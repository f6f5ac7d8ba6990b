"""Commands that serve pages: dev, serve."""

import contextlib
import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, err, read_settings, say
from booru_pipeline.errors import BooruError

if TYPE_CHECKING:
    from booru_pipeline.pipeline.settings import Settings


@app.command()
def dev(
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address that the web UI listens on.")] = "127.0.0.1",
) -> None:
    """Open the Dagster web UI on the project's history; the sensor looks for new releases meanwhile.

    The page that asks the model, and the reports, are served too, where `reports_url` says, if that is on this machine.
    A home has one such server.
    """
    from booru_pipeline.defs.assets.common import GRAPH
    from booru_pipeline.defs.automation.schedule import check_cron
    from booru_pipeline.defs.runs.instance import prepare_dagster_home
    from booru_pipeline.server.dev import only_one, supervise
    from booru_pipeline.server.listening import address_of

    settings = read_settings(raw=raw, home=home, relations=relations)
    check_cron(settings)
    prepare_dagster_home(settings.lake)

    def ready(problem: str | None) -> None:
        if problem:
            say(f"[yellow]the graph could not be loaded:[/] {escape(problem)}")
        say(f"the graph, unfolded: {address_of(host, port)}{GRAPH}")
        say(f"the UI: {address_of(host, port)}  (Ctrl-C ends it)")

    with only_one(settings.lake, host, port) as note:
        _pass_on(settings)
        say(f"[dim]starting; what Dagster says meanwhile is in {escape(str(settings.lake.dev_log))}[/]")
        _serve_beside(settings)
        try:
            supervise(settings.lake, note, ["-m", "booru_pipeline.definitions", "-h", host, "-p", str(port)], ready)
        finally:
            _no_longer_served(settings)
    say("ended; what was under way goes on with the next `booru dev` or `booru run`")


def _pass_on(settings: "Settings") -> None:
    """Put what flags have set into the environment, for Dagster's processes."""
    if settings.relations_folder is not None:
        os.environ["BOORU_RELATIONS"] = str(settings.relations_folder)
    os.environ["BOORU_RAW"] = str(settings.raw_folder)
    os.environ["BOORU_HOME"] = str(settings.lake.home)
    # The first look at new releases reads their files whole, on a slow disk for minutes.
    os.environ.setdefault("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "600")
    os.environ.setdefault("DAGSTER_SCHEDULE_GRPC_TIMEOUT_SECONDS", "600")


def _serve_beside(settings: "Settings") -> None:
    """Serve answers and reports from a thread, so that they end with this process; the UI is of use without them."""
    from booru_pipeline.server.listening import address_of, listen, local_address

    if address := local_address(settings.reports_url):
        try:
            listening = listen(*address)
        except BooruError as error:
            err.print(f"[yellow]{escape(str(error))}[/]", soft_wrap=True)
            return
        from booru_pipeline.server.run import serve_beside

        serve_beside(settings, listening, address[0])
        say(f"ask the model, and the reports: {address_of(*address)}")


def _no_longer_served(settings: "Settings") -> None:
    """Take back the note of the server beside it, which ends with this process and is not told so."""
    from booru_pipeline.server.run import take_back

    take_back(settings.lake)


@app.command()
def serve(
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [127.0.0.1, or as in reports_url]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. [3001, or as in reports_url]")] = None,
) -> None:
    """Keep the model in memory: a page to ask it while you type, an HTTP API, and the reports.

    `booru suggest` asks it too, where one runs on the home. `booru dev` does it by itself. A newly promoted checkpoint
    is taken without a restart. The API's schema is at `/api/openapi.json`. Who reaches the address can ask: on another
    address than this machine's own, put a proxy with a password before it.

    Example: `curl http://127.0.0.1:3001/api/suggest --json '{"tags": ["1girl", "rabbit ears"]}'`
    """
    from booru_pipeline.server.listening import LISTENS_ON, address_of, listen, local_address
    from booru_pipeline.server.run import serve as serve_all

    settings = read_settings(raw=raw, home=home, relations=relations)
    own_host, own_port = local_address(settings.reports_url) or LISTENS_ON
    host = host or own_host
    listening = listen(host, own_port if port is None else port)
    say(f"ask the model, and the reports: {address_of(host, listening.getsockname()[1])}  (Ctrl-C ends it)")
    with contextlib.suppress(KeyboardInterrupt):
        serve_all(settings, listening, host)
