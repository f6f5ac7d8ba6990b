"""What a command in a deployment's file listens on, as the real command line reads it."""

from collections.abc import Sequence
from typing import Any

import typer

from booru_pipeline.cli.app import app


def served(command: Sequence[str]) -> tuple[Any, Any]:
    """Host and port of a `booru serve`; an unknown option is an error."""
    program, name, *arguments = command
    assert (program, name) == ("booru", "serve")
    given = typer.main.get_command(app).commands[name].make_context(name, arguments).params
    return given["host"], given["port"]
