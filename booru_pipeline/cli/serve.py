"""Commands that serve pages: dev, serve-reports."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, read_settings
from booru_pipeline.orphan import PARENT_VARIABLE, end_with_parent


@app.command()
def dev(
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
    port: Annotated[int, typer.Option(help="Port of the web UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address that the web UI listens on.")] = "127.0.0.1",
) -> None:
    """Open the Dagster web UI on the project's history; the sensor looks for new releases meanwhile.

    The reports are served too, where `reports_url` says, if that is on this machine.
    """
    from booru_pipeline.defs.automation.schedule import check_cron
    from booru_pipeline.defs.runs.instance import prepare_dagster_home
    from booru_pipeline.pipeline.report_server import local_address

    settings = read_settings(raw=raw, home=home, relations=relations)
    check_cron(settings)
    prepare_dagster_home(settings.lake)
    if settings.relations_folder is not None:
        os.environ["BOORU_RELATIONS"] = str(settings.relations_folder)
    os.environ["BOORU_RAW"] = str(settings.raw_folder)
    os.environ["BOORU_HOME"] = str(settings.lake.home)
    # The first look at new releases reads their files whole, on a slow disk for minutes.
    os.environ.setdefault("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "600")
    os.environ.setdefault("DAGSTER_SCHEDULE_GRPC_TIMEOUT_SECONDS", "600")
    dagster = Path(sys.executable).with_name("dagster")
    arguments = ["dev", "-m", "booru_pipeline.definitions", "-h", host, "-p", str(port)]
    if local_address(settings.reports_url):
        subprocess.Popen(
            [Path(sys.executable).with_name("booru"), "serve-reports"],
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
            stdin=subprocess.DEVNULL,
        )
    os.execv(dagster, [str(dagster), *arguments])  # the process stays, so that who is its child now stays that


@app.command("serve-reports")
def serve_reports_command(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [127.0.0.1, or as in reports_url]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. [3001, or as in reports_url]")] = None,
) -> None:
    """Serve the reports of evaluations and experiments over http, read-only. `booru dev` does it by itself."""
    from booru_pipeline.pipeline.report_server import LISTENS_ON, local_address, serve_reports

    settings = read_settings(home=home)
    if PARENT_VARIABLE in os.environ:
        end_with_parent()
    own_host, own_port = local_address(settings.reports_url) or LISTENS_ON
    with contextlib.suppress(KeyboardInterrupt):
        serve_reports(settings.lake, host or own_host, own_port if port is None else port)
