"""Commands about the labels of a checkpoint: tags, related, and their exports for other tools."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, export_app, read_settings, say
from booru_pipeline.cli.dashes import TagCommand
from booru_pipeline.cli.rows import Csv, Lines, form_of, show_first, write
from booru_pipeline.cli.tags.questions import Checkpoint, whom_to_ask
from booru_pipeline.errors import BooruError, printable
from booru_pipeline.lake.publish import staged_beside
from booru_pipeline.tags import Category

if TYPE_CHECKING:
    import pyarrow as pa

    from booru_pipeline.pipeline.settings import Settings

Target = Annotated[Path, typer.Argument(help="The file to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]


@app.command()
def tags(
    text: Annotated[str, typer.Argument(help="The beginning or a part of a name or alias; all if empty.")] = "",
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_csv: Csv = False,
    as_json: Lines = False,
    release: Checkpoint = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """List the labels that a text may become: those that begin so, then those with such a word, by their posts.

    Examples: `booru tags rabbit`, `booru tags bunny --csv`
    """
    settings = read_settings(raw=raw, home=home, relations=relations)
    folder = _checkpoint(settings, release)
    import pyarrow as pa

    from booru_pipeline.vocabulary.label_names import LabelNames
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    vocabulary = Vocabulary.load(folder)
    found = LabelNames(vocabulary, settings.tag_relations).completions(text, top)
    if not found:
        raise BooruError(f"no label is called {printable(text)} or has it in its name.")
    rows = [vocabulary.index[label] for label, _ in found]
    columns = {
        "tag": [label for label, _ in found],
        "category": [vocabulary.category_names[row] for row in rows],
        "posts": vocabulary.posts[rows],
        "alias": pa.array([alias for _, alias in found], pa.string()),
    }
    _put(pa.table(columns), as_csv, as_json)


@app.command(cls=TagCommand)
def related(
    tag: Annotated[list[str], typer.Argument(help="A label or an alias.")],
    by: Annotated[str, typer.Option(help="cosine, jaccard, lift or vectors (the model's own).")] = "cosine",
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_csv: Csv = False,
    as_json: Lines = False,
    release: Checkpoint = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """List the labels most like one: by the posts that have both, or by the vectors that the model has learned.

    With k posts that have both, n and m that have one, N in all: cosine is k / √(n m), jaccard k / (n + m - k), lift
    k N / (n m), of pairs on five posts or more. Posts are those that the checkpoint was trained on.

    Examples: `booru related rabbit_ears`, `booru related usada_pekora --by vectors --top 5`
    """
    from booru_pipeline.model.label_tables import vectors_of
    from booru_pipeline.model.pair_table import PairTable
    from booru_pipeline.model.related import Likeness
    from booru_pipeline.model.related import related as find
    from booru_pipeline.vocabulary.label_names import LabelNames
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    if by not in list(Likeness):
        raise BooruError(f"there is no likeness {printable(by)}: choose --by from {', '.join(Likeness)}.")
    settings = read_settings(raw=raw, home=home, relations=relations)
    folder = _checkpoint(settings, release)
    vocabulary = Vocabulary.load(folder)
    name = LabelNames(vocabulary, settings.tag_relations).label(" ".join(tag))
    vectors = vectors_of(folder, vocabulary) if by == Likeness.VECTORS else None
    _put(find(vocabulary, PairTable.read(folder), name, Likeness(by), top, vectors), as_csv, as_json)


@export_app.command("tags")
def export_tags(
    path: Target,
    force: Force = False,
    release: Checkpoint = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Write the labels for autocompletion: `tag,category,count,"aliases"`, categories as Danbooru numbers them.

    The form is that of a1111-sd-webui-tagcomplete, without a heading: put the file into its folder `tags`.

    Example: `booru export tags danbooru.csv`
    """
    settings = read_settings(raw=raw, home=home, relations=relations)
    folder = _checkpoint(settings, release)
    from booru_pipeline.model.label_tables import label_table
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    rows = label_table(Vocabulary.load(folder), settings.tag_relations)
    with staged_beside(path, force=force) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        for row in rows.to_pylist():
            lines.writerow(
                [row["tag"], max(Category[row["category"].upper()], 0), row["posts"], ",".join(row["aliases"])]
            )
    say(f"{path}: {rows.num_rows:,} labels")


@export_app.command("cooccurrence")
def export_cooccurrence(path: Target, force: Force = False, release: Checkpoint = None, home: Home = None) -> None:
    """Write which labels stand together on how many train posts, a row a pair, as Parquet, or CSV if the name says so.

    Of each label its 512 most frequent partners are there. Example: `booru export cooccurrence pairs.parquet`
    """
    from booru_pipeline.model.label_tables import pair_table

    _export(path, pair_table(_checkpoint(read_settings(home=home), release)), "pairs", force)


@export_app.command("embeddings")
def export_embeddings(path: Target, force: Force = False, release: Checkpoint = None, home: Home = None) -> None:
    """Write the vector that the model has for each label, as Parquet: tag, category, vector.

    Example: `booru export embeddings labels.parquet`
    """
    if path.suffix.lower() == ".csv":
        raise BooruError(f"{path}: vectors are written as Parquet. Name it {path.with_suffix('.parquet').name}.")
    from booru_pipeline.model.label_tables import vector_table

    _export(path, vector_table(_checkpoint(read_settings(home=home), release)), "labels", force)


def _checkpoint(settings: "Settings", release: str | None) -> Path:
    return settings.lake.bring(settings.lake.checkpoint(whom_to_ask(settings, release)))


def _put(rows: "pa.Table", as_csv: bool, as_json: bool) -> None:
    """Print rows: a table on a terminal, else all."""
    import duckdb

    form = form_of(as_csv, as_json)
    with duckdb.connect() as connection:
        relation = connection.from_arrow(rows)
        if form is None:
            show_first(relation)
        else:
            write(relation, form)


def _export(path: Path, rows: "pa.Table", what: str, force: bool) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    with staged_beside(path, force=force) as draft:
        if path.suffix.lower() == ".csv":
            pyarrow.csv.write_csv(rows, draft)
        else:
            pyarrow.parquet.write_table(rows, draft)
    say(f"{path}: {rows.num_rows:,} {what}")
