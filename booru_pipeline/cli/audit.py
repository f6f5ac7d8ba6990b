"""The commands that show an audit: missing, suspect, implications."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, Release, app, err, read_settings, say
from booru_pipeline.cli.rows import Csv, Form, Lines, form_of, write
from booru_pipeline.cli.tables import show
from booru_pipeline.errors import BooruError, printable

if TYPE_CHECKING:
    import duckdb

    from booru_pipeline.pipeline.settings import Settings

_SHOWN: Final = 50  # rows on a terminal
_FOLDER: Final = "cli"
_EVIDENCE: Final = "evidence"
_WORDS: Final = {"post", "tag", "alias", "antecedent", "consequent", "because", "counter_examples", "examples"}
# An id, alone, behind its booru, or at the end of an address.

Tag = Annotated[str | None, typer.Option(help="Only findings of this tag; an alias stands for its tag.")]
Post = Annotated[str | None, typer.Option(help="Only findings of this post: its id, or `booru/id`.")]


@app.command()
def missing(
    tag: Tag = None,
    post: Post = None,
    min_probability: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out less probable tags; below 0.3 only core tags are kept. [0.5]"),
    ] = None,
    core: Annotated[
        bool, typer.Option("--core", help="Only core tags of a character on the post, of any probability by default.")
    ] = False,
    hide_implied: Annotated[
        bool, typer.Option("--hide-implied", help="Leave out what Danbooru adds by itself.")
    ] = False,
    as_csv: Csv = False,
    as_json: Lines = False,
    release: Release = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """List tags that posts of a release probably lack, by its audit.

    The probability is that of the tag on a post of which a part of the tags was hidden, given those that are there;
    what they imply is certain and marked. Beside it stand the tags that speak for it: of the posts with that tag, those
    with the one in question.

    On a terminal it shows the first rows. In a file or a pipe it writes all, a line a row with tabs between the
    columns; `--csv` and `--json` are for programs. Examples:

    `booru missing`, `booru missing --post 3103690`, `booru missing --core --min-probability 0.2`

    `booru missing --release 2021b --tag rabbit_ears --csv > rabbits.csv`
    """
    from booru_pipeline.audit.tables import LIKELY, MISSING

    settings = read_settings(raw=raw, home=home, relations=relations)
    audit = _audit(settings, release)
    columns = ["post", "tag", "probability", "because"]
    _show(
        audit,
        MISSING,
        "missing",
        form_of(as_csv, as_json),
        columns,
        min_probability=(0.0 if core else LIKELY) if min_probability is None else min_probability,
        core=core,
        implied=not hide_implied,
        **_of_whom(settings, audit, tag, post),
    )


@app.command()
def suspect(
    tag: Tag = None,
    post: Post = None,
    max_ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out less odd tags; the audit keeps those up to 0.1.")
    ] = 0.1,
    as_csv: Csv = False,
    as_json: Lines = False,
    release: Release = None,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """List tags that are probably wrong on posts of a release, by its audit.

    Each tag was left out, and the checkpoint asked for it given the others. The ratio is how many times as probable
    they make it as it is on any post, so that rare tags are no odder than others. Beside it stand the tags that speak
    against it: on how many posts they are together, and on how many they would be by chance.

    Output and forms are those of `booru missing`. Examples:

    `booru suspect`, `booru suspect --tag glasses --max-ratio 0.02`, `booru suspect --release 2021b --csv > odd.csv`
    """
    from booru_pipeline.audit.tables import SUSPECT

    settings = read_settings(raw=raw, home=home, relations=relations)
    audit = _audit(settings, release)
    columns = ["post", "tag", "ratio", "because"]
    form = form_of(as_csv, as_json)
    of_whom = _of_whom(settings, audit, tag, post)
    _show(audit, SUSPECT, "suspect", form, columns, max_ratio=max_ratio, **of_whom)


@app.command()
def implications(
    every: Annotated[
        bool, typer.Option("--all", help="Also pairs of two categories, which Danbooru does not take.")
    ] = False,
    not_kept: Annotated[
        bool, typer.Option("--not-kept", help="Known implications instead that the posts do not keep.")
    ] = False,
    aliases: Annotated[
        bool, typer.Option("--aliases", help="Pairs of names instead that seem to be of one thing.")
    ] = False,
    bulk: Annotated[
        bool, typer.Option("--bulk", help="Print `imply a -> b` and `alias a -> b`, as a bulk update request has them.")
    ] = False,
    as_csv: Csv = False,
    as_json: Lines = False,
    release: Release = None,
    raw: Raw = None,
    home: Home = None,
) -> None:
    """List implications that the posts propose and the known ones do not give, by a release's audit.

    A pair is listed if Wilson's lower bound of its share, `at_least`, is 95 % or more. Those come first that are most
    like Danbooru's: of one category, and the consequent's words in the antecedent. Look at the counter-examples, and at
    what the tags mean: what always was together need not imply each other.

    Examples: `booru implications`, `booru implications --not-kept`, `booru implications --bulk > request.txt`
    """
    from booru_pipeline.audit.tables import ALIASES, IMPLICATIONS, NOT_KEPT

    if sum((not_kept, aliases, bulk)) > 1:
        raise BooruError("--not-kept, --aliases and --bulk are lists of their own. Give one of them.")
    if bulk and (as_csv or as_json):
        raise BooruError("--bulk prints lines of its own form. Give neither --csv nor --json with it.")
    audit = _audit(read_settings(raw=raw, home=home), release)
    if bulk:
        _bulk(audit)
        return
    pair = ["antecedent", "consequent", "together", "posts"]
    form = form_of(as_csv, as_json)
    if not_kept:
        _show(audit, NOT_KEPT, "not_kept", form, [*pair, "at_most", "counter_examples"])
    elif aliases:
        names = ["alias", "tag", "alias_posts", "tag_posts"]
        _show(audit, ALIASES, "aliases", form, [*names, "likeness", "examples"])
    else:
        columns = [*pair, "at_least", "counter_examples"]
        _show(audit, IMPLICATIONS, "implications", form, columns, every=every)


def _audit(settings: "Settings", release: str | None) -> Path:
    """The folder of a release's audit, or of the newest.

    Raises:
        BooruError: There is none.
    """
    from booru_pipeline.lake.trial import parse_trial, release_part

    lake = settings.lake
    trials = {*(name.partition("@")[2] for name in lake.trials_with(lake.checkpoint))}
    if release is not None and (release in trials or parse_trial(release) == release):
        of = release_part(release) if "@" in release else "its release"
        raise BooruError(f"{printable(release)} is a trial, and trials have no audit. Ask that of {of}.")
    key = lake.newest(lake.tag_audit, release)
    newest = lake.releases_with(lake.checkpoint)[-1:]
    if release is None and newest not in ([], [key]):
        err.print(f"{newest[0]} has no audit yet: make it with `booru run`", soft_wrap=True)
    return lake.bring(lake.tag_audit(key))


def _of_whom(settings: "Settings", audit: Path, tag: str | None, post: str | None) -> dict[str, Any]:
    """The tag and the post that are asked for, as the statements read them.

    Raises:
        BooruError: The tag is no label of the release, or the post none of its posts.
    """
    from booru_pipeline.release.names import canonical_tag
    from booru_pipeline.release.post_pages import read_post

    name = None if tag is None else settings.tag_relations.canonical(canonical_tag(tag))
    if name is not None:
        _check_tag(settings, audit.name, name)
    if post is None:
        return {"tag": name, "fid": None, "booru": None}
    booru, fid = read_post(post)
    _check_post(settings, audit.name, booru, fid)
    return {"tag": name, "fid": fid, "booru": booru}


def _check_tag(settings: "Settings", release: str, tag: str) -> None:
    from booru_pipeline.vocabulary.label_names import LabelNames
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    lake = settings.lake
    if release not in lake.releases_with(lake.vocabulary):
        return
    vocabulary = Vocabulary.load(lake.bring(lake.vocabulary(release)))
    if tag not in vocabulary.index:
        hint = LabelNames(vocabulary, settings.tag_relations).hint(tag)
        remedy = hint or " It may be too rare, or of a category that is not learned."
        raise BooruError(f"no label of {release} is called {printable(tag)!r}.{remedy}")


def _check_post(settings: "Settings", release: str, booru: str | None, fid: int) -> None:
    import duckdb

    from booru_pipeline import sql
    from booru_pipeline.training_shards.shards import shard_files

    lake = settings.lake
    if release not in lake.releases_with(lake.training_shards):
        return
    shards = shard_files(lake.bring(lake.training_shards(release)))
    with duckdb.connect() as connection:
        asked = {"shards": list(shards), "booru": booru, "fid": fid}
        [(posts,)] = sql.run(connection, _FOLDER, "count_post", **asked).fetchall()
    if not posts:
        shown = f"{printable(booru)}/{fid}" if booru else fid
        raise BooruError(f"{release} has no post {shown}. `booru inspect {fid}` looks in all releases.")


def _show(audit: Path, table: str, query: str, form: Form | None, columns: Sequence[str], **variables: Any) -> None:
    """Print the rows of a query into a table of an audit: the first on a terminal, else all."""
    import duckdb

    from booru_pipeline import sql
    from booru_pipeline.audit.tables import table_file
    from booru_pipeline.tag_table.attach import add_functions

    file = table_file(audit, table)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        add_functions(connection)
        try:
            relation = sql.relation(connection, _FOLDER, query, audit=str(file), **variables)
            err.print(f"[dim]audit of {audit.name}[/]", soft_wrap=True)
            if form is None:
                _table(relation, columns)
            else:
                wanted = relation if form is Form.JSON_LINES else _without_evidence(relation)
                write(wanted, form)
        except duckdb.Error as error:
            raise BooruError(
                f"{file} cannot be read: {str(error).splitlines()[0]}. Remove {audit} and make it again with "
                f"`booru run --release {audit.name}`."
            ) from error


def _without_evidence(relation: "duckdb.DuckDBPyRelation") -> "duckdb.DuckDBPyRelation":
    return relation.project(f"* EXCLUDE ({_EVIDENCE})") if _EVIDENCE in relation.columns else relation


def _table(relation: "duckdb.DuckDBPyRelation", columns: Sequence[str]) -> None:
    """The first rows, and how many more there are."""
    rows = relation.limit(_SHOWN).fetchall()
    [(total,)] = relation.aggregate("count(*)").fetchall()
    if not total:
        say("nothing was found that is asked for; other limits may give more")
        return
    table = Table()
    for name in columns:
        justify: JustifyMethod = "left" if name in _WORDS else "right"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name == "post")
    for row in rows:
        cells = dict(zip(relation.columns, row, strict=True))
        cells["post"] = f"{cells.get('booru')}/{cells.get('fid')}"
        table.add_row(*(_cell(cells, name) for name in columns))
    show(table)
    if total > len(rows):
        err.print(f"{total - len(rows):,} rows are not shown: `> rows.txt`, or --csv or --json, writes all {total:,}")


def _cell(cells: dict[str, Any], name: str) -> str:
    value = cells[name]
    if name == "probability":
        return "implied" if cells["implied"] else f"{100 * value:.1f} %"
    if name in ("at_least", "at_most"):
        return f"{100 * value:.1f} %"
    return escape(printable(f"{value:,}" if isinstance(value, int) else str(value)))


def _bulk(audit: Path) -> None:
    import duckdb

    from booru_pipeline import sql
    from booru_pipeline.audit.tables import ALIASES, IMPLICATIONS, table_file

    files = {name: str(table_file(audit, name)) for name in (IMPLICATIONS, ALIASES)}
    with duckdb.connect() as connection:
        for (line,) in sql.run(connection, _FOLDER, "bulk_update", **files).fetchall():
            print(printable(line))
