"""The command `booru`. Heavy imports wait until a command needs them."""

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import filesize
from rich.console import Console
from rich.table import Table

from booru_pipeline.errors import BooruError
from booru_pipeline.parent import PARENT_VARIABLE, end_with_parent
from booru_pipeline.release.key import release_order

if TYPE_CHECKING:
    import duckdb

    from booru_pipeline.lake import Lake
    from booru_pipeline.run import Progress
    from booru_pipeline.settings import Settings
    from booru_pipeline.stages import Stage
    from booru_pipeline.status import ReleaseStatus
    from booru_pipeline.store import Store

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


def main() -> None:
    """Run the command; a `BooruError` becomes a message and exit status 1."""
    try:
        app()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BooruError as error:
        err.print(f"[bold red]booru:[/] {_escape(str(error))}", soft_wrap=True)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: where other libraries keep DuckDB 2.0's module alive, its binding prints pages about leaked types
    # when the interpreter shuts down. Everything of ours is closed by now.
    os._exit(status)


@app.command()
def sample(
    raw: Raw = None,
    release: Annotated[
        list[str] | None, typer.Option("--release", help="Release to make; may be repeated. [2021a and 2021b]")
    ] = None,
    posts: Annotated[int, typer.Option(help="Posts a release.")] = 1500,
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 0,
    gzip: Annotated[bool, typer.Option("--gzip", help="Write .tsv.gz.")] = False,
) -> None:
    """Write small releases in the exact raw format, so that everything can be tried offline.

    Example: `booru sample --posts 300 --release 2021a`
    """
    from booru_pipeline.sample import generate

    folder = _settings(raw=raw).raw_folder
    for truth in generate(folder, releases=release or ["2021a", "2021b"], posts=posts, seed=seed, compress=gzip):
        out.print(f"{truth.release}: {truth.files_good:,} posts, {truth.tags_good:,} tag rows")
    out.print(f"in {folder}", soft_wrap=True)


@app.command()
def releases(raw: Raw = None, home: Home = None, relations: RelationsFolder = None) -> None:
    """Show which releases are found, and what is made of each."""
    from booru_pipeline.release.find import find_releases
    from booru_pipeline.release.fingerprint import release_fingerprint
    from booru_pipeline.stages import Stage, release_status

    settings = _settings(raw=raw, home=home, relations=relations)
    found = find_releases(settings.raw_folder)
    fingerprints = settings.tag_relations.fingerprints
    marks = {
        "fresh": "[green]fresh[/]",
        "stale": "[yellow]stale[/]",
        "missing": "[dim]-[/]",
        "retired": "[dim]retired[/]",
    }
    table = Table("release", *[stage.value.replace("_", "\n") for stage in Stage])
    notes = []
    for release in found.releases:
        fingerprint = release_fingerprint(release, settings.lake.raw_fingerprints)
        statuses = release_status(settings.lake, release.key, fingerprint, settings, *fingerprints)
        table.add_row(release.key, *[marks[status.state] for status in statuses])
        notes += [
            f"[yellow]{status.state}[/] {release.key} {status.stage.value}: {_escape(status.why)}"
            for status in statuses
            if status.why
        ]
    out.print(table)
    for note in notes:
        out.print(note, soft_wrap=True)
    for item in found.incomplete:
        err.print(f"[yellow]{_escape(item.problem)}[/]", soft_wrap=True)
    if not found.releases:
        raise BooruError(f"there is no whole release in {settings.raw_folder}. Make a sample with `booru sample`.")


