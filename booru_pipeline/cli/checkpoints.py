"""Commands about whole checkpoints: compare, promote, and their export for use elsewhere."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, export_app, out, read_settings, say
from booru_pipeline.cli.tags.questions import Checkpoint, whom_to_ask
from booru_pipeline.errors import BooruError

if TYPE_CHECKING:
    from booru_pipeline.evaluation.comparison.two import TwoCompared
    from booru_pipeline.export.source import Source
    from booru_pipeline.pipeline.settings import Settings

Licence = Annotated[
    str, typer.Option("--license", help="Of what is shared, as the hub writes it, such as apache-2.0 or cc-by-4.0.")
]


@app.command()
def compare(
    one: Annotated[str, typer.Argument(help="A release or a trial, such as lr5 or 2021d@lr5.")],
    other: Annotated[str, typer.Argument(help="Another, such as 2021d, of the same release or not.")],
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Set two checkpoints beside each other, on test posts of the first that the second was not trained on.

    Prints where the first is ahead or behind, and writes what has changed from the second to the first as a page.

    Examples: `booru compare lr5 2021d`, `booru compare 2021d 2021c`
    """
    settings = read_settings(home=home, relations=relations)
    lake = settings.lake
    from booru_pipeline.evaluation.comparison.two import compare_two  # imports transformers
    from booru_pipeline.evaluation.report.render import render_two
    from booru_pipeline.lake.publish import staged
    from booru_pipeline.pipeline.checkpoints import find_earlier, find_named

    names = [find_named(lake, lake.checkpoint, name) for name in (one, other)]
    if names[0] == names[1]:
        raise BooruError(f"{names[0]} and {names[0]} are the same checkpoint. Name two: `booru status` shows them.")
    model, beside = (find_earlier(lake, name) for name in names)
    if model is None or beside is None:
        without = names[0] if model is None else names[1]
        raise BooruError(f"the checkpoint of {without} has no record of what it was made from. Make it again.")
    found = compare_two(model, beside, settings.evaluation_report, settings.tag_relations)
    _show(found)
    folder = lake.experiment("compare", f"{names[0]}_beside_{names[1]}")
    with staged(folder, lake.staging.here()) as draft:
        draft.mkdir()
        (draft / "report.html").write_text(render_two(found), encoding="utf-8")
        (draft / "report.json").write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    say(f"What has changed, label by label: {escape(str(folder / 'report.html'))}")


def _show(found: "TwoCompared") -> None:
    from booru_pipeline.evaluation.comparison.compare import PARENT
    from booru_pipeline.evaluation.figures.ranks import heading
    from booru_pipeline.evaluation.report.page.words import signed_interval
    from booru_pipeline.evaluation.results import HEADLINE, MODEL

    standing = found.comparison.parent
    table = Table("hidden", "", found.model, found.other, "difference, 95 % interval")
    table.title = f"{found.model} beside {found.other} on {standing.posts:,} test posts"
    for result in found.fair:
        for metric in HEADLINE:
            figures = [f"{result.figure(name, metric):.3f}" for name in (MODEL, PARENT)]
            less = signed_interval(result.differences[PARENT][metric])
            table.add_row(f"{100 * result.hidden_share:.3g} %", heading(metric), *figures, less)
    out.print(table)
    if standing.left_out is None:
        say(f"[yellow]Whether {found.other} was trained on these posts cannot be told: its dataset is gone.[/]")
    say(escape(found.headline))
    if found.question:
        say(f"[dim]{escape(found.question)}[/]")


