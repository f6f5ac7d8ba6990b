"""The command that removes a release that is gone: `booru forget`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich import filesize
from rich.markup import escape

from booru_pipeline.cli.app import Home, Raw, app, read_settings, say
from booru_pipeline.errors import BooruError, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from booru_pipeline.defs.runs.erase import Past
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.pipeline.forgetting import Trace
    from booru_pipeline.pipeline.settings import Settings


@app.command()
def forget(
    release: Annotated[str, typer.Argument(help="The release, or the partition of a wrong name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this, only show it.")] = False,
    raw: Raw = None,
    home: Home = None,
) -> None:
    """Show what there is of a release whose raw files are gone, and remove it with `--yes`.

    Removed are its artifacts, here and in the store, with states and notes, and what the UI knows of it: the partition,
    its runs and their events. Later releases that were made with it stay as they are. Example: `booru forget 2019z`
    """
    settings = read_settings(raw=raw, home=home)
    from booru_pipeline.defs.runs.erase import erase, past_of, refuse_under_way  # imports Dagster
    from booru_pipeline.defs.runs.history import RELEASE_PARTITIONS
    from booru_pipeline.defs.runs.instance import existing_instance, open_instance
    from booru_pipeline.pipeline.forgetting import remove_traces, traces_of
    from booru_pipeline.release.key import parse_key

    with existing_instance(settings.lake) as instance:
        partitions = instance.get_dynamic_partitions(RELEASE_PARTITIONS) if instance is not None else []
        key = release if release in partitions else parse_key(release) or release
        traces = traces_of(settings.lake, key)
        past = past_of(instance, key) if instance is not None else None
        if instance is not None:
            refuse_under_way(instance)
        _refuse(settings, key, known=bool(traces or past))
    _show(settings.lake, key, traces, past)
    if not yes:
        say(f"`booru forget {escape(printable(release))} --yes` removes it for good; nothing is removed yet")
        return
    # What is made goes first: a scan that found it without its history would record it again.
    remove_traces(settings.lake, traces)
    if past:
        with open_instance(settings.lake) as instance:
            erase(instance, key)
    say(f"{escape(printable(key))} is forgotten")


def _refuse(settings: "Settings", key: str, *, known: bool) -> None:
    """Raises a BooruError if the release is no such one."""
    from booru_pipeline.pipeline.forgetting import refuse_promoted
    from booru_pipeline.release.find import find_releases

    found = find_releases(settings.raw_folder)
    if key in {*found.keys, *(item.key for item in found.incomplete)}:
        raise BooruError(
            f"the raw files of {key} are in {settings.raw_folder}, so it would be made again. "
            "Move its folder out of there first."
        )
    if not known:
        raise BooruError(f"nothing is known of {printable(key)!r}. `booru status` shows the releases.")
    refuse_promoted(settings.lake, key)


def _show(lake: "Lake", key: str, traces: "Sequence[Trace]", past: "Past | None") -> None:
    from booru_pipeline.release.key import parse_key, release_order

    for trace in traces:
        where = trace.path.relative_to(lake.home)
        say(f"{trace.what}  {escape(printable(str(where)))}  [dim]{filesize.decimal(trace.bytes)}[/]")
    if past:
        known = f"{len(past.runs)} runs, {past.events} events of assets"
        say(f"in the UI  {f'the partition, {known}' if past.partition else known}")
    if traces and parse_key(key) == key:
        later = [other for other in lake.releases_with(lake.vocabulary) if release_order(other) > release_order(key)]
        if later:
            say(f"[dim]made with it, and left as they are[/]  {', '.join(later)}")
