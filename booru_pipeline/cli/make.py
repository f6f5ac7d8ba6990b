"""Commands that make something: sample, run, experiment, and a base model that can be read."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from booru_pipeline.cli.app import (
    Home,
    Overrides,
    Raw,
    RelationsFolder,
    Release,
    app,
    experiment_app,
    kept_terminal,
    out,
    read_settings,
    say,
)
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.trial import release_part

if TYPE_CHECKING:
    from booru_pipeline.pipeline.settings import Settings
    from booru_pipeline.pipeline.stages import Stage


@app.command()
def sample(
    raw: Annotated[Path | None, typer.Option("--raw", help="Folder to write to. [./booru_sample/raw]")] = None,
    release: Annotated[
        list[str] | None, typer.Option(help="Release to make; may be repeated. [2021a and 2021b]")
    ] = None,
    posts: Annotated[int, typer.Option(help="Posts a release.")] = 1500,
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 0,
    gzip: Annotated[bool, typer.Option("--gzip", help="Write .tsv.gz.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a larger sample, too.")] = False,
) -> None:
    """Write small releases in the exact raw format, with their own aliases and implications, to try everything offline.

    They go into a folder of their own, whatever BOORU_RAW says; the last line makes the other commands use it. No file
    is replaced that a sample did not write, nor one that you have edited since.

    Example: `booru sample --posts 300 --release 2021a`
    """
    from booru_pipeline.sample import generate
    from booru_pipeline.sample.place import SAMPLE_RAW, home_of, use_line

    folder, real = (raw or SAMPLE_RAW).expanduser().resolve(), read_settings().raw_folder
    if real in folder.parents:
        raise BooruError(
            f"{folder} lies in your folder of releases, {real}, so the sample would be one of them: nothing was "
            "written. Choose a folder outside with --raw."
        )
    made = generate(
        folder, releases=release or ["2021a", "2021b"], posts=posts, seed=seed, compress=gzip, replace=replace
    )
    for truth in made:
        out.print(f"{truth.release}: {truth.files_good:,} posts, {truth.tags_good:,} tag rows")
    say(f"in {escape(str(folder))}; the other commands use it after")
    say(escape(use_line(folder, home_of(folder))))


@app.command()
def run(
    release: Annotated[list[str] | None, typer.Option(help="Release to make; may be repeated. All by default.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Last stage: tag_table, training_shards, vocabulary, tokenized_dataset, checkpoint, "
            "evaluation_report, or tag_audit, the default."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Base model: tiny, t5-small, t5-v1_1-small, t5-v1_1-base, flan-t5-base, a local folder or a hub name."
        ),
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Of training a release at most; 0 = no limit.")
    ] = None,
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain",
            help="Train again what is fresh too, from the base model: with another time limit, say. Of a trial: what "
            "is there under its name.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and why, and make nothing.")
    ] = False,
    trial: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Train and evaluate under this name, with the options given here, beside what is there: a trial of "
            "one release, the newest by default.",
        ),
    ] = None,
    overrides: Overrides = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Make what is missing or out of date, release after release.

    Examples: `booru run`, `booru run --release 2021a --to tag_table`, `booru run --preset t5-small`,
    `booru run --as lr5 --set checkpoint.learning_rate=0.005`
    """
    from booru_pipeline.pipeline.stages import Stage

    last = _stage(to) if to else list(Stage)[-1] if trial is None else Stage.EVALUATION_REPORT
    training = {} if time_limit is None else {"time_limit_s": time_limit}
    if retrain and trial is None:
        training["strategy"] = "retrain"
    settings = read_settings(
        overrides, raw=raw, home=home, relations=relations, preset=preset, checkpoint=training or None
    )
    if trial is not None:
        base = read_settings(raw=raw, home=home, relations=relations)
        _run_trial(settings, base, trial, release or [], last, retrain=retrain, dry_run=dry_run)
        return
    from booru_pipeline.defs.shell import make_plan, run_plan  # imports Dagster

    plan = make_plan(settings, release or [], last, retrain=retrain)
    for item in plan.releases:
        if not item.due:
            out.print(f"{item.release.key}  nothing to do: {item.statuses[-1].stage.value} and all before it are fresh")
        for status in item.statuses:
            if status.stage in item.due and dry_run:
                say(f"{item.release.key}  {escape(str(status))}")
            if status.note and status.stage not in item.due:
                say(f"{item.release.key}  [dim]{status.stage.value}: {escape(status.note)}[/]")
    with kept_terminal():
        run_plan(settings, plan if not dry_run else type(plan)([], plan.problems), say)
    made = [item for item in plan.releases if item.due]
    if made and not dry_run and last.order >= Stage.EVALUATION_REPORT.order:
        key = plan.releases[-1].release.key
        say(f"report of {key}: {settings.lake.evaluation_report(key) / 'report.html'}")
        if last is Stage.TAG_AUDIT:
            say(f"audit of {key}: booru missing --release {key}")