@app.command()
def run(
    release: Annotated[
        list[str] | None, typer.Option("--release", help="Release to make; may be repeated. All by default.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Last stage: tag_table, training_shards, vocabulary, tokenized_dataset, checkpoint, "
            "or evaluation_report, the default.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Base model: tiny, t5-small, t5-v1_1-small, t5-v1_1-base, flan-t5-base, a local folder or a hub name."
        ),
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of training a release.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and why, and make nothing.")
    ] = False,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Make what is missing or out of date, release after release.

    Examples: `booru run`, `booru run --release 2021a --to tag_table`, `booru run --preset t5-small`
    """
    from booru_pipeline.stages import Stage

    last = _stage(to) if to else list(Stage)[-1]
    training = {} if time_limit is None else {"time_limit_s": time_limit}
    settings = _settings(raw=raw, home=home, relations=relations, preset=preset, checkpoint=training or None)
    from booru_pipeline.run import make_plan, run_plan  # imports Dagster

    plan = make_plan(settings, release or [], last)
    for item in plan.releases:
        if not item.due:
            out.print(f"{item.release.key}  nothing to do: {item.statuses[-1].stage.value} and all before it are fresh")
        elif dry_run:
            for status in item.statuses:
                if status.stage in item.due:
                    out.print(
                        f"{item.release.key}  {status.stage.value}: {status.state} {_escape(status.why)}",
                        soft_wrap=True,
                    )
    run_plan(settings, plan if not dry_run else type(plan)([], plan.problems), _console_progress())
    made = [item for item in plan.releases if item.due]
    if made and not dry_run and last == list(Stage)[-1]:
        _show_report(settings, plan.releases[-1].release.key)


@app.command()
def suggest(
    tags: Annotated[list[str], typer.Argument(help="Tags that a picture has; aliases are understood.")],
    top: Annotated[int, typer.Option(help="How many suggestions.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    release: Annotated[
        str | None,
        typer.Option("--release", help="Ask this release's checkpoint; the promoted one by default, or the newest."),
    ] = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Say what these tags imply, with probability and how often they stand together.

    Examples: `booru suggest usada_pekora`, `booru suggest hatsune_miku outdoors --top 20 --json`
    """
    settings = _settings(raw=raw, home=home, relations=relations)
    lake = settings.lake
    if release is not None:
        key = lake.newest(lake.checkpoint, release)
    else:
        from booru_pipeline.promoted import checkpoint_in_use

        in_use = checkpoint_in_use(lake)
        key = in_use.release
        if in_use.note:
            err.print(_escape(in_use.note), soft_wrap=True)
    known = settings.tag_relations
    from booru_pipeline.suggest.suggest import suggest as ask  # imports transformers
    from booru_pipeline.suggest.suggest import typed_tags

    for tag in typed_tags(tags):
        if known.canonical(tag) != tag:
            err.print(f"{_escape(tag)} is an alias: asking for {_escape(known.canonical(tag))}", soft_wrap=True)
    with_shards = lake.releases_with(lake.training_shards)

    suggestions = ask(
        tags,
        checkpoint=lake.bring(lake.checkpoint(key)),
        shards=[
            lake.bring(lake.training_shards(shard))
            for shard in with_shards
            if release_order(shard) <= release_order(key)
        ],
        relations=known,
        top=top,
    )
    if as_json:
        print(json.dumps([vars(item) for item in suggestions], indent=2, ensure_ascii=False))
        return
    table = Table("tag", "probability", "category", "seen together", title=f"{_escape(' '.join(tags))} ({key})")
    for column in (1, 3):
        table.columns[column].justify = "right"
    show_implied = any(item.implied for item in suggestions)
    if show_implied:
        table.add_column("implied")
        table.caption = "implied: Danbooru adds these by itself"
    for item in suggestions:
        cells = [_escape(item.tag), f"{item.probability:.1%}", item.category, f"{item.together:,} of {item.given:,}"]
        if show_implied:
            cells.append("yes" if item.implied else "")
        table.add_row(*cells)
    out.print(table)


@app.command()
def promote(
    release: Annotated[str | None, typer.Argument(help="The release whose checkpoint is to be asked.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Promote none: the newest is asked.")] = False,
    home: Home = None,
) -> None:
    """Choose the checkpoint that `booru suggest` asks, against what the evaluation says if need be.

    An evaluation promotes a checkpoint by itself if it loses neither to the best baseline nor to its parent or the
    promoted one. Examples: `booru promote 2021a`, `booru promote --none`
    """
    from booru_pipeline.promoted import clear
    from booru_pipeline.promoted import promote as set_pointer

    if (release is None) is not none:
        raise BooruError("name a release, or give --none. `booru status` shows the releases.")
    lake = _settings(home=home).lake
    if release is None:
        clear(lake)
        out.print("no checkpoint is promoted")
        return
    pointer = set_pointer(lake, release, "by hand")
    out.print(f"promoted: {pointer.release}, {pointer.date} ({_escape(pointer.reason)})", soft_wrap=True)


@app.command()
def inspect(
    post: Annotated[
        list[str] | None,
        typer.Argument(help="Id of the post, with its booru before it if several boorus have that id. [at random]"),
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", help="Look in this release's dataset; the newest by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is hidden, and of the post that is taken if none is named.")] = 0,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Show what became of a post: its tags, the caption, what was dropped and why, and how the model sees it.

    Examples: `booru inspect`, `booru inspect 4263151`, `booru inspect danbooru.donmai.us 4263151 --seed 7`
    """
    settings = _settings(raw=raw, home=home, relations=relations)
    lake = settings.lake
    key = lake.newest(lake.tokenized_dataset, release)
    from booru_pipeline.labels.inspection import KEPT, Inspector
    from booru_pipeline.labels.options import MaskingOptions
    from booru_pipeline.labels.sides import Sides
    from booru_pipeline.labels.vocabulary import Vocabulary

    dataset = lake.bring(lake.tokenized_dataset(key))
    keys = list(Sides.read(dataset).shards)
    inspector = Inspector(
        dataset=dataset,
        vocabulary=Vocabulary.load(lake.bring(lake.vocabulary(key))),
        shards={name: lake.bring(lake.training_shards(name)) for name in keys},
        tag_tables={name: lake.bring(lake.tag_table(name)) for name in keys},
        relations=settings.tag_relations,
        thresholds=settings.vocabulary,
        masking=MaskingOptions(**{name: getattr(settings.checkpoint, name) for name in MaskingOptions.model_fields}),
    )
    found = inspector.inspect(*(inspector.find(post) if post else inspector.sample(1, seed)[0]), seed)
    side = f"left out: {found.left_out}" if found.left_out else f"in the {found.split} split"
    table = Table("tag", "category", "", title=f"{_escape(found.booru)} {found.fid} ({found.release}), {_escape(side)}")
    for item in found.tags:
        table.add_row(_escape(item.tag), item.category, "" if item.fate == KEPT else f"[dim]{_escape(item.fate)}[/]")
    out.print(table)
    if found.implied:
        out.print(f"Implied by its tags, and missing: {_escape(', '.join(found.implied))}", soft_wrap=True)
    for example in found.examples:
        out.print(
            f"[bold]{example.kind}[/]\n  input   {_escape(example.source)}\n  target  {_escape(example.target)}",
            soft_wrap=True,
        )


@app.command()
def report(
    release: Annotated[
        str | None, typer.Option("--release", help="This release's report; the newest by default.")
    ] = None,
    home: Home = None,
) -> None:
    """Print where the evaluation report is, for a browser to open: `open $(booru report)`."""
    lake = _settings(home=home).lake
    print(lake.bring(lake.evaluation_report(lake.newest(lake.evaluation_report, release))) / "report.html")


@app.command("sql")
def sql_command(
    query: Annotated[
        str | None, typer.Argument(help="A DuckDB query; read from the terminal if none is given.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", help="Run the query in this file, or the one of this name in the library.")
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--set", help="A variable of the query as name=value; may be repeated.")
    ] = None,
    show_library: Annotated[bool, typer.Option("--list", help="Show the library of queries.")] = False,
    raw: Raw = None,
    home: Home = None,
) -> None:
    """Query the tag tables of all releases, attached read-only.

    `files` and `tags` have a row a listing and say in `release` which release it is of; `files_latest` and
    `tags_latest` have each post as it was listed last. `rejects` and `accounting` are there too, and each release by
    itself, as `"2021a".files`. Examples:

    `booru sql "select tag, count(*) from tags_latest group by tag order by 2 desc limit 10"`

    `booru sql --file general_labels --set min_posts=100`
    """
    import duckdb as engine

    from booru_pipeline.tag_table.analysis import (
        Query,
        check_variables,
        find_query,
        library,
        parse_variables,
        set_variables,
    )
    from booru_pipeline.tag_table.attach import attach_all

    if show_library:
        table = Table("query", "what it shows", "variables")
        for item in library():
            table.add_row(item.name, _escape(item.summary), ", ".join(item.variables))
        out.print(table)
        return
    if query is not None and file is not None:
        raise BooruError("there is a query and a --file. Give one of the two.")
    values = parse_variables(variables or [])
    asked = find_query(file) if file is not None else None
    if asked is None and (query is not None or not sys.stdin.isatty()):
        asked = Query("the query", query if query is not None else sys.stdin.read())
    if asked is not None:
        check_variables(asked, values)
    lake = _settings(raw=raw, home=home).lake
    with engine.connect() as connection:
        keys = attach_all(connection, lake)
        set_variables(connection, values)
        if asked is not None:
            _execute(connection, asked.text)
            return
        out.print(f"files and tags of {', '.join(keys)}. End a query with ; and leave with Ctrl-D.")
        _prompt(lambda text: _execute(connection, text))


@export_app.command("sqlite")
def export_sqlite_command(
    path: Annotated[Path, typer.Argument(help="The file to write, such as booru-chars.db.")],
    release: Annotated[
        list[str] | None, typer.Option("--release", help="Release to export; may be repeated. All by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    home: Home = None,
) -> None:
    """Write the tag tables as one SQLite file, with the tables, keys and indexes of the origin's booru-chars.db.

    A post that is listed in several of the releases is there as the latest has it.

    Example: `booru export sqlite booru-chars.db --release 2021a --release 2021b`
    """
    from booru_pipeline.tag_table.export import export_sqlite

    rows = export_sqlite(_settings(home=home).lake, path, release or [], force=force)
    out.print(f"{path}: {rows['files']:,} posts, {rows['tags']:,} tag rows", soft_wrap=True)


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
    settings = _settings(raw=raw, home=home, relations=relations)
    from booru_pipeline.instance import existing_instance  # imports Dagster
    from booru_pipeline.promoted import read_promoted
    from booru_pipeline.release.find import find_releases
    from booru_pipeline.status import pipeline_status, taken_away, what_is_next

    with existing_instance(settings.lake) as instance:
        statuses = pipeline_status(settings, instance)
        gone = taken_away(find_releases(settings.raw_folder), instance)
        following = what_is_next(settings, instance)
    promoted = read_promoted(settings.lake)
    if as_json:
        pointer = vars(promoted) if promoted else None
        releases = [item.as_dict() for item in statuses]
        content = {"releases": releases, "next": following, "taken_away": gone, "promoted": pointer}
        print(json.dumps({**content, "store": settings.store.url or None}, indent=2))
    else:
        _show_status(statuses, gone)
        for line in following:
            out.print(f"[dim]next[/]  {_escape(line)}", soft_wrap=True)
        said = f"{promoted.release}, since {promoted.date}: {promoted.reason}" if promoted else "none"
        out.print(f"promoted  {_escape(said)}", soft_wrap=True)
        if settings.store.url:
            out.print(f"store  {_escape(settings.store.url)}", soft_wrap=True)
    if check and not all(item.is_fresh for item in statuses):
        raise typer.Exit(1)


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this, only show it.")] = False,
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="Newest checkpoints that are kept. [3]")] = None,
    home: Home = None,
) -> None:
    """Show which old checkpoints, reports, states and leftovers can go, and remove them with `--yes`.

    Kept are the newest checkpoints, the one in use, and those that these went on from. What is removed is not made
    again unless you name its release: `booru run --release 2021a`.
    """
    from booru_pipeline.retention import find_removable, promoted_release, remove

    settings = _settings(home=home, retention=None if keep is None else {"checkpoints": keep})
    lake = settings.lake
    items = find_removable(lake, settings.retention, promoted_release(lake))
    if not items:
        out.print(f"nothing to remove in {lake.home}", soft_wrap=True)
        return
    table = Table("what", "where", "why", "size")
    table.columns[3].justify = "right"
    for item in items:
        table.add_row(item.what, _escape(str(item.path.relative_to(lake.home))), item.why, filesize.decimal(item.bytes))
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
    lake = _settings(home=home).lake
    store = _store(lake)
    listing = store.listing()
    width = max(map(len, listing), default=0)
    for name, item in sorted(listing.items()):
        # No table, which would fold what is to be pasted.
        uploaded, size = f"{item.uploaded:%Y-%m-%d %H:%M} UTC", filesize.decimal(item.bytes)
        out.print(f"{name:{width}}  {uploaded}  {size:>8}  {store.url_of(name)}", soft_wrap=True, markup=False)
    if not listing:
        out.print(f"nothing yet in {store.url}", soft_wrap=True)


@store_app.command("push")
def store_push(home: Home = None) -> None:
    """Publish what the home has and the store has not, or has older: once, for a home from before there was a store.

    What is made from then on is published as it is made.
    """
    from booru_pipeline.artifact import snapshot
    from booru_pipeline.stages import PATHS

    lake = _settings(home=home).lake
    store = _store(lake)
    artifacts = [partial(path_of, lake) for path_of in PATHS.values()]
    paths = [artifact(key) for artifact in artifacts for key in lake.releases_with(artifact)]
    due = [path for path in [*paths, lake.promoted] if path.exists() and not lake.is_stored(path)]
    for path in due:
        with snapshot(path, lake.staging) as copy:
            store.publish(copy, lake.name_of(path))
        out.print(f"{lake.name_of(path)}  published", soft_wrap=True)
    if not due:
        out.print("the store has everything that the home has")


@store_app.command("remove")
def store_remove(
    name: Annotated[str, typer.Argument(help="As `booru store list` names it, such as checkpoints/2021a.")],
    home: Home = None,
) -> None:
    """Take one artifact out of the store; what the home has stays. For old ones there is `booru clean`."""
    store = _store(_settings(home=home).lake)
    if name not in store.listing():
        raise BooruError(f"{name} is not in {store.url}. `booru store list` shows what is.")
    store.remove(name)
    out.print(f"{name} removed from {store.url}", soft_wrap=True)


@experiment_app.callback()
def experiment() -> None:
    """Keep the experiment's name a word of its own, though there is but one."""


@experiment_app.command("hydration")
def experiment_hydration(
    base_model: Annotated[
        str | None,
        typer.Option(
            help="Pre-trained T5: t5-small, t5-v1_1-small, t5-v1_1-base, flan-t5-base, a local folder or a hub name. "
            "[the preset]"
        ),
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", help="Release whose dataset is taken; the newest by default.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Where the text enters: labels or pieces. [labels]")] = None,
    share: Annotated[
        list[float] | None,
        typer.Option("--share", help="Share of the train posts; may be repeated. [0.01, 0.1 and 1]"),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps of an arm at most. [1000]")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of training of an arm at most. [none]")] = None,
    seeds: Annotated[int | None, typer.Option(help="Trainings of each arm with each share. [1]")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other option of the job, as name=value; may be repeated."),
    ] = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Ask whether what T5 learned from C4 helps with tags, by four arms that are trained alike.

    Finished arms are kept: run it again and it goes on with the others.

    Examples: `booru experiment hydration --base-model t5-small`, `booru experiment hydration --seeds 3 --set threads=4`
    """
    from booru_pipeline.hydration.options import parse_settings

    settings = _settings(raw=raw, home=home, relations=relations)
    given = {
        "base_model": base_model or settings.preset,
        "release": release,
        "encoding": encoding,
        "shares": share,
        "steps": steps,
        "time_limit_s": time_limit,
        "seeds": seeds,
    }
    config = parse_settings({name: value for name, value in given.items() if value is not None}, setting or [])
    from booru_pipeline.run_experiment import run_hydration  # imports Dagster

    report = run_hydration(settings, config, _say)
    found = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    out.print(f"[bold]{found['verdict']['outcome']}[/]: {_escape(found['verdict']['text'])}", soft_wrap=True)
    out.print(f"report: {report}", soft_wrap=True)


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
    from booru_pipeline.instance import prepare_dagster_home
    from booru_pipeline.report_server import local_address

    settings = _settings(raw=raw, home=home, relations=relations)
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
    from booru_pipeline.report_server import LISTENS_ON, local_address, serve_reports

    settings = _settings(home=home)
    if PARENT_VARIABLE in os.environ:
        end_with_parent()
    own_host, own_port = local_address(settings.reports_url) or LISTENS_ON
    with contextlib.suppress(KeyboardInterrupt):
        serve_reports(settings.lake, host or own_host, own_port if port is None else port)


def _settings(**flags: Any) -> "Settings":
    from booru_pipeline.settings import load_settings

    return load_settings(**flags)


def _store(lake: "Lake") -> "Store":
    if lake.store is None:
        raise BooruError("no store is configured. Set url under [store] in booru.toml, or BOORU_STORE__URL.")
    return lake.store


def _stage(name: str) -> "Stage":
    from booru_pipeline.stages import Stage

    try:
        return Stage(name)
    except ValueError:
        raise BooruError(f"there is no stage {name!r}. Choose one of {', '.join(Stage)}.") from None


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _console_progress() -> "Progress":
    from booru_pipeline.run import Progress

    class Shown(Progress):
        def started(self, release: str, stage: "Stage") -> None:
            out.print(f"{release}  {stage.value} …", soft_wrap=True)

        def made(self, release: str, stage: "Stage", seconds: float, metadata: dict[str, Any]) -> None:
            out.print(f"{release}  [green]{stage.value}[/] in {seconds:.1f} s{_figures(metadata)}", soft_wrap=True)

        def said(self, release: str, message: str, level: int) -> None:
            if level >= logging.INFO:
                colour = "red" if level >= logging.ERROR else "yellow" if level >= logging.WARNING else "dim"
                out.print(f"{release}  [{colour}]  {_escape(message)}[/]", soft_wrap=True)

        def checked(self, release: str, check: str, passed: bool) -> None:
            if not passed:
                out.print(f"{release}  [red]  check failed: {check}[/]", soft_wrap=True)

    return Shown()


def _say(message: str, level: int) -> None:
    if level >= logging.INFO:
        colour = "red" if level >= logging.ERROR else "yellow" if level >= logging.WARNING else "dim"
        out.print(f"[{colour}]{_escape(message)}[/]", soft_wrap=True)


def _figures(metadata: dict[str, Any]) -> str:
    numbers = {name: value for name, value in metadata.items() if isinstance(value, int | float)}
    parts = [f"{name.removeprefix('dagster/').replace('_', ' ')} {value:,.6g}" for name, value in numbers.items()]
    return f"  ({', '.join(parts[:4])})" if parts else ""


def _show_status(statuses: "Sequence[ReleaseStatus]", gone: Sequence[str]) -> None:
    from booru_pipeline.stages import Stage

    colours = {"fresh": "green", "stale": "yellow", "failed": "red", "missing": "dim"}
    table = Table("release", *[stage.value.replace("_", "\n") for stage in Stage], "newest run")
    for column in table.columns:
        column.overflow = "fold"  # a terminal is narrow, and a run's id of no use without its end
    for item in statuses:
        run = f"{item.last_run.outcome}\n{item.last_run.job}\n{item.last_run.id[:8]}" if item.last_run else "none"
        cells = [f"[{colours.get(stage.state, 'dim')}]{stage.state}[/]" for stage in item.stages]
        table.add_row(item.release, *(cells or [""] * len(Stage)), run)
    out.print(table)
    for item in statuses:
        if item.problem:
            out.print(f"[yellow]not whole[/]  {_escape(item.problem)}", soft_wrap=True)
        for stage in item.stages:
            if stage.why:
                mark = f"[{colours.get(stage.state, 'dim')}]{stage.state}[/]"
                out.print(f"{mark}  {item.release} {stage.stage.value}: {_escape(stage.why)}", soft_wrap=True)
    for key in gone:
        out.print(f"[dim]taken away[/]  {key}: its raw files are gone; what was made of it stays")


def _show_report(settings: "Settings", key: str) -> None:
    report = settings.lake.evaluation_report(key) / "report.html"
    out.print(f"report of {key}: {report}", soft_wrap=True)


def _execute(connection: "duckdb.DuckDBPyConnection", query: str) -> None:
    import duckdb

    try:
        relation = connection.sql(query)
        if relation is not None:
            relation.show(max_rows=200, max_width=max(out.width, 80))
    except duckdb.Error as error:
        first, *more = [line for line in str(error).splitlines() if line.strip()]
        where = next((line for line in more if line.startswith("LINE ")), *more[:1] or [""])
        raise BooruError(f"the query failed: {first}\n{where}".rstrip()) from error


def _prompt(execute: Callable[[str], None]) -> None:
    import readline  # noqa: F401  (line editing and history for input)

    while True:
        try:
            text = input("booru> ")
            while ";" not in text:
                text += "\n" + input("  ...> ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
        try:
            execute(text)
        except BooruError as error:
            err.print(_escape(str(error)), soft_wrap=True)
