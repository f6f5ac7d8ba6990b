"""The command `booru`: its application, common flags and consoles. Heavy imports wait until a command needs them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from booru_pipeline.errors import BooruError, Stopped

if TYPE_CHECKING:
    from booru_pipeline.pipeline.settings import Settings

app = typer.Typer(
    name="booru",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Learn what one booru tag implies about the others.

Releases become a tag table, training shards, a checked dataset, a fine-tuned T5 and an evaluation report.

**First time:** `booru sample`, then `booru run`, then `booru suggest usada_pekora`. The same runs, with their figures
and plots, are in the web UI: `booru dev`.

**Settings** come from flags, then the environment (`BOORU_RAW`, `BOORU_HOME`, `BOORU_PRESET`,
`BOORU_CHECKPOINT__TIME_LIMIT_S` …), then `booru.toml` in the working directory.
""",
)
export_app = typer.Typer(no_args_is_help=True, help="Write the tag tables for other tools.")
app.add_typer(export_app, name="export")
store_app = typer.Typer(no_args_is_help=True, help="The store: artifacts beyond this machine's disk (`[store]`).")
app.add_typer(store_app, name="store")
experiment_app = typer.Typer(no_args_is_help=True, help="Experiments: trainings that answer a question.")
app.add_typer(experiment_app, name="experiment")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Raw = Annotated[Path | None, typer.Option("--raw", help="Folder of releases. [BOORU_RAW, ./booru_raw]")]
RelationsFolder = Annotated[
    Path | None,
    typer.Option("--relations", help="Folder of tag_aliases.json and tag_implications.json. [BOORU_RELATIONS]"),
]
Home = Annotated[Path | None, typer.Option("--home", help="Folder of artifacts. [BOORU_HOME, ./booru_home]")]
Release = Annotated[str | None, typer.Option("--release", help="Of this release; the newest by default.")]


def say(line: str) -> None:
    """Print a line with rich's markup. Rich does not fold it, so that a path or command in it can be copied whole."""
    out.print(line, soft_wrap=True)


@contextmanager
def kept_terminal() -> Iterator[None]:
    """Keep what `say` says on the terminal within the block, while Dagster sends what steps print to a run's log."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors="replace") as terminal:
        out.file = terminal
        try:
            yield
        finally:
            out.file = sys.stdout


def main() -> None:
    """Run the command; a `BooruError` becomes a message and exit status 1."""
    try:
        app()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Stopped as stop:
        err.print(str(stop), markup=False, soft_wrap=True)
        status = stop.status
    except BooruError as error:
        err.print(f"[bold red]booru:[/] {escape(str(error))}", soft_wrap=True)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: where other libraries keep DuckDB 2.0's module alive, its binding prints pages about leaked types
    # when the interpreter shuts down. Everything of ours is closed by now.
    os._exit(status)


def read_settings(**flags: Any) -> "Settings":
    """The settings; flags that are None count as not given. See `load_settings`."""
    from booru_pipeline.pipeline.settings import load_settings

    return load_settings(**flags)
