"""The project's Dagster instance: history under BOORU_HOME, shared by the shell and the UI."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg

from booru_pipeline.defs.runs.given_config import give_config
from booru_pipeline.defs.runs.process import bury_dead_runs
from booru_pipeline.defs.runs.read_only import copied_instance, is_read_only
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.locks import cannot_write, check_locks

_PACKAGE: Final = Path(__file__).parents[2]
_INSTALLED: Final = _PACKAGE / "_dagster.yaml"  # where the wheel puts it; a checkout has it beside the package
_TEMPLATE: Final = _INSTALLED if _INSTALLED.is_file() else _PACKAGE.parent / "dagster.yaml"


def prepare_dagster_home(lake: Lake) -> Path:
    """Make DAGSTER_HOME with our settings, if it has none of its own, and put it into the environment.

    Raises:
        BooruError: The home cannot be written, or its disk has no locks.
    """
    try:
        lake.dagster_home.mkdir(parents=True, exist_ok=True)
        give_config(_TEMPLATE, lake.dagster_home / "dagster.yaml")
    except OSError as error:
        raise cannot_write(lake.home, error) from error
    check_locks(lake.dagster_home)
    os.environ["DAGSTER_HOME"] = str(lake.dagster_home)
    return lake.dagster_home


@contextmanager
def open_instance(lake: Lake) -> Iterator[dg.DagsterInstance]:
    """The instance, after runs whose shell process died have been marked as failed."""
    prepare_dagster_home(lake)
    with dg.DagsterInstance.get() as instance:
        bury_dead_runs(instance)
        yield instance


@contextmanager
def existing_instance(lake: Lake) -> Iterator[dg.DagsterInstance | None]:
    """The instance for who only reads, or None if nothing ever ran. The home may be read-only."""
    home = lake.dagster_home
    if not (home / "dagster.yaml").is_file():
        yield None
        return
    opened = copied_instance(home) if is_read_only(home) else dg.DagsterInstance.from_config(str(home))
    with opened as instance:
        yield instance
