"""The command that removes a release that is gone, or a trial: `booru forget`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich import filesize
from rich.markup import escape

from booru_pipeline.cli.app import Home, Raw, app, read_settings, say
from booru_pipeline.errors import BooruError, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from booru_pipeline.defs.runs.erase import Past
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.pipeline.forgetting import Trace
    from booru_pipeline.pipeline.settings import Settings


@app.command()
def forget(
    name: Annotated[str, typer.Argument(help="The release, the trial, or the partition of a wrong name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this, only show it.")] = False,
    raw: Raw = None,
    home: Home = None,
) -> None:
    """Show what there is of a release whose raw files are gone, or of a trial, and remove it with `--yes`.

    Removed are its artifacts, here and in the store, with states and notes, and what the UI knows of it: the partition,
    its runs and their events. A release's trials go with it. Later releases that were made with it stay as they are.

    Examples: `booru forget 2019z`, `booru forget lr5`
    """
    settings = read_settings(raw=raw, home=home)
    from booru_pipeline.defs.runs.erase import erase, past_of, refuse_under_way  # imports Dagster
    from booru_pipeline.defs.runs.history import RELEASE_PARTITIONS, TRIAL_PARTITIONS
    from booru_pipeline.defs.runs.instance import existing_instance, open_instance
    from booru_pipeline.pipeline.forgetting import keys_of, remove_traces, traces_of

    lake = settings.lake
    with existing_instance(lake) as instance:
        places = (RELEASE_PARTITIONS, TRIAL_PARTITIONS) if instance is not None else ()
        partitions = {key for place in places if instance for key in instance.get_dynamic_partitions(place)}
        keys = keys_of(lake, name, partitions)
        traces = [trace for key in keys for trace in traces_of(lake, key)]
        pasts = {key: past_of(instance, key) for key in keys} if instance is not None else {}
        if instance is not None:
            refuse_under_way(instance)
        _refuse(settings, keys, known=bool(traces or any(pasts.values())))
    _show(lake, keys[0], traces, pasts)
    if not yes:
        say(f"`booru forget {escape(printable(name))} --yes` removes it for good; nothing is removed yet")
        return
    # What is made goes first: a scan that found it without its history would record it again.
    remove_traces(lake, traces)
    if any(pasts.values()):
        with open_instance(lake) as instance:
            for key in reversed(keys):  # the release last: killed before that, it can be named again
                erase(instance, lake, key)
    say(f"{escape(printable(keys[0]))} is forgotten")


def _refuse(settings: "Settings", keys: "Sequence[str]", *, known: bool) -> None:
    """Raises a BooruError if it is no such release or trial."""
    from booru_pipeline.pipeline.forgetting import refuse_promoted
    from booru_pipeline.release.find import find_releases

    found = find_releases(settings.raw_folder)
    if keys[0] in {*found.keys, *(item.key for item in found.incomplete)}:
        raise BooruError(
            f"the raw files of {keys[0]} are in {settings.raw_folder}, so it would be made again. "
            "Move its folder out of there first."
        )
    if not known:
        raise BooruError(f"nothing is known of {printable(keys[0])!r}. `booru status` shows releases and trials.")
    refuse_promoted(settings.lake, keys)


def _show(lake: "Lake", key: str, traces: "Sequence[Trace]", pasts: "Mapping[str, Past]") -> None:
    from booru_pipeline.release.key import parse_key, release_order

    for trace in traces:
        where = trace.path.relative_to(lake.home)
        say(f"{trace.what}  {escape(printable(str(where)))}  [dim]{filesize.decimal(trace.bytes)}[/]")
    for name, past in pasts.items():
        if past:
            known = f"{len(past.runs)} runs, {past.events} events of assets"
            of = f"{escape(printable(name))}: " if len(pasts) > 1 else ""
            say(f"in the UI  {of}{f'the partition, {known}' if past.partition else known}")
    if traces and parse_key(key) == key:
        later = [other for other in lake.releases_with(lake.vocabulary) if release_order(other) > release_order(key)]
        if later:
            say(f"[dim]made with it, and left as they are[/]  {', '.join(later)}")
