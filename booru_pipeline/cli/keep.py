"""Commands about what was made: releases, status, promote, clean, store."""

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich import filesize
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, out, read_settings, say, store_app
from booru_pipeline.errors import BooruError

if TYPE_CHECKING:
    from booru_pipeline.defs.status import ReleaseStatus
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.lake.store import Store


@app.command()
def releases(raw: Raw = None, home: Home = None, relations: RelationsFolder = None) -> None:
    """Show which releases are found, and what is made of each. `booru status` adds runs, failures and what is next."""
    settings = read_settings(raw=raw, home=home, relations=relations)
    from booru_pipeline.defs.status import pipeline_status  # imports Dagster

    statuses = pipeline_status(settings, None)
    _show_releases(statuses, with_runs=False)
    if not statuses:
        raise BooruError(f"there is no release in {settings.raw_folder}. Make a sample with `booru sample`.")
    if not any(item.stages for item in statuses):
        raise typer.Exit(1)  # why none is whole stands below the table


@app.command()
def promote(
    release: Annotated[str | None, typer.Argument(help="The release whose checkpoint is to be asked.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Promote none: the newest is asked.")] = False,
    home: Home = None,
) -> None:
    """Choose the checkpoint that `booru suggest` asks, against what the evaluation says if need be.

    An evaluation promotes a checkpoint by itself if it loses neither to a baseline nor to its parent or the
    promoted one. Examples: `booru promote 2021a`, `booru promote --none`
    """
    from booru_pipeline.pipeline.checkpoints import clear
    from booru_pipeline.pipeline.checkpoints import promote as set_pointer

    if (release is None) is not none:
        raise BooruError("name a release, or give --none. `booru status` shows the releases.")
    lake = read_settings(home=home).lake
    if release is None:
        clear(lake)
        out.print("no checkpoint is promoted")
        return
    pointer = set_pointer(lake, release, "by hand")
    say(f"promoted: {pointer.release}, {pointer.date} ({escape(pointer.reason)})")


