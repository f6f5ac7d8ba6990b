"""The command that rewrites captions for training: captions."""

import json
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import Home, Raw, RelationsFolder, app, err, read_settings, say
from booru_pipeline.cli.tables import show
from booru_pipeline.errors import BooruError, printable

if TYPE_CHECKING:
    from booru_pipeline.captions.files import CaptionFile
    from booru_pipeline.captions.rewriting import Changes
    from booru_pipeline.lake.lake import Lake

_FREQUENT: Final = 3  # tags that a row of the table names
_SAMPLES: Final = 5  # captions that a dry run shows


class Order(StrEnum):
    """In which order a caption's tags are to stand."""

    CATEGORY = "category"
    KEEP = "keep"


@app.command()
def captions(
    folder: Annotated[Path, typer.Argument(help="Folder of .txt captions or meta_*.json, or one such file.")],
    output: Annotated[
        Path | None, typer.Argument(help="What to write, which must not be there: all captions, and no pictures.")
    ] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Put the tag for an alias, drop deprecated and doubled tags.")
    ] = False,
    remove: Annotated[
        list[str] | None, typer.Option(help="Drop tags of this pattern, such as '*_eyes'; may be repeated.")
    ] = None,
    expand: Annotated[bool, typer.Option("--expand", help="Add what Danbooru's implications add.")] = False,
    consolidate: Annotated[
        bool, typer.Option("--consolidate", help="Drop tags that another tag of the caption implies.")
    ] = False,
    order: Annotated[
        Order | None,
        typer.Option(help="By category: character, copyright, artist, general, meta, others. [category]"),
    ] = None,
    spaces: Annotated[
        bool | None, typer.Option("--spaces/--underscores", help="Spell all tags so. [as each caption does]")
    ] = None,
    escaped: Annotated[
        bool | None, typer.Option("--escape/--no-escape", help=r"Parentheses as `\(fate\)`. [as each caption does]")
    ] = None,
    separator: Annotated[str | None, typer.Option(help="Between two tags, such as ', '. [the caption's]")] = None,
    trigger: Annotated[
        list[str] | None, typer.Option(help="What each caption begins with, as it is; may be repeated.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Change the files themselves, after copies beside the folder are made.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    raw: Raw = None,
    home: Home = None,
    relations: RelationsFolder = None,
) -> None:
    """Rewrite captions for training: fuller or leaner by Danbooru's implications, cleaned, ordered, in one style.

    Read are `.txt` files with tags between commas, or one a line, in the folder and those in it, and the `meta_*.json`
    of kohya's sd-scripts, of which `tags` are changed; `caption` only if no picture has tags. Of a file of several
    lines each line is a caption. Steps are taken in the order of the options: clean, remove, expand or consolidate,
    order. Categories are those that the home's newest vocabulary counted; without one the order is kept.

    What is no known tag stays, and at the head of a caption it stays there. Sentences, `BREAK`, `|||`, `<lora:…>` and
    several tags with one weight stay as they are, and no tag moves across the first three; weights stay with their tag,
    empty captions empty. What is not changed keeps its spelling unless a style is given; faces such as `^_^` and Pony's
    `score_9` never get spaces.

    Nothing is written before all files are read, and OUTPUT is there whole or not at all. With `--in-place`, files that
    change are first copied to FOLDER.backup-DATE-TIME. Pictures are not copied, links to folders and hidden files not
    read.

    JSON is an object: `files`, `changed_files`, `captions`, `changed_captions`, `tags_before`, `tags_after`, `added`
    by tag, `dropped` by reason and tag, `renamed` with `from`, `to` and `count`, `respelled`, `reordered`, `written`
    and `backup` (paths or null).

    Examples: `booru captions train train_full --clean --expand --trigger ohwx`,
    `booru captions train --in-place --consolidate --remove 'commentary*' --remove '*_eyes'`,
    `booru captions meta_clean.json meta_new.json --clean --spaces --escape --dry-run`
    """
    chosen = (clean, remove, expand, consolidate, order, separator, trigger, spaces is not None, escaped is not None)
    if not any(chosen):
        raise BooruError(
            "nothing is asked of the captions. Give --clean, --remove, --expand, --consolidate, --order or an option "
            "of style; booru captions --help says what each does."
        )
    if in_place == (output is not None) and not (dry_run and output is None):
        raise BooruError("say where the captions go, once: name an OUTPUT, or give --in-place, or --dry-run alone.")
    from booru_pipeline.captions.files import check_output, read_captions, write_in_place, write_output
    from booru_pipeline.captions.rewriting import Rewriter, Rules

    settings = read_settings(raw=raw, home=home, relations=relations)
    folder = folder.expanduser()
    folder = folder.resolve() if folder.exists() else folder
    output = None if output is None else output.expanduser().absolute()
    if output is not None and folder.exists():
        check_output(folder, output)
    known = settings.tag_relations
    if clean or expand or consolidate:
        from booru_pipeline.training_shards.relations import ALIASES_FILE, IMPLICATIONS_FILE

        needed = [*([ALIASES_FILE] if clean else []), *([IMPLICATIONS_FILE] if expand or consolidate else [])]
        _note(known.missing(*needed))
    categories = _categories(settings.lake)
    if not categories and order is not Order.KEEP:
        _note(
            f"the order is kept: there is no vocabulary in {settings.lake.home} that says categories. Make one with "
            "`booru run --to vocabulary`, or name another --home."
        )
    rewriter = Rewriter(
        Rules(
            relations=known,
            categories=categories,
            clean=clean,
            remove=tuple(remove or ()),
            expand=expand,
            consolidate=consolidate,
            order=bool(categories) and order is not Order.KEEP,
            spaces=spaces,
            escape=escaped,
            separator=separator,
            triggers=tuple(trigger or ()),
        )
    )
    files = read_captions(folder)
    read = [[rewriter.read(text) for text in file.texts] for file in files]
    texts = [[rewriter.rewrite(parts) for parts in captions] for captions in read]
    changed = [list(file.texts) != new or file.had_mark for file, new in zip(files, texts, strict=True)]
    for pattern in rewriter.idle:
        _note(f"no tag matches --remove '{pattern}'")
    backup = None
    if not dry_run and output is not None:
        new = {file.inside: file.written(text) for file, text in zip(files, texts, strict=True)}
        write_output(new, folder, output)
    elif not dry_run and any(changed):
        what = {f.inside: f.written(text) for f, text, is_new in zip(files, texts, changed, strict=True) if is_new}
        backup = write_in_place(what, folder)
    written = None if dry_run else output or (folder if any(changed) else None)
    if as_json:
        numbers = {"files": len(files), "changed_files": sum(changed), **_as_json(rewriter.changes)}
        places = {"written": written and str(written), "backup": backup and str(backup)}
        print(json.dumps({**numbers, **places}, indent=2).replace("\x7f", "\\u007f"))
        return
    if dry_run:
        _show_samples(files, texts)
    _show(rewriter.changes, len(files), sum(changed))
    say(f"written: {escape(printable(str(written)))}" if written else "nothing is written")
    if backup:
        say(f"as they were: {escape(printable(str(backup)))}")


def _note(line: str) -> None:
    if line:
        err.print(escape(printable(line)), soft_wrap=True)


def _categories(lake: "Lake") -> dict[str, int]:
    """By tag, of all tags that the newest vocabulary counted; none if there is no vocabulary."""
    from booru_pipeline.vocabulary.counting import TagCounts

    keys = lake.releases_with(lake.vocabulary)
    if not keys:
        return {}
    counts = TagCounts.read(lake.bring(lake.vocabulary(keys[-1])))
    if counts is None:
        return {}
    tags = counts.table.sort_by("posts")  # of a tag with several categories the most frequent is the last
    return dict(zip(tags["tag"].to_pylist(), tags["category"].to_pylist(), strict=True))


def _as_json(changes: "Changes") -> dict[str, Any]:
    return {
        "captions": changes.captions,
        "changed_captions": changes.changed,
        "tags_before": changes.before,
        "tags_after": changes.after,
        "added": dict(changes.added.most_common()),
        "dropped": {why: dict(tags.most_common()) for why, tags in changes.dropped.items()},
        "renamed": [{"from": old, "to": new, "count": n} for (old, new), n in changes.renamed.most_common()],
        "respelled": changes.respelled,
        "reordered": changes.reordered,
    }


def _show_samples(files: "Sequence[CaptionFile]", texts: Sequence[Sequence[str]]) -> None:
    pairs = (
        (file, old, new) for file, news in zip(files, texts, strict=True) for old, new in zip_longest(file.texts, news)
    )
    found = [pair for pair in pairs if pair[1] != pair[2]]
    for file, old, new in found[:_SAMPLES]:
        say(escape(printable(str(file.inside))))
        say(f"[red]- {escape(printable(old.strip()))}[/]\n[green]+ {escape(printable(new.strip()))}[/]")
    if len(found) > _SAMPLES:
        say(f"… and {len(found) - _SAMPLES:,} more captions")


def _show(changes: "Changes", files: int, changed: int) -> None:
    say(
        f"{changes.captions:,} captions in {files:,} files; changed: {changes.changed:,} in {changed:,} files, "
        f"{changes.before:,} tags to {changes.after:,}"
    )
    rows: dict[str, Counter[str]] = {"added": changes.added}
    rows |= {f"dropped: {why}": tags for why, tags in changes.dropped.items()}
    rows["renamed"] = Counter({f"{old} to {new}": n for (old, new), n in changes.renamed.items()})
    table = Table("change", "tags", "most frequent")
    table.columns[1].justify = "right"
    table.columns[2].overflow = "fold"
    for what, tags in rows.items():
        if tags:
            often = ", ".join(f"{tag} ({count:,})" for tag, count in tags.most_common(_FREQUENT))
            table.add_row(what, f"{tags.total():,}", escape(printable(often)))
    if changes.respelled:
        table.add_row("spelled otherwise", f"{changes.respelled:,}", "")
    if table.row_count:
        show(table)
    if changes.reordered:
        say(f"in another order: {changes.reordered:,} captions")