def _run_trial(
    settings: "Settings",
    base: "Settings",
    name: str,
    releases: list[str],
    last: "Stage",
    *,
    retrain: bool,
    dry_run: bool,
) -> None:
    from booru_pipeline.defs.shell import run_plan  # imports Dagster
    from booru_pipeline.defs.trials import plan_trial, run_trial
    from booru_pipeline.pipeline.stages import Stage

    if len(releases) > 1:
        raise BooruError("a trial is of one release: give --release once.")
    if last is not Stage.EVALUATION_REPORT:
        raise BooruError("a trial is trained and evaluated, and nothing else: leave out --to.")
    plan = plan_trial(settings, base, name, next(iter(releases), None), retrain=retrain)
    due = [(item.release.key, stage) for item in plan.before.releases for stage in item.due]
    due += [(plan.trial, stage) for stage in plan.due]
    if dry_run:
        for key, stage in due:
            out.print(f"{key}  {stage.value}: would be made")
    if not due:
        out.print(f"{plan.trial}  nothing to do: it was trained and evaluated with these options")
    if dry_run or not due:
        return
    with kept_terminal():
        run_plan(base, plan.before, say)
        if plan.due:
            run_trial(settings, plan, say)
    say(f"report of {plan.trial}: {settings.lake.evaluation_report(plan.trial) / 'report.html'}")
    say(f"beside its release: booru compare {plan.trial} {release_part(plan.trial)}")
    say(f"to have it asked from now on: booru promote {plan.trial}")


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
    release: Release = None,
    encoding: Annotated[str | None, typer.Option(help="Where the text enters: labels or pieces. [labels]")] = None,
    share: Annotated[
        list[float] | None, typer.Option(help="Share of the train posts; may be repeated. [0.01, 0.1 and 1]")
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
    settings = read_settings(raw=raw, home=home, relations=relations)
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
    from booru_pipeline.defs.shell import run_hydration  # imports Dagster

    with kept_terminal():
        report = run_hydration(settings, config, say)
    found = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    say(f"[bold]{found['verdict']['outcome']}[/]: {escape(found['verdict']['text'])}")
    say(f"report: {report}")


def parse_settings(given: Mapping[str, Any], more: Sequence[str]) -> dict[str, Any]:
    """Put the experiment's options together and check them before anything is started.

    Args:
        given: By name; `release`, which is the job's, may be among them.
        more: Others as `name=value`, the value as JSON or else as text.

    Raises:
        BooruError: An option is unknown, has a bad value, or is not of the form name=value.
    """
    from pydantic import ValidationError

    from booru_pipeline.hydration.options import HydrationOptions
    from booru_pipeline.pipeline.option_words import refusals
    from booru_pipeline.tag_table.queries import parse_variables

    settings = {**given, **parse_variables(more)}
    try:
        HydrationOptions(**{name: value for name, value in settings.items() if name != "release"})
    except ValidationError as error:
        known = ", ".join(HydrationOptions.model_fields)
        found = [f"option {'.'.join(path)}{phrase}." for path, phrase in refusals(error, HydrationOptions).items()]
        raise BooruError(f"{' '.join(found)} There are {known}.") from error
    return settings


def _stage(name: str) -> "Stage":
    from booru_pipeline.pipeline.stages import Stage

    try:
        return Stage(name)
    except ValueError:
        raise BooruError(f"there is no stage {name!r}. Choose one of {', '.join(Stage)}.") from None


@app.command()
def convert(
    folder: Annotated[Path, typer.Argument(help="A base model as the hub has it, with pytorch_model.bin.")],
    to: Annotated[Path, typer.Argument(help="The folder to make.")],
) -> None:
    """Write a base model's weights as safetensors, where the hub has but a pickle: google/t5-v1_1-small and -base.

    A pickle can run any code when it is read: this reads nothing but numbers, in a process without network.

    Example: `hf download google/t5-v1_1-small --local-dir v1_1`, `booru convert v1_1 v1_1-safe`, then
    `booru run --preset v1_1-safe`
    """
    from booru_pipeline.lake.publish import staged_beside
    from booru_pipeline.vocabulary.pickled_weights import convert as convert_weights

    with staged_beside(to, folder=True) as draft:
        convert_weights(folder, draft)
    say(f"{escape(str(to))}: a base model, for --preset")