@app.command()
def promote(
    name: Annotated[
        str | None, typer.Argument(help="The release or trial whose checkpoint is to be asked, such as 2021a or lr5.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Go back to the one that was promoted before.")] = False,
    none: Annotated[bool, typer.Option("--none", help="Promote none: the newest is asked.")] = False,
    home: Home = None,
) -> None:
    """Choose the checkpoint that `booru suggest` asks, against what the evaluation says if need be.

    An evaluation promotes a release's checkpoint by itself if it loses neither to a baseline nor to its parent or the
    promoted one. What was promoted is never overwritten: a later training of the release lands beside it.

    Examples: `booru promote lr5`, `booru promote --back`, `booru promote 2021a`, `booru promote --none`
    """
    from booru_pipeline.pipeline.promoted import clear, go_back
    from booru_pipeline.pipeline.promoted import promote as set_pointer

    if sum((name is not None, back, none)) != 1:
        raise BooruError("name a release or trial, or give --back or --none. `booru status` shows which there are.")
    lake = read_settings(home=home).lake
    if none:
        clear(lake)
        out.print("no checkpoint is promoted: the newest is asked")
        return
    pointer = go_back(lake) if name is None else set_pointer(lake, name, "by hand")
    say(f"promoted: {pointer.release}, {pointer.date} ({escape(pointer.reason)})")
    if pointer.before and not back:
        say(f"before it: {pointer.before[0].release}; `booru promote --back` goes back to it")


@export_app.command("hub")
def export_hub(
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    dataset: Annotated[bool, typer.Option("--dataset", help="Write the posts that it learned from instead.")] = False,
    licence: Licence = "unknown",
    release: Checkpoint = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Write a checkpoint, or with `--dataset` its dataset, as the hub takes it: `hf upload you/name FOLDER`.

    The folder is asked in ten lines of Python, without this package: its card says how. Nothing is sent anywhere.

    Examples: `booru export hub booru-tags --license apache-2.0`, `booru export hub booru-tag-sets --dataset`
    """
    settings = read_settings(raw=raw, home=home, relations=relations)
    with _exporting(settings, release, licence, folder) as (source, draft):
        if dataset:
            from booru_pipeline.export.dataset import write_dataset
            from booru_pipeline.pipeline.checkpoints import source_of
            from booru_pipeline.pipeline.stages import Stage

            made_from = source_of(settings.lake, Stage.TOKENIZED_DATASET, source.name)
            write_dataset(source, settings.lake.bring(made_from), draft)
        else:
            from booru_pipeline.export.checkpoint import write_model

            write_model(source, draft)
    say(f"{escape(str(folder))}: the {'dataset' if dataset else 'checkpoint'} of {source.name}. To share it:")
    say(f"  hf upload YOU/NAME {escape(shlex.quote(str(folder)))}{' --repo-type dataset' if dataset else ''}")
    if licence == "unknown":
        say("Its card says that the licence is unknown: --license names one.")


@export_app.command("onnx")
def export_onnx(
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    licence: Licence = "unknown",
    release: Checkpoint = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Write a checkpoint as one ONNX graph, from labels to probabilities, with the labels' names beside it.

    It answers as `booru suggest` does, wherever ONNX Runtime is; the folder's card says how it is asked.

    Example: `booru export onnx booru-tags-onnx`
    """
    settings = read_settings(raw=raw, home=home, relations=relations)
    with _exporting(settings, release, licence, folder) as (source, draft):
        from booru_pipeline.export.graph import write_graph

        write_graph(source, draft)
    say(f"{escape(str(folder))}: the checkpoint of {source.name} as a graph. README.md in it says how it is asked.")


@contextmanager
def _exporting(
    settings: "Settings", release: str | None, licence: str, folder: Path
) -> "Iterator[tuple[Source, Path]]":
    """The checkpoint to export, and the draft of the folder, which is there when the block ends without an error."""
    from booru_pipeline.export.source import Source
    from booru_pipeline.lake.publish import staged_beside

    lake = settings.lake
    if folder.resolve().is_relative_to(lake.home):
        raise BooruError(f"{folder} is in the home, where each folder is an artifact. Name one elsewhere.")
    key = whom_to_ask(settings, release)
    report = lake.evaluation_report(key)
    source = Source(
        key,
        lake.bring(lake.checkpoint(key)),
        settings.tag_relations,
        lake.bring(report) if lake.record(report) is not None else None,
        licence,
    )
    with staged_beside(folder, folder=True) as draft:
        yield source, draft