@app.command()
def status(
    check: Annotated[
        bool, typer.Option("--check", help="Exit with status 1 if something is stale, failed, missing or not whole.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Show what of each release is fresh, stale, failed or missing, and why, with its newest run and what is next.

    Examples: `booru status`, `booru status --check || booru run`
    """
    settings = read_settings(raw=raw, home=home, relations=relations)
    from booru_pipeline.defs.automation.agree import taken_away  # imports Dagster
    from booru_pipeline.defs.runs.instance import existing_instance
    from booru_pipeline.defs.status import pipeline_status, what_is_next
    from booru_pipeline.pipeline.checkpoints import read_promoted
    from booru_pipeline.release.find import find_releases

    with existing_instance(settings.lake) as instance:
        statuses = pipeline_status(settings, instance)
        gone = taken_away(settings.lake, instance, find_releases(settings.raw_folder))
        following = what_is_next(settings, instance)
    promoted = read_promoted(settings.lake)
    if as_json:
        pointer = vars(promoted) if promoted else None
        releases = [item.as_dict() for item in statuses]
        content = {"releases": releases, "next": following, "taken_away": gone, "promoted": pointer}
        print(json.dumps({**content, "store": settings.store.url or None}, indent=2))
    else:
        _show_releases(statuses, with_runs=True)
        for key in gone:
            gone_for = f"its raw files are gone; what was made of it stays until `booru forget {key}`"
            say(f"[dim]taken away[/]  {key}: {gone_for}")
        for line in following:
            say(f"[dim]next[/]  {escape(line)}")
        said = f"{promoted.release}, since {promoted.date}: {promoted.reason}" if promoted else "none"
        say(f"promoted  {escape(said)}")
        if settings.store.url:
            say(f"store  {escape(settings.store.url)}")
    if check and not all(item.is_fresh for item in statuses):
        raise typer.Exit(1)


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this, only show it.")] = False,
    keep: Annotated[int | None, typer.Option(min=1, help="Newest checkpoints that are kept. [3]")] = None,
    home: Home = None,
) -> None:
    """Show which old checkpoints, reports, states and leftovers can go, and remove them with `--yes`.

    Kept are the newest checkpoints, the one in use, and those that these went on from. What is removed is not made
    again unless you name its release: `booru run --release 2021a`.
    """
    from booru_pipeline.pipeline.retention import find_removable, promoted_release, remove

    settings = read_settings(home=home, retention=None if keep is None else {"checkpoints": keep})
    lake = settings.lake
    items = find_removable(lake, settings.retention, promoted_release(lake))
    if not items:
        say(f"nothing to remove in {lake.home}")
        return
    table = Table("what", "where", "why", "size")
    table.columns[3].justify = "right"
    for item in items:
        table.add_row(item.what, escape(str(item.path.relative_to(lake.home))), item.why, filesize.decimal(item.bytes))
    out.print(table)
    if yes:
        out.print(f"removed; {filesize.decimal(remove(lake, items))} gained")
    else:
        out.print(
            f"{filesize.decimal(sum(item.bytes for item in items))} would be gained: `booru clean --yes` removes it"
        )


@store_app.command("list")
def store_list(home: Home = None) -> None:
    """Show what the store has, with URLs that other tools read."""
    lake = read_settings(home=home).lake
    store = _store(lake)
    listing = store.listing()
    width = max(map(len, listing), default=0)
    for name, item in sorted(listing.items()):
        # No table, which would fold what is to be pasted.
        uploaded, size = f"{item.uploaded:%Y-%m-%d %H:%M} UTC", filesize.decimal(item.bytes)
        out.print(f"{name:{width}}  {uploaded}  {size:>8}  {store.url_of(name)}", soft_wrap=True, markup=False)
    if not listing:
        say(f"nothing yet in {store.url}")


@store_app.command("push")
def store_push(home: Home = None) -> None:
    """Publish what the home has and the store has not, or has older: once, for a home from before there was a store.

    What is made from then on is published as it is made.
    """
    from booru_pipeline.lake.publish import snapshot
    from booru_pipeline.pipeline.stages import Stage

    lake = read_settings(home=home).lake
    store = _store(lake)
    paths = [stage.path(lake, key) for stage in Stage for key in lake.releases_with(partial(stage.path, lake))]
    due = [path for path in [*paths, lake.promoted] if path.exists() and not lake.is_stored(path)]
    for path in due:
        with snapshot(path, lake.staging) as copy:
            store.publish(copy, lake.name_of(path))
        say(f"{lake.name_of(path)}  published")
    if not due:
        out.print("the store has everything that the home has")


@store_app.command("remove")
def store_remove(
    name: Annotated[str, typer.Argument(help="As `booru store list` names it, such as checkpoints/2021a.")],
    home: Home = None,
) -> None:
    """Take one artifact out of the store; what the home has stays. For old ones there is `booru clean`."""
    store = _store(read_settings(home=home).lake)
    if name not in store.listing():
        raise BooruError(f"{name} is not in {store.url}. `booru store list` shows what is.")
    store.remove(name)
    say(f"{name} removed from {store.url}")


def _store(lake: "Lake") -> "Store":
    if lake.store is None:
        raise BooruError("no store is configured. Set url under [store] in booru.toml, or BOORU_STORE__URL.")
    return lake.store


def _show_releases(statuses: "Sequence[ReleaseStatus]", *, with_runs: bool) -> None:
    """Print a table with a line a release, and below it what is to be said of each."""
    from booru_pipeline.pipeline.stages import Stage

    colours = {"fresh": "green", "stale": "yellow", "failed": "red"}
    table = Table("release", *[stage.value.replace("_", "\n") for stage in Stage])
    if with_runs:
        table.add_column("newest run")
    for column in table.columns:
        column.overflow = "fold"  # a terminal is narrow, and a run's id of no use without its end
    for item in statuses:
        run = f"{item.last_run.outcome}\n{item.last_run.job}\n{item.last_run.id[:8]}" if item.last_run else "none"
        cells = [f"[{colours.get(stage.state, 'dim')}]{stage.state}[/]" for stage in item.stages]
        table.add_row(item.release, *(cells or [""] * len(Stage)), *([run] if with_runs else []))
    out.print(table)
    for item in statuses:
        if item.problem:
            say(f"[yellow]not whole[/]  {escape(item.problem)}")
        for stage in item.stages:
            if stage.why:
                mark = f"[{colours.get(stage.state, 'dim')}]{stage.state}[/]"
                say(f"{mark}  {item.release} {stage.stage.value}: {escape(stage.why)}")
