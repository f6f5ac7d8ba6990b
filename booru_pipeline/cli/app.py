"""The command `booru`: its application, common flags and consoles. Heavy imports wait until a command needs them."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from booru_pipeline.errors import DISK_ERRORS, BooruError, Stopped, printable_lines
from booru_pipeline.progress import told_to

if TYPE_CHECKING:
    from booru_pipeline.pipeline.settings import Settings

_HELP: Final = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="booru",
    no_args_is_help=True,
    context_settings=_HELP,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Learn what one booru tag implies about the others.

Releases become a tag table, training shards, a checked dataset, a fine-tuned T5 and an evaluation report.

**First time:** `booru sample` and the line that it ends with, then `booru run`, then `booru suggest usada_pekora`. The
same runs, with their figures and plots, are in the web UI: `booru dev`.

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
# Another program gets lines whole, however long; who sets COLUMNS wants them so wide. `:x:` is part of a tag.
_ENDLESS: Final = 10_000
_PIPED: Final = sys.stdout is not None and not sys.stdout.isatty() and "COLUMNS" not in os.environ
out = Console(highlight=False, emoji=False, width=_ENDLESS if _PIPED else None)
err = Console(stderr=True, highlight=False, emoji=False)

Raw = Annotated[Path | None, typer.Option("--raw", help="Folder of releases. [BOORU_RAW, ./booru_raw]")]
RelationsFolder = Annotated[
    Path | None,
    typer.Option("--relations", help="Folder of tag_aliases and tag_implications, JSON or CSV. [BOORU_RELATIONS]"),
]
Home = Annotated[Path | None, typer.Option("--home", help="Folder of artifacts. [BOORU_HOME, ./booru_home]")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.NAME=VALUE",
        help="Any option, for this once, such as checkpoint.learning_rate=0.005; may be repeated. Wins over all else.",
    ),
]
Release = Annotated[str | None, typer.Option("--release", help="Of this release; the newest by default.")]


def say(line: str) -> None:
    """Print a line with rich's markup. Rich does not fold it, so that a path or command in it can be copied whole."""
    out.print(line, soft_wrap=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"booru {version('booru-pipeline')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what stands before a command."""


@contextmanager
def kept_terminal() -> Iterator[None]:
    """Keep what `say` says on the terminal within the block, while Dagster sends what steps print to a run's log."""
    try:
        number = os.dup(sys.stdout.fileno())
    except OSError:  # who calls the command from Python may have something else in its place
        yield
        return
    with os.fdopen(number, "w", encoding=sys.stdout.encoding, errors="replace") as terminal:
        out.file = terminal
        try:
            yield
        finally:
            out.file = sys.stdout


def main() -> None:
    """Run the command; a `BooruError` becomes a message and exit status 1."""
    try:
        with told_to(lambda line: err.print(f"[dim]{escape(line)}[/]", soft_wrap=True)):
            app()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Stopped as stop:
        err.print(str(stop), markup=False, soft_wrap=True)
        status = stop.status
    except BooruError as error:
        _complain(str(error))
        status = 1
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        status = _complain_of(error)
    # Not sys.exit: where other libraries keep DuckDB 2.0's module alive, its binding prints pages about leaked types
    # when the interpreter shuts down. Everything of ours is closed by now.
    os._exit(_flush() or status)


def _complain(text: str) -> None:
    with suppress(OSError, SystemExit):  # nobody reads it
        err.print(f"[bold red]booru:[/] {escape(printable_lines(text))}", soft_wrap=True)


def _complain_of(error: OSError) -> int:
    where = error.filename or "the output"
    _complain(f"{where} cannot be written: {error.strerror}. Free some space or choose another place.")
    return 1


def _flush() -> int:
    """Write what is still to be written; the exit status, which is 0 too if who read it has gone, as `head` does."""
    try:
        if sys.stdout is not None:  # as it is where the shell closed it
            sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        return _complain_of(error)
    with suppress(OSError, AttributeError):
        sys.stderr.flush()
    return 0


def read_settings(overrides: Sequence[str] | None = None, **flags: Any) -> "Settings":
    """The settings; flags that are None count as not given, and `--set`'s win over them. See `load_settings`."""
    from booru_pipeline.pipeline.settings import load_settings

    return load_settings(overrides or (), **flags)
