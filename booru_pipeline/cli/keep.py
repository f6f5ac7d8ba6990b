"""Commands about what was made: releases, status, clean, store."""

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich import filesize
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Overrides, Raw, RelationsFolder, app, out, read_settings, say, store_app
from booru_pipeline.cli.tables import show
from booru_pipeline.errors import BooruError

if TYPE_CHECKING:
    from booru_pipeline.defs.status import ReleaseStatus, TrialStatus
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.lake.store import Store
    from booru_pipeline.pipeline.settings import Settings


@app.command()
def releases(raw: Raw = None, home: Home = None, relations: RelationsFolder = None) -> None:
    """Show which releases are found, and what is made of each. `booru status` adds runs, failures and what is next."""
    settings = read_settings(raw=raw, home=home, relations=relations)
    from booru_pipeline.defs.status import pipeline_status  # imports Dagster
    from booru_pipeline.sample.place import sample_remedy

    statuses = pipeline_status(settings, None)
    _show_releases(statuses, with_runs=False)
    _say_what_is_missing(settings)
    if not statuses:
        raise BooruError(f"there is no release in {settings.raw_folder}. {sample_remedy()}")
    if not any(item.stages for item in statuses):
        raise typer.Exit(1)  # why none is whole stands below the table


@app.command()
def status(
    check: Annotated[
        bool, typer.Option("--check", help="Exit with status 1 if something is stale, failed, missing or not whole.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    overrides: Overrides = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Show what of each release is fresh, stale, failed or missing, and why, with its newest run and what is next.

    Examples: `booru status`, `booru status --check || booru run`
    """
    settings = read_settings(overrides, raw=raw, home=home, relations=relations)
    from booru_pipeline.defs.automation.agree import taken_away  # imports Dagster
    from booru_pipeline.defs.runs.instance import existing_instance
    from booru_pipeline.defs.status import pipeline_status, trial_status, what_is_next, why_none_is_promoted
    from booru_pipeline.pipeline.promoted import read_promoted
    from booru_pipeline.release.find import find_releases

    with existing_instance(settings.lake) as instance:
        statuses = pipeline_status(settings, instance)
        gone = taken_away(settings.lake, instance, find_releases(settings.raw_folder))
        following = what_is_next(settings, instance)
        trials = trial_status(settings, instance)
    promoted = read_promoted(settings.lake)
    if as_json:
        pointer = promoted.model_dump(mode="json") if promoted else None
        releases = [item.as_dict() for item in statuses]
        content = {"releases": releases, "next": following, "taken_away": gone, "promoted": pointer}
        content["trials"] = [item.as_dict() for item in trials]
        content["relations_missing"] = settings.tag_relations.missing() or None
        print(json.dumps({**content, "store": settings.store.url or None}, indent=2))
    else:
        _show_releases(statuses, with_runs=True)
        _show_trials(trials)
        for key in gone:
            gone_for = f"its raw files are gone; what was made of it stays until `booru forget {key}`"
            say(f"[dim]taken away[/]  {key}: {gone_for}")
        for line in following:
            say(f"[dim]next[/]  {escape(line)}")
        _say_what_is_missing(settings)
        none = "" if promoted else f"none: {why_none_is_promoted(settings.lake)}"
        said = f"{promoted.release}, since {promoted.date}: {promoted.reason}" if promoted else none
        say(f"promoted  {escape(said)}")
        if settings.store.url:
            say(f"store  {escape(settings.store.url)}")
    if check and not all(item.is_fresh for item in statuses):
        raise typer.Exit(1)


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this, only show it.")] = False,
    keep: Annotated[str | None, typer.Option(metavar="NUMBER", help="Newest checkpoints that are kept. [3]")] = None,
    home: Home = None,
) -> None:
    """Show which old checkpoints, reports, states, leftovers and runs can go, and remove them with `--yes`.

    Kept are the newest checkpoints, the one in use, and those that these went on from. What is removed is not made
    again unless you name its release: `booru run --release 2021a`. Of Dagster's history the runs of the last
    `history_days` are kept, and those that made what is there.
    """
    from booru_pipeline.defs.runs.instance import existing_instance  # imports Dagster
    from booru_pipeline.defs.runs.old_runs import find_old_runs, remove_runs
    from booru_pipeline.pipeline.retention import find_removable, promoted_release, remove

    settings = read_settings(home=home, retention=None if keep is None else {"checkpoints": keep})
    lake = settings.lake
    items = find_removable(lake, settings.retention, promoted_release(lake))
    with existing_instance(lake) as instance:
        runs = find_old_runs(instance, lake, settings.retention.history_days) if instance is not None else None
        rows = [(item.what, escape(str(item.path.relative_to(lake.home))), item.why, item.bytes) for item in items]
        if runs and runs.ids:
            why = f"ended more than {settings.retention.history_days:g} days ago"
            rows.append((f"{len(runs.ids):,} runs", "dagster", why, runs.bytes))
        if not rows:
            say(f"nothing to remove in {lake.home}")
            return
        _show_removable(rows)
        if not yes:
            total = filesize.decimal(sum(size for *_, size in rows))
            out.print(f"{total} would be gained: `booru clean --yes` removes it")
            return
        gained = remove(lake, items)
        if instance is not None and runs and runs.ids:
            gained += remove_runs(instance, lake, runs)
        out.print(f"removed; {filesize.decimal(gained)} gained")


def _show_removable(rows: "Sequence[tuple[str, str, str, int]]") -> None:
    """Print what can go, where, why, and its bytes."""
    full, narrow = Table("what", "where", "why", "size"), Table("where", "size")
    for what, where, why, size in rows:
        full.add_row(what, where, why, filesize.decimal(size))
        narrow.add_row(f"{where}\n[dim]{what}: {why}[/]", filesize.decimal(size))
    for table in (full, narrow):
        table.columns[-1].justify = "right"
        table.columns[-1].no_wrap = True
    show(full, narrow)


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


_COLOURS: Final = {"fresh": "green", "stale": "yellow", "failed": "red"}


def _say_what_is_missing(settings: "Settings") -> None:
    if missing := settings.tag_relations.missing():
        say(f"[yellow]relations[/]  {escape(missing)}")


def _show_releases(statuses: "Sequence[ReleaseStatus]", *, with_runs: bool) -> None:
    """Print a table with a line a release, and below it what is to be said of each."""
    show(
        _stage_by_stage(statuses, with_runs=with_runs, spread=True),
        _stage_by_stage(statuses, with_runs=with_runs, spread=False),
        _state_by_state(statuses, with_runs=with_runs),
    )
    for item in statuses:
        if item.problem:
            say(f"[yellow]not whole[/]  {escape(item.problem)}")
        for stage in item.stages:
            if stage.why:
                say(f"[{_COLOURS.get(stage.state, 'dim')}]{item.release}[/]  {escape(str(stage))}")
            if stage.note:
                say(f"[dim]{item.release}  {stage.stage.value}: {escape(stage.note)}[/]")


def _show_trials(trials: "Sequence[TrialStatus]") -> None:
    """Print a table with a line a trial, if there are any; without their options where these do not fit."""
    if trials:
        say("trials, with recall@10 by hidden share")
        show(_trials(trials, with_options=True), _trials(trials, with_options=False))
        for item in trials:
            if item.problem:
                say(f"[red]{escape(item.trial)}[/]  {escape(item.problem)}")


def _trials(trials: "Sequence[TrialStatus]", *, with_options: bool) -> Table:
    shares = sorted({share for item in trials for share in item.recall})
    headings = [f"{100 * share:.3g} %" for share in shares]
    table = Table("trial", "state", *headings, *(["options"] if with_options else []))
    for item in trials:
        state = f"{item.state}, promoted" if item.promoted else item.state
        figures = [f"{item.recall[share]:.3f}" if share in item.recall else "" for share in shares]
        options = [escape(", ".join(item.options))] if with_options else []
        table.add_row(escape(item.trial), state, *figures, *options)
    return table


def _stage_by_stage(statuses: "Sequence[ReleaseStatus]", *, with_runs: bool, spread: bool) -> Table:
    """A column a stage; with names and runs on lines of their own words unless they are to be spread out."""
    from booru_pipeline.pipeline.stages import Stage

    names = [stage.value if spread else stage.value.replace("_", "\n") for stage in Stage]
    table = Table("release", *names, *(["newest run"] if with_runs else []))
    for item in statuses:
        states = [_coloured(stage.state) for stage in item.stages] or [""] * len(Stage)
        table.add_row(item.release, *states, *([_run(item, " " if spread else "\n")] if with_runs else []))
    return table


def _state_by_state(statuses: "Sequence[ReleaseStatus]", *, with_runs: bool) -> Table:
    """One column for all stages, by what state they are in: for a narrow terminal."""
    table = Table("release", "stages", *(["newest run"] if with_runs else []))
    for item in statuses:
        by_state: dict[str, list[str]] = {}
        for stage in item.stages:
            by_state.setdefault(stage.state, []).append(stage.stage.value)
        lines = [
            f"{_coloured(state)}: {'all' if len(names) == len(item.stages) else ', '.join(names)}"
            for state, names in by_state.items()
        ]
        table.add_row(item.release, "\n".join(lines), *([_run(item, "\n")] if with_runs else []))
    for column in table.columns:
        column.no_wrap = column.header != "stages"
    return table


def _coloured(state: str) -> str:
    return f"[{_COLOURS.get(state, 'dim')}]{state}[/]"


def _run(item: "ReleaseStatus", between: str) -> str:
    run = item.last_run
    return between.join((str(run.outcome), run.job, run.id[:8])) if run else "none"
